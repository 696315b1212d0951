//! The contract that every backend keeps, as tests that a backend's own tests call, one after the
//! other, on an empty queue that nobody else uses. Each leaves the queue empty.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "these are tests: they fail by panicking"
)]

mod archive;

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    DeadLetter, DeadLetterReason, Delay, Delivery, Event, EventId, IdempotencyKey, Timestamp,
};
use tokio::time::{Instant, timeout};

use crate::{
    Depth, Lease, Leases, Message, NewerMessage, Outgoing, Queue, QueueError, QueueKind,
    RawMessage, Receipt, wire,
};

pub use archive::{the_archive_is_searched, the_archive_keeps_events};

/// Patience for what comes at once.
const SOON: Duration = Duration::from_secs(10);
/// What has not come by then does not come.
const NEVER: Duration = Duration::from_millis(700);
const PREFETCH: u16 = 10;

fn event(n: u32) -> Event {
    let body = format!(
        r#"{{"tenant":"acme","type":"a.b","project":"site","id":"ev-{n}",
            "timestamp":"2026-02-19T14:32:00Z","data":{{"n": {n}.0}}}}"#
    );
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let envelope = wire::Envelope {
        idempotency_key: Some(format!("key-{n}").parse().expect("a key")),
        trace: Some(trace.parse().expect("a traceparent")),
        accepted_at: Timestamp::from_unix_ms(1_700_000_000_123),
    };
    match wire::decode_event(body.into_bytes(), envelope) {
        Message::Event(event) => event,
        Message::Draft(_) | Message::Delivery(_) | Message::Newer(_) | Message::Malformed(_) => {
            panic!("no event")
        }
    }
}

fn delivery(n: u32) -> Delivery {
    Delivery::first(Arc::new(event(n)), "ep_1".parse().expect("an id"))
}

fn letter(n: u32) -> DeadLetter {
    let now = Timestamp::from_unix_ms(1_700_000_000_000);
    DeadLetter::of_delivery(delivery(n), DeadLetterReason::Exhausted, now)
}

async fn begin(queue: &dyn Queue) -> Box<dyn Leases> {
    queue.leases(PREFETCH).await.expect("leases")
}

async fn next(leases: &mut Box<dyn Leases>) -> Lease {
    timeout(SOON, leases.next()).await.expect("a message comes").expect("a lease")
}

async fn settle(lease: Lease) {
    lease.settle().await.expect("settled");
}

async fn publish(queue: &dyn Queue, message: Outgoing<'_>) {
    queue.publish(message).await.expect("published");
}

async fn nothing_comes(leases: &mut Box<dyn Leases>) {
    assert!(timeout(NEVER, leases.next()).await.is_err(), "something came");
}

fn event_id(message: &Message) -> Option<EventId> {
    match message {
        Message::Event(event) => Some(event.id.clone()),
        Message::Delivery(delivery) => Some(delivery.event.id.clone()),
        Message::Draft(_) | Message::Newer(_) | Message::Malformed(_) => None,
    }
}

/// What is leased is what was published, envelope and all, and once settled it is gone.
pub async fn messages_come_as_they_went(queue: &dyn Queue) {
    let mut leases = begin(queue).await;
    publish(queue, Outgoing::Event(&event(1))).await;
    let lease = next(&mut leases).await;
    let Message::Event(came) = &lease.message else { panic!("{lease:?}") };
    assert_eq!(wire::encode_event(came), wire::encode_event(&event(1)));
    assert_eq!(came.idempotency_key, "key-1".parse::<IdempotencyKey>().ok());
    assert_eq!((&came.trace, came.accepted_at), (&event(1).trace, event(1).accepted_at));
    assert_eq!(lease.redeliveries, 0);
    settle(lease).await;

    publish(queue, Outgoing::Delivery(&delivery(2), Delay::NONE)).await;
    let lease = next(&mut leases).await;
    let Message::Delivery(came) = &lease.message else { panic!("{lease:?}") };
    assert_eq!(wire::encode_delivery(came), wire::encode_delivery(&delivery(2)));
    settle(lease).await;

    let bytes = b"no event".to_vec();
    let (idempotency_key, trace) = (event(3).idempotency_key, event(3).trace);
    let raw = RawMessage { bytes, error: String::new(), idempotency_key, trace };
    publish(queue, Outgoing::Raw(&raw)).await;
    let lease = next(&mut leases).await;
    let Message::Malformed(came) = &lease.message else { panic!("{lease:?}") };
    assert_eq!((&came.bytes, &came.idempotency_key), (&raw.bytes, &raw.idempotency_key));
    assert_eq!(came.trace, raw.trace);
    settle(lease).await;
    nothing_comes(&mut leases).await;
    leases.close().await;
}

async fn depth(queue: &dyn Queue, kind: QueueKind) -> Depth {
    let depths = queue.depths().await.expect("the depths");
    *depths.iter().find(|depth| depth.kind == kind).expect("every kind is there")
}

/// A broker's own count may lag.
async fn waits(queue: &dyn Queue, kind: QueueKind, messages: u64) -> Depth {
    let end = Instant::now() + SOON;
    loop {
        let depth = depth(queue, kind).await;
        if depth.messages == messages {
            return depth;
        }
        assert!(Instant::now() < end, "{messages} should wait: {depth:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What waits is counted where it waits, and no more once it is taken.
pub async fn depths_are_told(queue: &dyn Queue) {
    let kinds = QueueKind::ALL;
    for kind in kinds {
        assert_eq!(waits(queue, kind, 0).await.oldest, None);
    }
    publish(queue, Outgoing::Event(&event(1))).await;
    publish(queue, Outgoing::Event(&event(2))).await;
    publish(queue, Outgoing::Delivery(&delivery(3), Delay::NONE)).await;
    let delay = Delay::exactly(Duration::from_secs(3));
    publish(queue, Outgoing::Delivery(&delivery(4), delay)).await;
    publish(queue, Outgoing::DeadLetter(&letter(5))).await;
    for (kind, messages) in kinds.into_iter().zip([2, 1, 1, 1]) {
        waits(queue, kind, messages).await;
    }
    let unheard = depth(queue, QueueKind::Events).await.consumers;
    assert!(unheard.is_none_or(|consumers| consumers == 0), "{unheard:?}");

    let mut leases = begin(queue).await;
    let taken = [next(&mut leases).await, next(&mut leases).await, next(&mut leases).await];
    let heard = waits(queue, QueueKind::Events, 0).await.consumers;
    assert!(heard.is_none_or(|consumers| consumers > 0), "{heard:?}");
    waits(queue, QueueKind::Deliveries, 0).await;
    for lease in taken {
        settle(lease).await;
    }
    settle(next(&mut leases).await).await;
    waits(queue, QueueKind::Delayed, 0).await;
    leases.close().await;
    assert_eq!(seen(queue, true).await.len(), 1);
}

/// What a later version wrote is what it was after it was put off, byte for byte.
pub async fn what_is_newer_is_kept_as_it_is(queue: &dyn Queue) {
    let mut leases = begin(queue).await;
    let envelope = wire::Envelope {
        idempotency_key: "key-1".parse().ok(),
        trace: event(1).trace,
        accepted_at: Timestamp::from_unix_ms(1_700_000_000_123),
    };
    for event in [Some(envelope), None] {
        let bytes = br#"{"v":9,"what":"ever"}"#.to_vec();
        let newer = NewerMessage { version: 9, bytes, event };
        let delay = Delay::exactly(Duration::from_secs(1));
        publish(queue, Outgoing::Newer(&newer, delay)).await;
        nothing_comes(&mut leases).await;
        let lease = next(&mut leases).await;
        let Message::Newer(came) = &lease.message else { panic!("{lease:?}") };
        assert_eq!(*came, newer);
        settle(lease).await;
    }
    leases.close().await;
}

/// What is not settled comes again, and says how often.
pub async fn what_is_not_settled_comes_again(queue: &dyn Queue) {
    let mut leases = begin(queue).await;
    publish(queue, Outgoing::Event(&event(1))).await;
    for round in 0..3 {
        let lease = next(&mut leases).await;
        assert_eq!(lease.redeliveries, round);
        drop(lease);
    }
    settle(next(&mut leases).await).await;
    nothing_comes(&mut leases).await;
    leases.close().await;
}

/// In whatever order others are settled around it: the one that is given back comes again, and no other.
pub async fn one_among_many_comes_again(queue: &dyn Queue) {
    let mut leases = begin(queue).await;
    let mut held = Vec::new();
    for n in 0..PREFETCH {
        publish(queue, Outgoing::Event(&event(n.into()))).await;
        held.push(next(&mut leases).await);
    }
    let (odd, even): (Vec<_>, Vec<_>) = (0..).zip(held).partition(|(n, _)| n % 2 == 1);
    let mut odd = odd.into_iter().map(|(_, lease)| lease).rev();
    let one = odd.next().expect("there are some");
    let id = event_id(&one.message);
    for (_, lease) in even {
        settle(lease).await;
    }
    drop(one);
    for lease in odd {
        settle(lease).await;
    }
    let again = next(&mut leases).await;
    assert_eq!(event_id(&again.message), id);
    settle(again).await;
    nothing_comes(&mut leases).await;
    leases.close().await;
    let mut leases = begin(queue).await;
    nothing_comes(&mut leases).await;
    leases.close().await;
}

/// Unsettled messages are bounded, and closing gives back what was fetched and not handed out.
pub async fn leasing_is_bounded(queue: &dyn Queue) {
    let count = u32::from(PREFETCH) + 5;
    for n in 0..count {
        publish(queue, Outgoing::Event(&event(n))).await;
    }
    let mut first = begin(queue).await;
    let held = next(&mut first).await;
    let mut ids = vec![event_id(&held.message)];
    let mut second = begin(queue).await;
    let mut settle_some = async |count: u16| {
        for _ in 0..count {
            let lease = next(&mut second).await;
            ids.push(event_id(&lease.message));
            settle(lease).await;
        }
    };
    settle_some(5).await;
    first.close().await;
    settle_some(PREFETCH - 1).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count as usize, "each message is in one pair of hands");
    // A lease outlives the intake that it came from.
    settle(held).await;
    nothing_comes(&mut second).await;
    second.close().await;
}

/// A delay is kept to the second, and a shorter one does not wait behind a longer one.
pub async fn delays_are_kept(queue: &dyn Queue) {
    let mut leases = begin(queue).await;
    let begun = Instant::now();
    let waits = [3_u32, 1, 2];
    for seconds in waits {
        let delay = Delay::exactly(Duration::from_secs(seconds.into()));
        publish(queue, Outgoing::Delivery(&delivery(seconds), delay)).await;
    }
    for seconds in [1_u32, 2, 3] {
        let lease = next(&mut leases).await;
        assert_eq!(event_id(&lease.message), Some(event(seconds).id));
        // A broker may count milliseconds from the beginning of the present one.
        let earliest = Duration::from_millis(u64::from(seconds) * 1000 - 20);
        assert!(begun.elapsed() >= earliest, "{seconds} s were {:?}", begun.elapsed());
        settle(lease).await;
    }
    nothing_comes(&mut leases).await;
    leases.close().await;
}

async fn seen(queue: &dyn Queue, settled: bool) -> Vec<(DeadLetter, Option<Receipt>)> {
    let mut pass = queue.pass().await.expect("a pass");
    let mut letters = Vec::new();
    while let Some((letter, receipt)) =
        timeout(SOON, pass.next()).await.expect("the pass goes on").expect("a letter")
    {
        if settled {
            receipt.settle().await.expect("settled");
            letters.push((letter, None));
        } else {
            letters.push((letter, Some(receipt)));
        }
    }
    letters
}

/// A pass sees what was there when it began, once; what it does not settle stays.
pub async fn passes_see_everything_once(queue: &dyn Queue) {
    for n in 0..5 {
        publish(queue, Outgoing::DeadLetter(&letter(n))).await;
    }
    let unsettled = seen(queue, false).await;
    let ids = |letters: &[(DeadLetter, Option<Receipt>)]| {
        let mut ids: Vec<_> = letters.iter().map(|(letter, _)| letter.id.to_string()).collect();
        ids.sort();
        ids
    };
    let all = ids(&unsettled);
    assert_eq!(all.len(), 5);
    drop(unsettled);

    // What is put back during the pass, or comes new, is not its business.
    let mut pass = queue.pass().await.expect("a pass");
    let second = queue.pass().await.err();
    assert!(matches!(second, Some(QueueError::PassBusy)), "one at a time: {second:?}");
    publish(queue, Outgoing::DeadLetter(&letter(9))).await;
    let mut count = 0;
    while let Some((letter, receipt)) =
        timeout(SOON, pass.next()).await.expect("the pass goes on").expect("a letter")
    {
        publish(queue, Outgoing::DeadLetter(&letter)).await;
        receipt.settle().await.expect("settled");
        count += 1;
    }
    assert_eq!(count, 5);
    drop(pass);
    assert_eq!(until_free(queue).await.len(), 6);
    assert!(until_free(queue).await.is_empty());
}

/// The end of the pass before may take a moment to arrive.
async fn until_free(queue: &dyn Queue) -> Vec<DeadLetter> {
    let end = Instant::now() + SOON;
    while matches!(queue.pass().await.err(), Some(QueueError::PassBusy)) {
        assert!(Instant::now() < end, "the pass before does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(NEVER).await;
    seen(queue, true).await.into_iter().map(|(letter, _)| letter).collect()
}
