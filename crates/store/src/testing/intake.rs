//! Deduplication at intake.

use hookfleet_domain::{EventId, IdempotencyKey};

use super::Scene;
use crate::{Claim, Store};

/// A key is bound once, stays bound while nobody confirms it, and is confirmed once.
pub async fn intake(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "in");
    let (tenant, other) = (scene.tenant(), scene.id("other"));
    let key: IdempotencyKey = scene.id("key:42/{x}");
    let (one, two): (EventId, EventId) = (scene.id("one"), scene.id("two"));

    let claim = async |tenant, candidate| {
        let claim = store.claim_key(tenant, &key, candidate).await;
        claim.expect("the key is claimed")
    };
    let publish_one = Claim::Publish(one.clone());
    assert_eq!(claim(&tenant, &one).await, publish_one, "a new key");
    assert_eq!(
        claim(&tenant, &two).await,
        publish_one,
        "a publisher that came back before the confirmation"
    );
    assert_eq!(
        claim(&other, &two).await,
        Claim::Publish(two.clone()),
        "another tenant's key is another key"
    );

    let confirm = async || {
        let confirmed = store.confirm_key(&tenant, &key, &one).await;
        confirmed.expect("the key is confirmed")
    };
    assert!(confirm().await, "the first confirmation");
    assert!(!confirm().await, "the second confirmation");
    assert_eq!(claim(&tenant, &two).await, Claim::Published(one), "a confirmed key");
}
