//! The breaker and the rate at the gate.

use std::time::Duration;

use hookfleet_domain::{Rate, Timestamp};

use super::{Case, Scene, at};
use crate::{Entry, Passage, Stage, Store, WaitReason};

/// Deliveries are held as [`hookfleet_domain::Throttle`] says, and told apart for each endpoint.
pub async fn throttle(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "throttle");
    breaker(&scene).await;
    rate(&scene).await;
}

fn later(at: Timestamp, ms: u64) -> Timestamp {
    at.after(Duration::from_millis(ms))
}

async fn enter(case: &Case<'_>, now: Timestamp, change: impl Fn(Entry) -> Entry) -> Passage {
    let entry = change(case.entry(1, "w", now));
    case.store.enter(&entry, now).await.expect("the gate answers")
}

/// Until when its breaker is open, as the list of all of them says.
async fn listed(case: &Case<'_>) -> Option<Timestamp> {
    let broken = case.store.broken_endpoints(1000).await.expect("they are listed");
    broken.into_iter().find(|(id, _)| *id == case.endpoint).map(|(_, until)| until)
}

async fn health(case: &Case<'_>) -> (Option<Timestamp>, u64) {
    let ids = std::slice::from_ref(&case.endpoint);
    let health = case.store.endpoint_health(ids).await.expect("the health is read")[0];
    (health.breaker_open_until, health.deferred)
}

/// Ten failures, each recorded one second after its number, open it until the 41st second.
async fn breaker(scene: &Scene<'_>) {
    let case = |name: &str| Case::new(scene, name, "broken");
    let failing = case("failing");
    for attempt in 1..=9 {
        failing.record(attempt, 500, Stage::Retrying).await;
    }
    assert_eq!(listed(&failing).await, None, "not yet broken");
    failing.record(10, 500, Stage::Retrying).await;
    let open_until = at(41);
    assert_eq!(listed(&failing).await, Some(open_until));
    let none = case("a").store.broken_endpoints(0).await.expect("they are listed");
    assert_eq!(none, [], "no more than asked for");
    assert_eq!(health(&failing).await, (Some(open_until), 0));

    let patient = |entry: Entry| Entry { patient_until: Some(at(100_000)), ..entry };
    let held = |until| Passage::Wait { until, reason: WaitReason::Breaker };
    assert_eq!(enter(&case("a"), at(12), patient).await, held(open_until), "it will try");
    let second = later(open_until, 5_000);
    assert_eq!(enter(&case("b"), at(13), patient).await, held(second), "the others come later");
    assert_eq!(health(&failing).await.1, 2, "both are counted");
    let hurried = |entry: Entry| Entry { patient_until: Some(at(40)), ..entry };
    assert_eq!(enter(&case("c"), at(13), hurried).await, Passage::Go, "it has no time to wait");
    assert_eq!(enter(&case("d"), at(13), |entry| entry).await, Passage::Go, "it must not wait");
    let elsewhere = Case::new(scene, "e", "works");
    assert_eq!(enter(&elsewhere, at(13), patient).await, Passage::Go, "another endpoint");

    assert_eq!(enter(&case("a"), at(42), patient).await, Passage::Go, "one tries");
    let probe_until = at(42 + 60);
    assert_eq!(enter(&case("b"), at(42), patient).await, held(probe_until));
    case("a").record(1, 200, Stage::Delivered).await;
    assert_eq!(health(&failing).await, (None, 3), "a success closes it");
    assert_eq!(listed(&failing).await, None, "closed");
    assert_eq!(enter(&case("b"), at(43), patient).await, Passage::Go);
}

async fn rate(scene: &Scene<'_>) {
    let rate: Rate = "2/s".parse().expect("it is a rate");
    let limited = |entry: Entry| Entry { rate: Some(rate), ..entry };
    let case = |name: &str| Case::new(scene, name, "limited");
    let held = |until| Passage::Wait { until, reason: WaitReason::Rate };
    let now = at(50);
    assert_eq!(enter(&case("1"), now, limited).await, Passage::Go);
    assert_eq!(enter(&case("2"), now, limited).await, held(later(now, 500)));
    assert_eq!(enter(&case("3"), now, limited).await, held(later(now, 1000)));
    assert_eq!(enter(&case("2"), now, limited).await, held(later(now, 500)), "the same time again");
    assert_eq!(enter(&case("2"), later(now, 500), limited).await, Passage::Go);
    assert_eq!(enter(&case("4"), later(now, 500), limited).await, held(later(now, 1500)));
    assert_eq!(enter(&case("3"), later(now, 1200), limited).await, Passage::Go, "a little late");
    let unlimited = enter(&case("5"), now, |entry| entry).await;
    assert_eq!(unlimited, Passage::Go, "whose limit was taken away meanwhile");
}
