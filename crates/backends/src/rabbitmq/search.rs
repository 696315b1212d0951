//! Searching the archive, the newest events first.
//!
//! A stream is read forwards alone, from a time on. So stretches of time are read one after the other,
//! each before the last one, the longer the less was in them.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join;
use hookfleet_domain::Timestamp;
use hookfleet_queue::search::LOOKED_AT_MAX;
use hookfleet_queue::{Found, FoundEvent, Position, QueueError, Search};
use lapin::message::Delivery;
use tokio::time::timeout;

use super::archive::{Consuming, From, consume, events};
use super::leases::envelope;
use super::link::Link;
use super::publish::{ACCEPTED_AT, BY_NAME};
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
/// Events in one stretch; one that holds more is made shorter.
const STRETCH_EVENTS_MAX: usize = LOOKED_AT_MAX / 4;
/// How far the order of a stream may be from that of the times at which events were accepted.
const DISORDER: Duration = Duration::from_secs(2);
/// Places that each message has among the positions: one for each event in it.
const PLACES: i64 = 1024;
/// Which message of a stream it is.
const OFFSET: &str = "x-stream-offset";

/// An event of the archive, as far as a search needs it.
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
        if seen.len() > STRETCH_EVENTS_MAX && stretch > STRETCH {
            stretch = (stretch / (2 * GROWTH)).max(STRETCH);
            continue;
        }
        looked_at += seen.len();
        if seen.len() * 4 < STRETCH_EVENTS_MAX {
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
            let accepted_at = seen(message, search).next().map(|seen| seen.position.accepted_at);
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
        if let Some(seen) = seen(message, search).next() {
            return Ok(Some(seen.position.accepted_at));
        }
    }
    Ok(None)
}

/// All events of a stretch of time, and some more than there may be if there are too many.
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
        let mut is_last = number(&message, OFFSET).is_some_and(|number| number >= last);
        for seen in seen(message, search) {
            is_last |= seen.position.accepted_at > end.accepted_at.after(DISORDER);
            if seen.position >= Position::at(begin) && seen.position < end {
                all.push(seen);
            }
        }
        if is_last || (all.len() > STRETCH_EVENTS_MAX && !shortest) {
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

/// The events in a message. Of a plain client's nothing: it is there once more as an event of ours.
fn seen(message: Delivery, search: &Search) -> impl Iterator<Item = Seen> {
    let is_ours = message.exchange.as_str() == BY_NAME || number(&message, ACCEPTED_AT).is_some();
    let first = number(&message, OFFSET).unwrap_or(0).saturating_mul(PLACES);
    let envelope = envelope(&message.properties, Timestamp::from_unix_ms(0));
    let events = if is_ours { events(message, envelope) } else { Vec::new() };
    (first..).zip(events).map(|(n, event)| Seen {
        position: Position { accepted_at: event.accepted_at, n },
        found: search.matches(&event).then(|| FoundEvent::from(&event)),
    })
}
