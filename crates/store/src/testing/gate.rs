//! The gate before an attempt.

use hookfleet_domain::Timestamp;

use super::{Case, Scene, at};
use crate::{Beginning, Entry, Passage, Planned, Stage, Store, WaitReason};

/// An attempt is made by one worker at a time, and never after it was settled.
pub async fn gate(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "gate");
    leases(&scene).await;
    a_dead_owner(&scene).await;
    settled(&scene).await;
    generations(&scene).await;
    many_at_once(&scene).await;
    begun(&scene).await;
    begun_before(&scene).await;
}

#[track_caller]
fn check_waits(answer: Passage, seconds_min: u64, seconds_max: u64, what: &str) {
    let Passage::Wait { until, reason } = answer else {
        panic!("{what}: {answer:?}");
    };
    assert_eq!(reason, WaitReason::Leased, "{what}");
    let expected = at(seconds_min)..=at(seconds_max);
    assert!(expected.contains(&until), "{what}: until {until}");
}

async fn leases(scene: &Scene<'_>) {
    let case = Case::new(scene, "lease", "ep");
    case.alive("a").await;
    assert_eq!(case.enter(1, "a", at(0)).await, Passage::Go, "the first");
    let answer = case.enter(1, "b", at(10)).await;
    check_waits(answer, 11, 60, "another worker");
    let answer = case.enter(1, "a", at(10)).await;
    check_waits(answer, 11, 60, "the same worker, which is still at it");
    let answer = case.enter(1, "b", at(59)).await;
    check_waits(answer, 60, 60, "never beyond the lease");
    assert_eq!(case.enter(1, "b", at(60)).await, Passage::Go, "the lease has ended");
    case.alive("b").await;
    let answer = case.enter(1, "a", at(61)).await;
    check_waits(answer, 62, 120, "the lease belongs to the other one now");
}

async fn a_dead_owner(scene: &Scene<'_>) {
    let case = Case::new(scene, "gone", "ep");
    assert_eq!(case.enter(1, "a", at(0)).await, Passage::Go);
    assert_eq!(case.enter(1, "b", at(1)).await, Passage::Go, "its owner gave no sign of life");
    case.alive("b").await;
    let answer = case.enter(1, "c", at(2)).await;
    check_waits(answer, 3, 61, "who took over gave one");
}

async fn settled(scene: &Scene<'_>) {
    let case = Case::new(scene, "settled", "ep");
    case.alive("a").await;
    case.enter(1, "a", at(0)).await;
    case.record(1, 500, Stage::Retrying).await;
    assert_eq!(case.enter(1, "b", at(2)).await, Passage::Skip, "settled by another worker");
    assert_eq!(
        case.enter(2, "b", at(2)).await,
        Passage::Go,
        "the next attempt; the old lease is gone"
    );
    case.record(2, 200, Stage::Delivered).await;
    for attempt in [1, 2, 3] {
        let answer = case.enter(attempt, "c", at(3)).await;
        assert_eq!(answer, Passage::Skip, "attempt {attempt} after delivery");
    }

    let case = Case::new(scene, "dead", "ep");
    case.enter(1, "a", at(0)).await;
    case.record(1, 410, Stage::Dead).await;
    assert_eq!(case.enter(2, "a", at(2)).await, Passage::Skip, "dead is dead");
}

async fn generations(scene: &Scene<'_>) {
    let old = Case::new(scene, "generation", "ep");
    old.alive("a").await;
    old.enter(1, "a", at(0)).await;
    old.record(1, 500, Stage::Dead).await;
    let new = old.replayed();
    assert_eq!(
        new.enter(1, "b", at(2)).await,
        Passage::Go,
        "a dead delivery begun anew starts with its first attempt"
    );
    assert_eq!(old.enter(2, "c", at(3)).await, Passage::Skip, "the old generation is over");
    let newer = new.replayed();
    assert_eq!(
        newer.enter(1, "c", at(3)).await,
        Passage::Go,
        "a lease of an old generation holds up nobody"
    );
}

async fn many_at_once(scene: &Scene<'_>) {
    let leased = Case::new(scene, "many", "leased");
    leased.alive("a").await;
    leased.enter(1, "a", at(0)).await;
    let done = Case::new(scene, "many", "done");
    done.record(1, 200, Stage::Delivered).await;
    let fresh = Case::new(scene, "many", "fresh");

    let [done, leased, fresh] = [&done, &leased, &fresh].map(|case| case.enter(1, "b", at(1)));
    let answers = tokio::join!(done, leased, fresh);
    assert_eq!(answers.0, Passage::Skip, "each has its own answer");
    check_waits(answers.1, 2, 60, "each has its own answer");
    assert_eq!(answers.2, Passage::Go, "each has its own answer");
}

/// Who begins with an event has the first attempts of those that are ready, and of no others.
async fn begun(scene: &Scene<'_>) {
    let [ready, waiting] = ["ready", "waiting"].map(|to| Case::new(scene, "begun", to));
    ready.alive("a").await;
    assert!(begin(&ready, "a", at(0), [(&ready, true), (&waiting, false)]).await);
    let to: Vec<_> = scene.known(&ready.event).await.deliveries;
    let to: Vec<_> = to.into_iter().map(|to| (to.endpoint, to.stage, to.attempts)).collect();
    let pending = |case: &Case<'_>| (case.endpoint.clone(), Stage::Pending, 0);
    assert_eq!(to, [pending(&ready), pending(&waiting)], "both are remembered");

    assert_eq!(waiting.enter(1, "b", at(1)).await, Passage::Go, "it is nobody's");
    let answer = ready.enter(1, "b", at(10)).await;
    check_waits(answer, 11, 60, "another worker");
    let answer = ready.enter(1, "a", at(10)).await;
    check_waits(answer, 11, 60, "the same worker, which is still at it");
    let answer = ready.replayed().enter(1, "b", at(10)).await;
    assert_eq!(answer, Passage::Go, "begun anew");
    let other = Case::new(scene, "begun-too", "ready");
    assert_eq!(other.enter(1, "b", at(10)).await, Passage::Go, "another event");

    let late = Case::new(scene, "begun-late", "ready");
    late.alive("a").await;
    assert!(begin(&late, "a", at(0), [(&late, true)]).await);
    assert_eq!(late.enter(1, "b", at(60)).await, Passage::Go, "the lease has ended");
    let gone = Case::new(scene, "begun-gone", "ready");
    assert!(begin(&gone, "z", at(0), [(&gone, true)]).await);
    assert_eq!(gone.enter(1, "b", at(1)).await, Passage::Go, "its owner gave no sign of life");

    for (name, stage, status) in
        [("begun-done", Stage::Delivered, 200), ("begun-failed", Stage::Retrying, 503)]
    {
        let case = Case::new(scene, name, name);
        assert!(begin(&case, "a", at(0), [(&case, true)]).await);
        assert!(case.record(1, status, stage).await.first, "{name}");
        assert!(!case.record(1, status, stage).await.first, "{name}, again");
        assert_eq!(case.enter(1, "b", at(2)).await, Passage::Skip, "{name}: it is settled");
    }
}

/// An event is begun once; after that, every delivery passes the gate.
async fn begun_before(scene: &Scene<'_>) {
    let [first, second] = ["first", "second"].map(|to| Case::new(scene, "twice", to));
    first.alive("a").await;
    scene.remember(&first.event, None).await;
    assert!(begin(&first, "a", at(0), [(&first, true)]).await, "it was only accepted");
    let both = [(&first, true), (&second, true)];
    assert!(!begin(&first, "b", at(1), both).await, "not again");
    let to = scene.known(&first.event).await.deliveries;
    let to: Vec<_> = to.into_iter().map(|to| to.endpoint).collect();
    assert_eq!(to, [first.endpoint.clone(), second.endpoint.clone()], "those before, too");
    check_waits(first.enter(1, "b", at(2)).await, 3, 60, "its lease is the first one's");
    assert_eq!(second.enter(1, "b", at(2)).await, Passage::Go, "nothing was leased again");
}

async fn begin<const N: usize>(
    of: &Case<'_>,
    worker: &str,
    now: Timestamp,
    deliveries: [(&Case<'_>, bool); N],
) -> bool {
    let Entry { owner, lease_until, .. } = of.entry(1, worker, now);
    let planned =
        |(case, ready): (&Case<'_>, bool)| Planned { endpoint: case.endpoint.clone(), ready };
    let deliveries = &deliveries.map(planned);
    let beginning = Beginning { event: &of.event, deliveries, owner: &owner, lease_until };
    of.store.begin(&beginning, now).await.expect("the event is begun")
}
