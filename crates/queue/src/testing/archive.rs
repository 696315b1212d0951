//! What was published can be found again. The archive goes by time, so each takes `now`.

use std::time::Duration;

use hookfleet_domain::{Event, EventId, Timestamp};
use tokio::time::Instant;

use super::{SOON, begin, event, next, publish, settle};
use crate::{Found, Outgoing, Position, Queue, Search, wire};

/// Events of a tenant and a type are found, newest first, page by page. Takes `now`, for the archive
/// goes by time.
pub async fn the_archive_is_searched(queue: &dyn Queue, now: Timestamp) {
    let tenant = format!("tenant-{}", now.unix_ms());
    let mut leases = begin(queue).await;
    let mut ids = Vec::new();
    for n in 0..6_u64 {
        // Two of each moment.
        let accepted_at = now.after(Duration::from_millis(n / 2));
        let (owner, event_type) = if n == 5 {
            ("other", "a.b")
        } else {
            (&*tenant, if n % 2 == 0 { "a.b" } else { "c.d" })
        };
        let event = Event {
            id: EventId::generate(accepted_at),
            tenant: owner.parse().expect("a tenant"),
            event_type: event_type.parse().expect("a type"),
            accepted_at,
            ..event(1)
        };
        publish(queue, Outgoing::Event(&event)).await;
        settle(next(&mut leases).await).await;
        ids.push(event.id);
    }
    leases.close().await;

    let all = Search {
        tenant: tenant.parse().expect("a tenant"),
        wanted: None,
        since: None,
        before: Position::at(now.after(Duration::from_mins(1))),
        limit: 10,
    };
    let newest_first =
        |which: &[usize]| -> Vec<EventId> { which.iter().map(|n| ids[*n].clone()).collect() };
    let everything = newest_first(&[4, 3, 2, 1, 0]);
    // What was accepted in the last moments may be missing yet.
    let end = Instant::now() + SOON;
    while found(queue, &all).await.0 != everything {
        assert!(Instant::now() < end, "{:?} is not {everything:?}", found(queue, &all).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let wanted = Search { wanted: "c.*".parse().ok(), ..all.clone() };
    assert_eq!(found(queue, &wanted).await.0, newest_first(&[3, 1]));
    let later = Search { since: Some(now.after(Duration::from_millis(1))), ..all.clone() };
    assert_eq!(found(queue, &later).await.0, newest_first(&[4, 3, 2]));
    let before = Position::at(now.after(Duration::from_millis(1)));
    assert_eq!(found(queue, &Search { before, ..all.clone() }).await.0, newest_first(&[1, 0]));
    let nobody = Search { tenant: "nobody".parse().expect("a tenant"), ..all.clone() };
    assert_eq!(found(queue, &nobody).await.0, []);

    let (mut pages, mut before) = (Vec::new(), Some(all.before));
    while let Some(from) = before {
        let (page, next) = found(queue, &Search { limit: 2, before: from, ..all.clone() }).await;
        assert!(page.len() <= 2, "{page:?}");
        assert!(next.is_none_or(|next| next < from), "it goes on to the past");
        pages.extend(page);
        before = next;
    }
    assert_eq!(pages, everything, "page by page, each once");
}

async fn found(queue: &dyn Queue, search: &Search) -> (Vec<EventId>, Option<Position>) {
    let Found { events, next } = queue.search_archive(search).await.expect("the archive is read");
    (events.into_iter().map(|event| event.id).collect(), next)
}

/// What was published is in the archive, settled or not, and is found by its id. Takes `now`, for the
/// archive goes by time.
pub async fn the_archive_keeps_events(queue: &dyn Queue, now: Timestamp) {
    let events: Vec<Event> = (0..5)
        .map(|n| Event { id: EventId::generate(now), accepted_at: now, ..event(n) })
        .collect();
    for event in &events {
        publish(queue, Outgoing::Event(event)).await;
    }
    let mut leases = begin(queue).await;
    for _ in &events {
        settle(next(&mut leases).await).await;
    }
    leases.close().await;

    let mut archive = queue.archive_since(now).await.expect("an archive");
    let mut ids = Vec::new();
    while let Some(event) = archive.next().await.expect("the archive goes on") {
        ids.push(event.id);
    }
    ids.retain(|id| events.iter().any(|event| event.id == *id));
    let expected: Vec<EventId> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids, expected, "each once, in their order");

    let found = crate::archived(queue, &expected[3]).await.expect("the archive is read");
    let found = found.expect("it is there");
    assert_eq!(wire::encode_event(&found), wire::encode_event(&events[3]));
    assert_eq!((found.accepted_at, &found.idempotency_key), (now, &events[3].idempotency_key));
    for unknown in [EventId::generate(now), event(9).id] {
        let found = crate::archived(queue, &unknown).await.expect("the archive is read");
        assert!(found.is_none(), "never published");
    }
}
