//! A tenant's tokens.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hookfleet_domain::{TenantId, TokenId};
use serde_json::{Value, json};

use super::endpoint_form::once;
use crate::Console;
use crate::answers::{Page, Token};
use crate::api::{Ask, Refusal};
use crate::fields::{Form, Query};
use crate::filters;
use crate::page::{Section, Shell, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/tenants/{tenant}/tokens", get(list).post(create))
        .route("/tenants/{tenant}/tokens/{token}/revoke", post(revoke))
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage<'a> {
    shell: Shell,
    tenant: &'a TenantId,
    tokens: Vec<Token>,
    /// One that was just made: shown once.
    made: Option<Token>,
    once: String,
    error: &'a str,
}

async fn page(
    caller: &SignedIn,
    tenant: &TenantId,
    (made, refused): (Option<Token>, Option<Refusal>),
    done: &str,
) -> Result<Response, Refusal> {
    let page: Page<Token> = caller.api.get(&format!("/v1/tenants/{tenant}/tokens")).await?;
    let shell = caller.tenant_shell(Section::Tokens, tenant, "Tokens").noticing(done);
    let status = refused.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
    let error = refused.map(|refusal| refusal.detail).unwrap_or_default();
    let once = once().map_err(Refusal::ours)?;
    let (tokens, error) = (page.items, error.as_str());
    Ok(render_as(status, &TokensPage { shell, tenant, tokens, made, once, error }))
}

async fn list(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Query(query): Query,
) -> Result<Response, Refusal> {
    page(&caller, &tenant, (None, None), query.get("done")).await
}

async fn create(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Form(form): Form,
) -> Result<Response, Refusal> {
    let access = if form.get("access") == "read" { "read" } else { "full" };
    let path = format!("/v1/tenants/{tenant}/tokens");
    let asked = Ask::new(Method::POST, &path)
        .header("idempotency-key", form.get("once"))
        .json(&json!({ "name": form.some("name"), "access": access }));
    let outcome = match caller.api.ask::<Token>(asked).await {
        Ok(answer) => (Some(answer.value).filter(|token| token.text.is_some()), None),
        Err(refusal) => (None, Some(refusal)),
    };
    page(&caller, &tenant, outcome, "").await
}

async fn revoke(
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, TokenId)>,
) -> Result<Response, Refusal> {
    let path = format!("/v1/tenants/{tenant}/tokens/{id}");
    caller.api.ask::<Value>(Ask::new(Method::DELETE, &path)).await?;
    Ok(Redirect::to(&format!("/tenants/{tenant}/tokens?done=revoked")).into_response())
}
