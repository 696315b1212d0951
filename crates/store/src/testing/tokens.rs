//! API tokens.

use hookfleet_domain::{Access, ApiToken, TenantId, TokenId, limits};

use super::{Scene, at};
use crate::{Store, Written};

/// Tokens are found by their digest until they are removed.
pub async fn tokens(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "tok");
    let [b, a] = ["b", "a"].map(|name| token(&scene, name));
    assert_eq!(list(&scene).await, [], "none yet");
    assert_eq!(find(&scene, &a).await, None, "not known yet");
    for token in [&b, &a] {
        add(&scene, token, Written::Yes).await;
    }
    assert_eq!(list(&scene).await, [(a.clone(), None), (b.clone(), None)], "by id");
    assert_eq!(find(&scene, &b).await, Some(b.clone()));
    let tenants = store.tenants().await.expect("they are read");
    assert!(tenants.contains(&scene.tenant()), "a tenant with tokens is one");

    store.token_used(&a, at(5)).await.expect("it is written");
    store.token_used(&a, at(9)).await.expect("it is written");
    assert_eq!(list(&scene).await, [(a.clone(), Some(at(9))), (b.clone(), None)]);

    let other: TenantId = scene.id("other");
    assert!(!remove(&scene, &other, &a.id).await, "another tenant's");
    assert!(remove(&scene, &scene.tenant(), &a.id).await);
    assert!(!remove(&scene, &scene.tenant(), &a.id).await, "it is gone");
    assert_eq!(find(&scene, &a).await, None, "removed");
    assert_eq!(list(&scene).await, [(b.clone(), None)], "the other one stays");

    for n in 1..limits::TOKENS_PER_TENANT_MAX {
        add(&scene, &token(&scene, &format!("many{n}")), Written::Yes).await;
    }
    let one_more = token(&scene, "more");
    add(&scene, &one_more, Written::Full).await;
    assert_eq!(find(&scene, &one_more).await, None, "it was not added");
    add(&scene, &b, Written::Yes).await;
}

fn token(scene: &Scene<'_>, name: &str) -> ApiToken {
    let id: TokenId = scene.id(name);
    ApiToken {
        digest: format!("digest-{id}"),
        id,
        tenant: scene.tenant(),
        name: Some(name.to_owned()),
        access: Access::Read,
        created_at: at(1),
    }
}

async fn add(scene: &Scene<'_>, token: &ApiToken, expected: Written) {
    let added = scene.store.add_token(token).await;
    assert_eq!(added.expect("the store answers"), expected);
}

async fn list(scene: &Scene<'_>) -> Vec<(ApiToken, Option<hookfleet_domain::Timestamp>)> {
    scene.store.tokens(&scene.tenant()).await.expect("they are read")
}

async fn find(scene: &Scene<'_>, token: &ApiToken) -> Option<ApiToken> {
    scene.store.token(&token.digest).await.expect("it is read")
}

async fn remove(scene: &Scene<'_>, tenant: &TenantId, id: &TokenId) -> bool {
    scene.store.remove_token(tenant, id).await.expect("the store answers")
}
