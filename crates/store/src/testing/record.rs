//! The record after an attempt, and what it says of the endpoint.

use hookfleet_domain::EndpointHealth;

use super::{Case, Scene, at};
use crate::{Passage, Recorded, Stage, Store};

/// An attempt is counted once; a success always settles.
pub async fn record(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "rec");
    counters(&scene).await;
    a_success_after_a_failure(&scene).await;
    without_an_attempt(&scene).await;
    old_generations(&scene).await;
}

#[track_caller]
fn check(recorded: Recorded, first: bool, failure_count: u64, what: &str) {
    let expected = Recorded { first, failure_count };
    assert_eq!(recorded, expected, "{what}");
}

async fn health(case: &Case<'_>) -> EndpointHealth {
    let ids = std::slice::from_ref(&case.endpoint);
    let health = case.store.endpoint_health(ids).await;
    health.expect("the health is read")[0]
}

async fn counters(scene: &Scene<'_>) {
    let case = Case::new(scene, "count", "count");
    let unknown = EndpointHealth::default();
    assert_eq!(health(&case).await, unknown, "nothing was attempted yet");

    let retrying = Stage::Retrying;
    check(case.record(1, 500, retrying).await, true, 1, "a failure");
    check(case.record(1, 500, retrying).await, false, 1, "it, again");
    check(case.record(2, 0, retrying).await, true, 2, "no answer");
    let expected =
        EndpointHealth { failure_count: 2, failures: 2, last_failure_at: Some(at(3)), ..unknown };
    assert_eq!(health(&case).await, expected, "after two failures");

    let delivered = Stage::Delivered;
    check(case.record(3, 200, delivered).await, true, 2, "a success ends two failures");
    check(case.record(3, 200, delivered).await, false, 0, "it, again");
    let expected =
        EndpointHealth { failure_count: 0, successes: 1, last_success_at: Some(at(4)), ..expected };
    assert_eq!(health(&case).await, expected, "after a success");

    let next = Case::new(scene, "count2", "count");
    let dead = next.record(1, 500, Stage::Dead).await;
    check(dead, true, 1, "another event's failure counts from zero");

    let ids = [scene.id("unknown"), case.endpoint.clone()];
    let both = scene.store.endpoint_health(&ids).await;
    let both = both.expect("the health is read");
    assert_eq!(both[0], unknown, "in the order of the ids");
    assert_eq!(both[1].failures, 3, "in the order of the ids");
}

/// A worker that was taken for dead comes back with a success, after another one recorded a
/// failure of the same attempt.
async fn a_success_after_a_failure(scene: &Scene<'_>) {
    for stage in [Stage::Retrying, Stage::Dead] {
        let name = stage.label();
        let case = Case::new(scene, name, name);
        check(case.record(1, 503, stage).await, true, 1, name);
        check(case.record(1, 200, Stage::Delivered).await, true, 1, name);
        let answer = case.enter(2, "a", at(9)).await;
        assert_eq!(answer, Passage::Skip, "delivered after {name}");
        let late = case.record(2, 503, Stage::Retrying).await;
        check(late, false, 0, "a failure after the delivery");
    }
}

async fn without_an_attempt(scene: &Scene<'_>) {
    let case = Case::new(scene, "none", "none");
    case.record(1, 500, Stage::Retrying).await;
    check(case.settle(None, Stage::Dead).await, true, 1, "given up");
    check(case.settle(None, Stage::Dead).await, false, 1, "again");
    assert_eq!(health(&case).await.failures, 1, "no request, no failure");
    let log = case.store.attempts(&case.endpoint, 10).await;
    assert_eq!(log.expect("the log is read").len(), 1, "nor a line");
    let answer = case.enter(2, "a", at(9)).await;
    assert_eq!(answer, Passage::Skip, "given up is given up");
}

async fn old_generations(scene: &Scene<'_>) {
    let old = Case::new(scene, "old", "old");
    old.record(1, 500, Stage::Dead).await;
    let new = old.replayed();
    new.enter(1, "a", at(5)).await;
    let late = old.record(2, 500, Stage::Dead).await;
    check(late, false, 1, "a failure of an old generation");
    let late = old.record(2, 200, Stage::Delivered).await;
    check(late, false, 1, "a success of an old generation");
    let made = new.record(1, 500, Stage::Retrying).await;
    check(made, true, 2, "attempt 1 of the new one was not made yet");
}
