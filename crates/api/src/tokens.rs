//! API tokens of a tenant.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookfleet_domain::{Access, ApiToken, TenantId, Timestamp, TokenId, limits};
use hookfleet_store::Written;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::digest;
use crate::extract::{Json, Names};
use crate::once::{Once, Turn};
use crate::problem::Problem;

/// Tells what it is to whoever finds it somewhere.
const PREFIX: &str = "hookfleet_";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    access: Access,
}

/// `POST /v1/tenants/{tenant}/tokens`: the token is in this answer and in no later one. 200, without
/// it, if its idempotency key made it before.
pub async fn create(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    if request.name.as_ref().is_some_and(|name| name.chars().count() > limits::NAME_CHARS_MAX) {
        let max = limits::NAME_CHARS_MAX;
        return Err(Problem::unprocessable(format!("name: expected at most {max} characters")));
    }
    let once = Once::of(&api, (&tenant, "token"), &headers)?;
    let id = match once.turn(TokenId::generate(api.clock.now())).await? {
        Turn::First(id) => id,
        Turn::Again(id) => return Ok((StatusCode::OK, find(&api, &tenant, &id).await?)),
    };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| Problem::unavailable("no randomness"))?;
    let text = format!("{PREFIX}{}", hex::encode(random));
    let now = api.clock.now();
    let token = ApiToken {
        id,
        tenant: tenant.clone(),
        name: request.name,
        access: request.access,
        created_at: now,
        digest: digest(&text),
    };
    match api.store.add_token(&token).await? {
        Written::Full => {
            let max = limits::TOKENS_PER_TENANT_MAX;
            let detail = format!("the tenant has {max} tokens already: revoke one first");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Written::Yes | Written::Conflict | Written::Missing => {
            once.done(&token.id).await?;
            let mut shown = view(&token, None);
            if let Some(fields) = shown.as_object_mut() {
                fields.insert("token".to_owned(), text.into());
            }
            Ok((StatusCode::CREATED, Answer(shown)))
        }
    }
}

async fn find(api: &Api, tenant: &TenantId, id: &TokenId) -> Result<Answer<Value>, Problem> {
    let tokens = api.store.tokens(tenant).await?;
    let found = tokens.iter().find(|(token, _)| token.id == *id);
    let found = found.map(|(token, used)| Answer(view(token, *used)));
    found.ok_or_else(|| Problem::not_found(format!("token {id} was revoked since")))
}

/// `GET /v1/tenants/{tenant}/tokens`: all of them, so there is one page.
pub async fn list(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
) -> Result<Answer<Value>, Problem> {
    let tokens = api.store.tokens(&tenant).await?;
    let items: Vec<Value> = tokens.iter().map(|(token, used)| view(token, *used)).collect();
    Ok(Answer(json!({"items": items, "next_cursor": null})))
}

/// `DELETE /v1/tenants/{tenant}/tokens/{token}`: within a second it is known nowhere.
pub async fn revoke(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, TokenId)>,
) -> Result<StatusCode, Problem> {
    if api.store.remove_token(&tenant, &id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("the tenant has no token {id}")))
}

fn view(token: &ApiToken, last_used_at: Option<Timestamp>) -> Value {
    json!({
        "id": token.id,
        "tenant": token.tenant,
        "name": token.name,
        "access": token.access,
        "created_at": token.created_at,
        "last_used_at": last_used_at,
    })
}
