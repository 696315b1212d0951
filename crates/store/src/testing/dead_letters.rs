//! The view of the dead letters.

use std::sync::Arc;

use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, Delivery, Event, Remains,
    Timestamp,
};

use super::{Scene, at};
use crate::{PageRequest, Store};

/// Letters shown on a page of these tests.
const PAGE: usize = 3;
/// Letters with one and the same time: more than a page.
const AT_ONCE: u64 = 5;

/// Letters are listed newest first, filtered, and counted.
///
/// Clears the whole view: nothing else may use it meanwhile.
pub async fn dead_letters(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "dl");
    store.clear_dead_letters().await.expect("they are hidden");
    let letters = letters(&scene);
    for letter in letters.iter().rev() {
        show(&scene, letter).await;
    }
    one(&scene, &letters[0]).await;
    lists(&scene, &letters).await;
    filters(&scene, &letters).await;
    strange_cursors(&scene).await;
    hidden(&scene, &letters).await;

    store.clear_dead_letters().await.expect("they are hidden");
    assert_eq!(count(&scene, &all()).await, 0, "cleared");
    assert_eq!(pages(&scene, &all()).await, [], "cleared");
    let first = store.dead_letter(&letters[0].id).await;
    assert!(first.expect("it is read").is_none(), "cleared");
    show(&scene, &letters[0]).await;
    assert_eq!(count(&scene, &all()).await, 1, "shown after clearing");
    store.clear_dead_letters().await.expect("they are hidden");
}

fn all() -> DeadLetterFilter {
    DeadLetterFilter::default()
}

/// One letter of each kind of remains, and then many of the same time.
fn letters(scene: &Scene<'_>) -> Vec<DeadLetter> {
    let raw = DeadLetter {
        id: scene.id("raw"),
        reason: DeadLetterReason::Malformed,
        died_at: at(100),
        remains: Remains::Raw {
            bytes: b"\xff{no JSON".to_vec(),
            error: "no JSON".to_owned(),
            idempotency_key: Some(scene.id("key")),
            trace: None,
        },
    };
    let event = DeadLetter {
        id: scene.id("event"),
        reason: DeadLetterReason::Poison,
        died_at: at(101),
        remains: Remains::Event(Arc::new(scene.event("poison"))),
    };
    let other = Event {
        tenant: scene.id("other"),
        event_type: "order.lost".parse().expect("it is an event type"),
        ..scene.event("lost")
    };
    let other = letter(scene, other, "b", DeadLetterReason::Gone, at(102));
    let many = (0..AT_ONCE).map(|n| {
        let event = scene.event(&format!("many{n}"));
        letter(scene, event, "a", DeadLetterReason::Exhausted, at(200))
    });
    [raw, event, other].into_iter().chain(many).collect()
}

fn letter(
    scene: &Scene<'_>,
    event: Event,
    endpoint: &str,
    reason: DeadLetterReason,
    died_at: Timestamp,
) -> DeadLetter {
    let delivery = Delivery::first(Arc::new(event), scene.id(endpoint));
    DeadLetter::of_delivery(delivery, reason, died_at)
}

async fn show(scene: &Scene<'_>, letter: &DeadLetter) {
    let shown = scene.store.show_dead_letter(letter).await;
    shown.expect("the letter is shown");
}

async fn count(scene: &Scene<'_>, filter: &DeadLetterFilter) -> u64 {
    let count = scene.store.count_dead_letters(filter).await;
    count.expect("they are counted")
}

/// The ids on all pages. No page is too long, and none comes after the last one.
async fn pages(scene: &Scene<'_>, filter: &DeadLetterFilter) -> Vec<DeadLetterId> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest { limit: PAGE, cursor: cursor.clone() };
        let page = scene.store.dead_letters(filter, &request).await;
        let page = page.expect("a page is read");
        assert!(page.items.len() <= PAGE, "a page of {}", page.items.len());
        ids.extend(page.items.into_iter().map(|letter| letter.id));
        if page.next_cursor.is_none() {
            return ids;
        }
        assert_ne!(page.next_cursor, cursor, "each page goes on");
        cursor = page.next_cursor;
    }
}

/// What is read is what was shown first.
async fn one(scene: &Scene<'_>, raw: &DeadLetter) {
    let later = DeadLetter { died_at: at(300), ..raw.clone() };
    show(scene, &later).await;
    let read = scene.store.dead_letter(&raw.id).await;
    let read = read.expect("it is read").expect("it is there");
    assert_eq!(read.died_at, raw.died_at, "again changes nothing");
    assert_eq!(read.reason, raw.reason);
    match (&read.remains, &raw.remains) {
        (Remains::Raw { bytes: read, .. }, Remains::Raw { bytes, .. }) => assert_eq!(read, bytes),
        (read, _) => panic!("raw bytes became {read:?}"),
    }
    let unknown = scene.store.dead_letter(&scene.id("unknown")).await;
    assert!(unknown.expect("it is read").is_none(), "never shown");
}

async fn lists(scene: &Scene<'_>, letters: &[DeadLetter]) {
    let ids = pages(scene, &all()).await;
    assert_eq!(ids.len(), letters.len(), "each letter once");
    assert_eq!(count(scene, &all()).await, letters.len() as u64);
    let at_once = usize::try_from(AT_ONCE).expect("it is small");
    let (newest, older) = ids.split_at(at_once);
    let expected = [&letters[2].id, &letters[1].id, &letters[0].id];
    assert_eq!(older.iter().collect::<Vec<_>>(), expected, "newest first");
    let mut newest: Vec<_> = newest.iter().collect();
    let mut expected: Vec<_> = letters[3..].iter().map(|letter| &letter.id).collect();
    newest.sort();
    expected.sort();
    assert_eq!(newest, expected, "those of one time, in any order, once");
}

async fn filters(scene: &Scene<'_>, letters: &[DeadLetter]) {
    let filters = [
        DeadLetterFilter { tenant: Some(scene.id("other")), ..all() },
        DeadLetterFilter { endpoint: Some(scene.id("a")), ..all() },
        DeadLetterFilter {
            event_type: Some("order.lost".parse().expect("it is an event type")),
            ..all()
        },
        DeadLetterFilter { reason: Some(DeadLetterReason::Malformed), ..all() },
        DeadLetterFilter { since: Some(at(101)), until: Some(at(200)), ..all() },
        DeadLetterFilter {
            ids: vec![letters[4].id.clone(), scene.id("no"), letters[0].id.clone()],
            ..all()
        },
        DeadLetterFilter { ids: vec![letters[4].id.clone(), letters[4].id.clone()], ..all() },
        DeadLetterFilter {
            ids: vec![letters[4].id.clone(), letters[0].id.clone()],
            tenant: Some(scene.tenant()),
            ..all()
        },
        DeadLetterFilter { tenant: Some(scene.id("unknown")), ..all() },
    ];
    for filter in filters {
        let matching = letters.iter().filter(|letter| filter.matches(letter));
        let mut expected: Vec<_> = matching.map(|letter| letter.id.clone()).collect();
        expected.sort();
        assert_eq!(count(scene, &filter).await, expected.len() as u64, "{filter:?}");
        let mut ids = pages(scene, &filter).await;
        ids.sort();
        assert_eq!(ids, expected, "{filter:?}");
    }
}

async fn strange_cursors(scene: &Scene<'_>) {
    for cursor in ["", "_", "nonsense", "1_2_3", "-1_✓", "99999999999999999999_x"] {
        let request = PageRequest { limit: PAGE, cursor: Some(cursor.to_owned()) };
        let page = scene.store.dead_letters(&all(), &request).await;
        assert!(page.is_ok(), "cursor {cursor:?} is no error of the store's");
    }
    let request = PageRequest { limit: PAGE, cursor: Some("nonsense".to_owned()) };
    let page = scene.store.dead_letters(&all(), &request).await;
    let page = page.expect("a page is read");
    assert_eq!(page.items.len(), PAGE, "like no cursor");
}

async fn hidden(scene: &Scene<'_>, letters: &[DeadLetter]) {
    let hide = async |ids: &[DeadLetterId]| {
        let hidden = scene.store.hide_dead_letters(ids).await;
        hidden.expect("they are hidden");
    };
    hide(&[]).await;
    hide(&[letters[1].id.clone(), scene.id("unknown")]).await;
    hide(&[letters[1].id.clone()]).await;
    let left = letters.len() as u64 - 1;
    assert_eq!(count(scene, &all()).await, left, "the others stay");
    assert!(!pages(scene, &all()).await.contains(&letters[1].id));
    let read = scene.store.dead_letter(&letters[1].id).await;
    assert!(read.expect("it is read").is_none(), "hidden");
}
