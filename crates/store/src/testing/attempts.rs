//! An endpoint's attempt log.

use hookfleet_domain::{EndpointHealth, limits};

use super::{Case, Scene};
use crate::{Stage, Store};

/// The log is whole, newest first, and bounded.
pub async fn attempts(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "log");
    let case = Case::new(&scene, "event", "ep");
    let read = async |limit| {
        let log = store.attempts(&case.endpoint, limit).await;
        log.expect("the log is read")
    };
    assert_eq!(read(10).await, [], "before the first attempt");

    case.record(1, 500, Stage::Retrying).await;
    case.record(2, 0, Stage::Retrying).await;
    case.record(2, 0, Stage::Retrying).await;
    let expected = [case.made(2, 0), case.made(1, 500)];
    assert_eq!(read(10).await, expected, "whole, newest first, none twice");
    assert_eq!(read(1).await, expected[..1], "as many as asked for");
    assert_eq!(read(0).await, [], "none asked for");

    let kept = u32::try_from(limits::ATTEMPTS_KEPT_MAX).expect("it is small");
    for attempt in 3..=2 * kept {
        case.record(attempt, 500, Stage::Retrying).await;
    }
    let log = read(usize::MAX).await;
    assert_eq!(log.len(), limits::ATTEMPTS_KEPT_MAX, "the log is bounded");
    assert_eq!(log[0], case.made(2 * kept, 500), "the newest stay");
    of_a_removed_endpoint(&scene).await;
}

/// Nothing of what succeeded before comes back after it.
async fn of_a_removed_endpoint(scene: &Scene<'_>) {
    for event in ["first", "second", "third"] {
        Case::new(scene, event, "gone").record(1, 200, Stage::Delivered).await;
    }
    let endpoint = scene.id("gone");
    let removed = scene.store.remove_endpoint(&scene.tenant(), &endpoint).await;
    removed.expect("it is removed");
    let log = scene.store.attempts(&endpoint, 10).await;
    assert_eq!(log.expect("the log is read"), [], "its log went with it");
    let health = scene.store.endpoint_health(std::slice::from_ref(&endpoint)).await;
    assert_eq!(health.expect("it is read"), [EndpointHealth::default()], "and its counts");
}
