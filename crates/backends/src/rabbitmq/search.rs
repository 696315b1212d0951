//! Searching the archive, the newest events first.
//!
//! A stream is read forwards alone, from a time on. So stretches of time are read one after the other,
//! each before the last one, the longer the less was in them.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join;
use hookfleet_domain::Timestamp;
use hookfleet_queue::search::LOOKED_AT_MAX;
use hookfleet_queue::{Found, FoundEvent, Message, Position, QueueError, Search, wire};
use lapin::message::Delivery;
use tokio::time::timeout;

use super::archive::{Consuming, From, consume};
use super::leases::envelope;
use super::link::Link;
use super::publish::ACCEPTED_AT;
use super::values::{header, integer};

/// How long the first message of a stretch may take, and each one after it. Whoever searches waits for
/// that, and what is missed is seen the next time.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_millis(300);
/// The same within one chunk, whose messages are sent together.
const CHUNK_SILENCE: Duration = Duration::from_millis(25);
/// The first stretch, and the shortest.
const STRETCH: Duration = Duration::from_secs(2);
/// How many times as long as the one after it a stretch may be.
const GROWTH: u32 = 4;
/// Messages in one stretch; one that holds more is made shorter.
const STRETCH_MESSAGES_MAX: usize = LOOKED_AT_MAX / 4;
/// How far the order of a stream may be from that of the times at which events were accepted.
const DISORDER: Duration = Duration::from_secs(2);
/// Which message of a stream it is.
const OFFSET: &str = "x-stream-offset";

/// A message of the archive, as far as a search needs it.
struct Seen {
    position: Position,
    found: Option<FoundEvent>,
}

/// Looks for events, as long as there are stretches and patience.
pub async fn search(link: &Link, search: &Search, now: Timestamp) -> Result<Found, QueueError> {
    let Some(Ends { oldest, newest, last }) = ends(link, search, now).await? else {
        return Ok(Found::NOTHING);
    };
    let since = search.since.map_or(oldest, |since| since.max(oldest));
    let mut end = search.before.min(Position::at(now.after(DISORDER)));
    // Between the last chunk and now there is nothing: no stretches of that.
    let mut stretch = end.accepted_at.since(newest).max(STRETCH);
    let (mut events, mut looked_at) = (Vec::new(), 0);
    while end > Position::at(since) {
        let begin = end.accepted_at.before(stretch).max(since);
        let seen = read(link, search, (begin, end), last).await?;
        if seen.len() > STRETCH_MESSAGES_MAX && stretch > STRETCH {
            stretch = (stretch / (2 * GROWTH)).max(STRETCH);
            continue;
        }
        looked_at += seen.len();
        if seen.len() * 4 < STRETCH_MESSAGES_MAX {
            stretch *= GROWTH;
        }
        let mut found: Vec<(Position, FoundEvent)> =
            seen.into_iter().filter_map(|seen| Some((seen.position, seen.found?))).collect();
        found.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
        for (position, event) in found {
            events.push(event);
            if events.len() >= search.limit {
                return Ok(Found { events, next: Some(position) });
            }
        }
        end = Position::at(begin);
        if looked_at >= LOOKED_AT_MAX && begin > since {
            return Ok(Found { events, next: Some(end) });
        }
    }
    Ok(Found { events, next: None })
}

/// Where the archive begins and ends.
struct Ends {
    /// When its first event was accepted.
    oldest: Timestamp,
    /// When the first one of its last chunk was.
    newest: Timestamp,
    /// The number of its last message: who reads knows there that no more will come, and need not
    /// wait for silence.
    last: i64,
}

/// None: there is no archive, or nothing in it.
async fn ends(link: &Link, search: &Search, now: Timestamp) -> Result<Option<Ends>, QueueError> {
    let (oldest, (newest, last)) =
        try_join(oldest(link, search), last_chunk(link, search, now)).await?;
    Ok(oldest.map(|oldest| Ends { oldest: oldest.before(DISORDER).min(newest), newest, last }))
}

/// When the first event of the last chunk was accepted, and the number of its last message.
async fn last_chunk(
    link: &Link,
    search: &Search,
    now: Timestamp,
) -> Result<(Timestamp, i64), QueueError> {
    let (mut newest, mut last, mut patience) = (None, i64::MAX, FIRST_WAIT_MAX);
    if let Some(mut chunk) = consume(link, From::Last).await? {
        while let Some(message) = next(&mut chunk, patience).await? {
            patience = CHUNK_SILENCE;
            last = number(&message, OFFSET).unwrap_or(i64::MAX);
            let accepted_at = seen(message, search).map(|seen| seen.position.accepted_at);
            newest = newest.or(accepted_at);
            // Where events come all the time, what came since is for a later search.
            if accepted_at.is_some_and(|at| at >= now) {
                break;
            }
        }
    }
    Ok((newest.unwrap_or(now), last))
}

async fn oldest(link: &Link, search: &Search) -> Result<Option<Timestamp>, QueueError> {
    let Some(mut consuming) = consume(link, From::First).await? else {
        return Ok(None);
    };
    while let Some(message) = next(&mut consuming, FIRST_WAIT_MAX).await? {
        if let Some(seen) = seen(message, search) {
            return Ok(Some(seen.position.accepted_at));
        }
    }
    Ok(None)
}

/// All messages of a stretch of time, and some more than there may be if there are too many.
async fn read(
    link: &Link,
    search: &Search,
    (begin, end): (Timestamp, Position),
    last: i64,
) -> Result<Vec<Seen>, QueueError> {
    let from = From::Time(begin.before(DISORDER));
    let Some(mut consuming) = consume(link, from).await? else {
        return Ok(Vec::new());
    };
    let (mut all, mut patience) = (Vec::new(), FIRST_WAIT_MAX);
    let shortest = end.accepted_at.since(begin) <= STRETCH;
    while let Some(message) = next(&mut consuming, patience).await? {
        patience = SILENCE;
        let is_last = number(&message, OFFSET).is_some_and(|number| number >= last);
        if let Some(seen) = seen(message, search) {
            if seen.position.accepted_at > end.accepted_at.after(DISORDER) {
                break;
            }
            if seen.position >= Position::at(begin) && seen.position < end {
                all.push(seen);
            }
        }
        if is_last || (all.len() > STRETCH_MESSAGES_MAX && !shortest) {
            break;
        }
    }
    Ok(all)
}

async fn next(
    consuming: &mut Consuming,
    patience: Duration,
) -> Result<Option<Delivery>, QueueError> {
    match timeout(patience, consuming.messages.next()).await {
        Ok(Some(message)) => consuming.took(message).await.map(Some),
        Ok(None) | Err(_) => Ok(None),
    }
}

fn number(message: &Delivery, name: &str) -> Option<i64> {
    header(&message.properties, name).and_then(integer)
}

/// None: a plain client's message, which is there once more as an event of ours.
fn seen(message: Delivery, search: &Search) -> Option<Seen> {
    let accepted_ms = number(&message, ACCEPTED_AT)?;
    let n = number(&message, OFFSET).unwrap_or(0);
    let accepted_at = Timestamp::from_unix_ms(accepted_ms);
    let envelope = envelope(&message.properties, accepted_at);
    let found = match wire::decode_event(message.data, envelope) {
        Message::Event(event) if search.matches(&event) => Some(FoundEvent::from(&event)),
        Message::Event(_)
        | Message::Draft(_)
        | Message::Delivery(_)
        | Message::Newer(_)
        | Message::Malformed(_) => None,
    };
    Some(Seen { position: Position { accepted_at, n }, found })
}
