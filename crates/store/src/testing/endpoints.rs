//! Registered endpoints, and how their changes are announced.

use std::time::Duration;

use hookfleet_domain::{DisabledReason, Endpoint, EndpointHealth, EndpointId};

use super::{Case, Scene, T0, at};
use crate::{Change, Changes, EndpointFilter, PageRequest, Stage, Store, Written};

/// A change that nobody hears of within this time was not announced.
const CHANGE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Endpoints are written whole, and no change overwrites another one.
pub async fn endpoints(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "ep");
    written(&scene).await;
    paged(&scene).await;
    replaced(&scene).await;
    disabled(&scene).await;
    removed(&scene).await;
}

async fn read(scene: &Scene<'_>, name: &str) -> Option<Endpoint> {
    let endpoint = scene.store.endpoint(&scene.tenant(), &scene.id(name)).await;
    endpoint.expect("the endpoint is read")
}

async fn add(scene: &Scene<'_>, endpoint: &Endpoint) {
    let added = scene.store.add_endpoint(endpoint).await;
    assert_eq!(added.expect("the endpoint is added"), Written::Yes);
}

/// Compares what the store carries; [`Endpoint`] has no equality, as it holds secrets.
#[track_caller]
fn check_same(actual: &Endpoint, expected: &Endpoint) {
    assert_eq!(actual.id, expected.id);
    assert_eq!(actual.tenant, expected.tenant);
    assert_eq!(actual.url, expected.url);
    assert_eq!(actual.name, expected.name);
    assert_eq!(actual.settings, expected.settings);
    assert_eq!(actual.secret, expected.secret);
    assert_eq!(actual.auth, expected.auth);
    assert_eq!(actual.active, expected.active);
    assert_eq!(actual.disabled_reason, expected.disabled_reason);
    assert_eq!(actual.updated_at, expected.updated_at);
    assert_eq!(actual.revision, expected.revision);
}

async fn written(scene: &Scene<'_>) {
    let none = scene.store.endpoints(&scene.tenant()).await;
    assert!(none.expect("they are read").is_empty(), "a new tenant");
    assert!(read(scene, "a").await.is_none(), "nothing is there yet");

    for name in ["b", "a", "c"] {
        add(scene, &scene.endpoint(name)).await;
    }
    let a = read(scene, "a").await.expect("it was added");
    check_same(&a, &scene.endpoint("a"));
    let all = scene.store.endpoints(&scene.tenant()).await;
    let all = all.expect("they are read");
    let ids: Vec<_> = all.iter().map(|endpoint| &endpoint.id).collect();
    let expected = [&scene.id("a"), &scene.id("b"), &scene.id("c")];
    assert_eq!(ids, expected, "all of them, by id");

    let tenants = scene.store.tenants().await.expect("they are read");
    let mine = tenants.iter().filter(|tenant| **tenant == scene.tenant());
    assert_eq!(mine.count(), 1, "once, however many endpoints");
    assert!(tenants.is_sorted(), "by name");

    let other = scene.id("other");
    let of_other = scene.store.endpoint(&other, &scene.id("a")).await;
    assert!(of_other.expect("it is read").is_none(), "another tenant's");
}

/// Pages are in the order of ids, whatever the filter, and tell of a next one only where there is one.
async fn paged(scene: &Scene<'_>) {
    let pages = async |filter: &EndpointFilter, limit: usize| {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let request = PageRequest { limit, cursor };
            let page = scene.store.endpoint_page(&scene.tenant(), filter, &request).await;
            let page = page.expect("the page is read");
            all.push(page.items.into_iter().map(|endpoint| endpoint.id).collect::<Vec<_>>());
            cursor = page.next_cursor;
            if cursor.is_none() {
                return all;
            }
        }
    };
    let all = EndpointFilter::default;
    let (a, b, c) = (scene.id("a"), scene.id("b"), scene.id("c"));
    assert_eq!(pages(&all(), 2).await, [vec![a, b], vec![c]]);
    let whole = [vec![scene.id("a"), scene.id("b"), scene.id("c")]];
    assert_eq!(pages(&all(), 3).await, whole, "the last page is known to be the last");

    let named = |text: String| EndpointFilter { search: Some(text), ..all() };
    let b: EndpointId = scene.id("b");
    assert_eq!(pages(&named(b.to_string().to_uppercase()), 1).await, [vec![b]], "in any case");
    assert_eq!(pages(&named("receiver.EXAMPLE".to_owned()), 3).await, whole, "by their URL");
    let wanting = "order.paid".parse().expect("it is an event type");
    let wanting = EndpointFilter { event_type: Some(wanting), active: Some(true), ..all() };
    let each = [vec![scene.id("a")], vec![scene.id("b")], vec![scene.id("c")]];
    assert_eq!(pages(&wanting, 1).await, each, "without patterns they want every event");
    for nobody in [
        EndpointFilter { active: Some(false), ..all() },
        EndpointFilter { project: Some(scene.id("shop")), ..all() },
    ] {
        assert_eq!(pages(&nobody, 1).await, [Vec::<EndpointId>::new()], "{nobody:?}");
    }

    let request = PageRequest { limit: 1, cursor: None };
    let page = scene.store.endpoint_page(&scene.tenant(), &all(), &request).await;
    let page = page.expect("the page is read");
    check_same(&page.items[0], &scene.endpoint("a"));
}

async fn replaced(scene: &Scene<'_>) {
    let replace = async |endpoint: &Endpoint| {
        let written = scene.store.replace_endpoint(endpoint).await;
        written.expect("the store answers")
    };
    let first = read(scene, "a").await.expect("it was added");
    let named = |name: &str| Endpoint {
        name: Some(name.to_owned()),
        revision: first.revision + 1,
        updated_at: at(1),
        ..first.clone()
    };
    assert_eq!(replace(&named("mine")).await, Written::Yes);
    assert_eq!(
        replace(&named("yours")).await,
        Written::Conflict,
        "of two changes to one revision the first wins"
    );
    let now = read(scene, "a").await.expect("it is there");
    check_same(&now, &named("mine"));

    let missing = scene.endpoint("missing");
    assert_eq!(replace(&missing).await, Written::Missing);
    assert!(read(scene, "missing").await.is_none(), "not made by the way");
}

async fn disabled(scene: &Scene<'_>) {
    let disable = async |name: &str| {
        let (tenant, id) = (scene.tenant(), scene.id(name));
        let gone = DisabledReason::Gone;
        let disabled = scene.store.disable_endpoint(&tenant, &id, gone, at(9)).await;
        disabled.expect("the store answers")
    };
    let before = read(scene, "b").await.expect("it was added");
    assert!(disable("b").await, "it was on");
    assert!(!disable("b").await, "it is off already");
    assert!(!disable("missing").await, "there is none");
    let expected = Endpoint {
        active: false,
        disabled_reason: Some(DisabledReason::Gone),
        updated_at: at(9),
        revision: before.revision + 1,
        ..before
    };
    check_same(&read(scene, "b").await.expect("it is there"), &expected);
}

async fn removed(scene: &Scene<'_>) {
    let case = Case::new(scene, "event", "c");
    case.record(1, 500, Stage::Retrying).await;
    let remove = async || {
        let removed = scene.store.remove_endpoint(&scene.tenant(), &case.endpoint).await;
        removed.expect("the store answers")
    };
    assert!(remove().await, "it was there");
    assert!(!remove().await, "it is gone already");
    assert!(read(scene, "c").await.is_none(), "it is gone");
    assert!(read(scene, "a").await.is_some(), "the others stay");
    let health = scene.store.endpoint_health(std::slice::from_ref(&case.endpoint)).await;
    let nothing = [EndpointHealth::default()];
    assert_eq!(health.expect("it is read"), nothing, "and its health");
    let log = scene.store.attempts(&case.endpoint, 10).await;
    assert_eq!(log.expect("it is read"), [], "and its attempts");
}

/// Every write of an endpoint is announced to everybody who listens.
pub async fn changes(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "ch");
    let mut one = store.changes().await.expect("changes are heard");
    let mut two = store.changes().await.expect("changes are heard");
    let mut heard = async |what: &str| {
        for listener in [&mut one, &mut two] {
            hear(listener.as_mut(), &scene, what).await;
        }
    };

    let endpoint = scene.endpoint("a");
    add(&scene, &endpoint).await;
    heard("an endpoint added").await;

    let changed = Endpoint { revision: endpoint.revision + 1, ..endpoint };
    let written = store.replace_endpoint(&changed).await;
    assert_eq!(written.expect("the store answers"), Written::Yes);
    heard("an endpoint replaced").await;

    let (tenant, id) = (scene.tenant(), scene.id("a"));
    let disabled = store.disable_endpoint(&tenant, &id, DisabledReason::Gone, T0);
    assert!(disabled.await.expect("the store answers"));
    heard("an endpoint disabled").await;

    let removed = store.remove_endpoint(&tenant, &id).await;
    assert!(removed.expect("the store answers"));
    heard("an endpoint removed").await;
}

/// Waits for the change of the scene's tenant; those of others, who may use the same store, pass.
async fn hear(listener: &mut dyn Changes, scene: &Scene<'_>, what: &str) {
    let expected = Change::Tenant(scene.tenant());
    let heard =
        tokio::time::timeout(CHANGE_WAIT_MAX, async { while listener.next().await != expected {} });
    assert!(heard.await.is_ok(), "{what} is announced");
}
