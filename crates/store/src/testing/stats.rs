//! Counts over time.

use hookfleet_domain::{TenantId, Timestamp};

use super::{Scene, at};
use crate::{Bucket, EndpointCount, EndpointTally, Step, Store, Tally, Worst};

/// What was added is in its minute and in its hour, of its tenant alone; the worst endpoints are found.
pub async fn stats(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "sta");
    buckets(&scene).await;
    worst(&scene).await;
}

const TALLY: Tally =
    Tally { events: 1, delivered: 300, failed: 3, dead_letters: 2, duration_ms: 4_000_000_000 };

async fn add(scene: &Scene<'_>, when: Timestamp, tallies: &[(Option<TenantId>, Tally)]) {
    scene.store.add_tallies(when, tallies).await.expect("they are added");
}

async fn read(
    scene: &Scene<'_>,
    tenant: Option<&TenantId>,
    step: Step,
    span: (Timestamp, Timestamp),
) -> Vec<Bucket> {
    scene.store.tallies(tenant, step, span).await.expect("they are read")
}

async fn buckets(scene: &Scene<'_>) {
    let (one, other) = (scene.tenant(), scene.id::<TenantId>("other"));
    let day = (at(0), at(24 * 3600));
    assert_eq!(read(scene, Some(&one), Step::Minute, day).await, [], "nothing yet");
    let small = Tally { delivered: 5, ..Tally::default() };
    add(scene, at(61), &[(Some(one.clone()), small), (Some(other.clone()), TALLY)]).await;
    add(scene, at(119), &[(Some(one.clone()), small)]).await;
    add(scene, at(3600 + 61), &[(Some(one.clone()), TALLY)]).await;

    let twice = Tally { delivered: 10, ..Tally::default() };
    let first = Bucket { at: at(60), tally: twice };
    let second = Bucket { at: at(3660), tally: TALLY };
    assert_eq!(read(scene, Some(&one), Step::Minute, day).await, [first, second]);
    let span = (at(61), at(3660));
    assert_eq!(read(scene, Some(&one), Step::Minute, span).await, [], "those that begin within");
    let span = (at(60), at(3661));
    assert_eq!(read(scene, Some(&one), Step::Minute, span).await, [first, second]);
    let hours = [Bucket { at: at(0), ..first }, Bucket { at: at(3600), ..second }];
    assert_eq!(read(scene, Some(&one), Step::Hour, day).await, hours);
    let of_other = [Bucket { at: at(60), tally: TALLY }];
    assert_eq!(read(scene, Some(&other), Step::Minute, day).await, of_other);
    assert_eq!(read(scene, Some(&other), Step::Minute, (day.1, day.0)).await, [], "upside down");

    let whole = async || {
        let buckets = read(scene, None, Step::Minute, (at(120), at(180))).await;
        buckets.first().map_or(0, |bucket| bucket.tally.delivered)
    };
    let before = whole().await;
    add(scene, at(125), &[(None, small)]).await;
    assert_eq!(whole().await, before + 5, "the whole fleet");
}

fn count(scene: &Scene<'_>, name: &str, tally: (u64, u64, u64)) -> EndpointCount {
    let (attempts, failures, duration_ms) = tally;
    let tally = EndpointTally { attempts, failures, duration_ms };
    EndpointCount { tenant: scene.tenant(), endpoint: scene.id(name), tally }
}

async fn worst(scene: &Scene<'_>) {
    let count = |name, tally| count(scene, name, tally);
    let add = async |when, counts: &[EndpointCount]| {
        scene.store.add_endpoint_tallies(when, counts).await.expect("they are added");
    };
    let worst = async |tenant, which, now, max| {
        scene.store.worst_endpoints(tenant, which, now, max).await.expect("they are read")
    };
    let (slow, failing) = (count("slow", (2, 0, 2_000_000)), count("failing", (90, 80, 900)));
    let (fine, some) = (count("fine", (1000, 0, 5000)), count("some", (10, 1, 100)));
    add(at(10), &[fine.clone(), slow.clone(), some.clone()]).await;
    add(at(3700), std::slice::from_ref(&failing)).await;
    add(at(3700), &[count("some", (10, 1, 100))]).await;

    let tenant = scene.tenant();
    let both = count("some", (20, 2, 200));
    let now = at(3600 + 1800);
    assert_eq!(
        worst(Some(&tenant), Worst::Failing, now, 9).await,
        [failing.clone(), both.clone()],
        "this hour and the one before, without those that never failed"
    );
    assert_eq!(
        worst(Some(&tenant), Worst::Failing, now, 1).await.as_slice(),
        std::slice::from_ref(&failing)
    );
    let order = [slow.clone(), failing.clone(), both, fine];
    assert_eq!(worst(Some(&tenant), Worst::Slowest, now, 9).await, order);
    let later = worst(Some(&tenant), Worst::Failing, at(7200), 9).await;
    assert_eq!(later, [failing.clone(), count("some", (10, 1, 100))], "an hour later");
    assert_eq!(worst(Some(&tenant), Worst::Slowest, at(4 * 3600), 9).await, [], "forgotten");
    let other = scene.id::<TenantId>("other");
    assert_eq!(worst(Some(&other), Worst::Slowest, now, 9).await, [], "another tenant's");
    assert!(worst(None, Worst::Slowest, now, 200).await.contains(&slow), "of the whole fleet");
    assert!(worst(None, Worst::Failing, now, 200).await.contains(&failing), "of the whole fleet");
}
