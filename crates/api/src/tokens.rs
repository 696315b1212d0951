//! API tokens of a tenant.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookfleet_domain::{Access, ApiToken, IdempotencyKey, TenantId, Timestamp, TokenId, limits};
use hookfleet_store::Written;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::auth::digest;
use crate::extract::{Json, Names, Page};
use crate::once::{Once, Turn};
use crate::problem::Problem;
use crate::random::random;

/// Tells what it is to whoever finds it somewhere.
const PREFIX: &str = "hookfleet_";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
pub struct TokenRequest {
    /// For people.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// `full` unless it is said.
    #[serde(default)]
    access: Access,
}

/// A token as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiToken)]
pub struct TokenView {
    id: TokenId,
    tenant: TenantId,
    name: Option<String>,
    access: Access,
    created_at: Timestamp,
    /// To the minute or so.
    last_used_at: Option<Timestamp>,
    /// The token itself: in the answer that made it, and in no later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Make a token
#[utoipa::path(
    post, path = "/tokens", operation_id = "create_token", tag = "tokens",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = TokenRequest, examples(
        ("that may do everything of the tenant's" = (value = json!({"name": "publisher"}))),
        ("that may only read" = (value = json!({"name": "dashboard", "access": "read"})))
    )),
    responses(
        (status = 201, description = "It is made.", body = TokenView),
        (status = 200, description = "Its idempotency key made it before.", body = TokenView),
        (status = 409, description = "The tenant has too many.")
    )
)]
pub async fn create(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> Result<(StatusCode, Answer<TokenView>), Problem> {
    if request.name.as_ref().is_some_and(|name| name.chars().count() > limits::NAME_CHARS_MAX) {
        let max = limits::NAME_CHARS_MAX;
        return Err(Problem::unprocessable(format!("name: expected at most {max} characters")));
    }
    let once = Once::of(&api, (&tenant, "token"), &headers)?;
    let id = match once.turn(TokenId::generate(api.clock.now())).await? {
        Turn::First(id) => id,
        Turn::Again(id) => return Ok((StatusCode::OK, find(&api, &tenant, &id).await?)),
    };
    let text = format!("{PREFIX}{}", hex::encode(random()?));
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
            let shown = TokenView { token: Some(text), ..view(token, None) };
            Ok((StatusCode::CREATED, Answer(shown)))
        }
    }
}

async fn find(api: &Api, tenant: &TenantId, id: &TokenId) -> Result<Answer<TokenView>, Problem> {
    let tokens = api.store.tokens(tenant).await?;
    let found = tokens.into_iter().find(|(token, _)| token.id == *id);
    let found = found.map(|(token, used)| Answer(view(token, used)));
    found.ok_or_else(|| Problem::not_found(format!("token {id} was revoked since")))
}

/// The tenant's tokens
///
/// All of them, so there is one page.
#[utoipa::path(
    get, path = "/tokens", operation_id = "list_tokens", tag = "tokens",
    responses((status = 200, description = "Without the tokens themselves.", body = Page<TokenView>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
) -> Result<Answer<Page<TokenView>>, Problem> {
    let tokens = api.store.tokens(&tenant).await?;
    Ok(Page::whole(tokens.into_iter().map(|(token, used)| view(token, used))))
}

/// Revoke a token
///
/// Within a second it is known nowhere.
#[utoipa::path(
    delete, path = "/tokens/{token}", operation_id = "revoke_token", tag = "tokens",
    responses((status = 204, description = "It is revoked."))
)]
pub async fn revoke(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, TokenId)>,
) -> Result<StatusCode, Problem> {
    if api.store.remove_token(&tenant, &id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("the tenant has no token {id}")))
}

fn view(token: ApiToken, last_used_at: Option<Timestamp>) -> TokenView {
    let ApiToken { id, tenant, name, access, created_at, .. } = token;
    TokenView { id, tenant, name, access, created_at, last_used_at, token: None }
}
