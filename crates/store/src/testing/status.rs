//! What became of an event.

use hookfleet_domain::{EndpointId, Generation};

use super::{Case, Scene, at};
use crate::{EventStatus, PageRequest, Passage, Progress, Stage, Store};

/// The status follows the deliveries from fan-out to their end.
pub async fn status(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "st");
    fan_out(&scene).await;
    paged(&scene).await;
    progress(&scene).await;
    reopened(&scene).await;
    recorded_first(&scene).await;
    discarded(&scene).await;
}

/// Fanned out to just this delivery's endpoint.
async fn planned(scene: &Scene<'_>, case: &Case<'_>) {
    let endpoints = std::slice::from_ref(&case.endpoint);
    scene.remember(&case.event, Some(endpoints)).await;
}

async fn only(scene: &Scene<'_>, case: &Case<'_>) -> Progress {
    let deliveries = scene.known(&case.event).await.deliveries;
    let mine = deliveries.into_iter().find(|progress| progress.endpoint == case.endpoint);
    mine.expect("the delivery is known")
}

async fn fan_out(scene: &Scene<'_>) {
    let mut event = scene.event("fan");
    event.project = Some("shop".parse().expect("it is a project"));
    let tenant = &event.tenant;
    let unknown = scene.store.event_status(tenant, &event.id).await;
    assert_eq!(unknown.expect("it is read"), None, "not heard of yet");

    scene.remember(&event, None).await;
    let expected = EventStatus {
        id: event.id.clone(),
        tenant: event.tenant.clone(),
        event_type: event.event_type.clone(),
        project: event.project.clone(),
        timestamp: event.timestamp,
        accepted_at: event.accepted_at,
        fanned_out: false,
        deliveries: Vec::new(),
    };
    assert_eq!(scene.known(&event).await, expected, "accepted");
    let other = scene.id("other");
    let of_other = scene.store.event_status(&other, &event.id).await;
    assert_eq!(of_other.expect("it is read"), None, "another tenant's");

    scene.remember(&event, Some(&[])).await;
    let expected = EventStatus { fanned_out: true, ..expected };
    assert_eq!(scene.known(&event).await, expected, "for nobody");

    scene.remember(&event, Some(&[scene.id("a")])).await;
    scene.remember(&event, Some(&[scene.id("a"), scene.id("b")])).await;
    scene.remember(&event, None).await;
    let status = scene.known(&event).await;
    assert!(status.fanned_out, "it stays fanned out");
    let mut to: Vec<_> = status.deliveries.iter().map(|to| &to.endpoint).collect();
    to.sort();
    assert_eq!(to, [&scene.id("a"), &scene.id("b")], "those before, too");
    let pending = |to: &Progress| to.stage == Stage::Pending && to.attempts == 0;
    assert!(status.deliveries.iter().all(pending), "not begun");
}

/// Deliveries come in pages, in the order of their endpoints; the event is on each of them.
async fn paged(scene: &Scene<'_>) {
    let event = scene.event("paged");
    let endpoints = ["c", "a", "b"].map(|name| scene.id::<EndpointId>(name));
    scene.remember(&event, Some(&endpoints)).await;
    let page = async |limit: usize, cursor: Option<String>| {
        let request = PageRequest { limit, cursor };
        let found = scene.store.event_page(&event.tenant, &event.id, &request).await;
        let (status, next) = found.expect("the page is read").expect("it is known");
        assert_eq!(status.event_type, event.event_type);
        let to: Vec<_> = status.deliveries.into_iter().map(|to| to.endpoint).collect();
        (to, next)
    };
    let (first, next) = page(2, None).await;
    assert_eq!(first, [scene.id("a"), scene.id("b")]);
    assert!(next.is_some(), "there is another one");
    assert_eq!(page(2, next).await, (vec![scene.id("c")], None));
    assert_eq!(page(3, None).await.1, None, "the last page is known to be the last");
}

async fn progress(scene: &Scene<'_>) {
    let case = Case::new(scene, "go", "go");
    planned(scene, &case).await;
    case.enter(1, "a", at(0)).await;
    let under_way = only(scene, &case).await;
    assert_eq!(under_way.stage, Stage::Pending, "under way");
    assert_eq!(under_way.attempts, 0, "under way");

    case.record(1, 503, Stage::Retrying).await;
    let expected = Progress {
        endpoint: case.endpoint.clone(),
        stage: Stage::Retrying,
        attempts: 1,
        http_status: Some(503),
        generation: Generation::FIRST,
        updated_at: Some(at(2)),
    };
    assert_eq!(only(scene, &case).await, expected, "failed once");

    case.enter(2, "a", at(3)).await;
    case.record(2, 0, Stage::Retrying).await;
    let expected = Progress { attempts: 2, http_status: None, updated_at: Some(at(3)), ..expected };
    assert_eq!(only(scene, &case).await, expected, "no answer");

    case.record(3, 200, Stage::Delivered).await;
    let expected = Progress {
        stage: Stage::Delivered,
        attempts: 3,
        http_status: Some(200),
        updated_at: Some(at(4)),
        ..expected
    };
    assert_eq!(only(scene, &case).await, expected, "delivered");
}

async fn reopened(scene: &Scene<'_>) {
    let case = Case::new(scene, "reopen", "reopen");
    planned(scene, &case).await;
    case.record(1, 500, Stage::Dead).await;
    assert_eq!(only(scene, &case).await.stage, Stage::Dead);

    let new = case.replayed();
    let reopen = async |case: &Case<'_>| {
        let (event, endpoint) = (&case.event.id, &case.endpoint);
        let reopened = scene.store.reopen(event, endpoint, case.generation).await;
        reopened.expect("it is begun anew");
    };
    reopen(&new).await;
    let expected = (Stage::Pending, 0, new.generation);
    let now = only(scene, &case).await;
    assert_eq!((now.stage, now.attempts, now.generation), expected, "anew");

    new.record(1, 200, Stage::Delivered).await;
    reopen(&new).await;
    reopen(&case).await;
    let now = only(scene, &case).await;
    assert_eq!(now.stage, Stage::Delivered, "its worker was quicker");
    assert_eq!(now.generation, new.generation, "an old one changes nothing");
}

/// A new generation counts its attempts from one, even where the store heard of neither its
/// beginning nor its gate.
async fn recorded_first(scene: &Scene<'_>) {
    let case = Case::new(scene, "first", "first");
    planned(scene, &case).await;
    case.record(3, 500, Stage::Dead).await;
    let new = case.replayed();
    new.record(1, 503, Stage::Retrying).await;
    let now = only(scene, &case).await;
    let expected = (Stage::Retrying, 1, new.generation);
    assert_eq!((now.stage, now.attempts, now.generation), expected);
}

async fn discarded(scene: &Scene<'_>) {
    let discard = async |case: &Case<'_>| {
        let (event, endpoint) = (&case.event.id, &case.endpoint);
        let discarded = scene.store.discard(event, endpoint, case.generation).await;
        discarded.expect("it is thrown away");
    };
    let case = Case::new(scene, "discard", "discard");
    planned(scene, &case).await;
    case.record(1, 500, Stage::Dead).await;
    discard(&case).await;
    assert_eq!(only(scene, &case).await.stage, Stage::Discarded);
    let answer = case.enter(2, "a", at(5)).await;
    assert_eq!(answer, Passage::Skip, "thrown away");

    let case = Case::new(scene, "late", "late");
    planned(scene, &case).await;
    case.record(1, 500, Stage::Dead).await;
    case.record(1, 200, Stage::Delivered).await;
    discard(&case).await;
    let now = only(scene, &case).await.stage;
    assert_eq!(now, Stage::Delivered, "a delivery is not taken back");

    let old = Case::new(scene, "older", "older");
    planned(scene, &old).await;
    old.record(1, 500, Stage::Dead).await;
    old.replayed().enter(1, "a", at(5)).await;
    discard(&old).await;
    let now = only(scene, &old).await.stage;
    assert_eq!(now, Stage::Pending, "an old one changes nothing");
}
