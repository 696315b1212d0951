//! Links that open a tenant's console, for its own people.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::TenantId;
use serde_json::json;

use crate::Console;
use crate::answers::Link;
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form};
use crate::filters;
use crate::page::{Section, Shell, render, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/tenants/{tenant}/links", get(ask).post(make))
}

#[derive(Template)]
#[template(path = "links.html")]
struct LinksPage<'a> {
    shell: Shell,
    tenant: &'a TenantId,
    values: &'a Fields,
    /// One that was just made: shown once.
    made: Option<Link>,
    error: &'a str,
}

async fn ask(caller: SignedIn, Path(tenant): Path<TenantId>) -> Response {
    let shell = caller.tenant_shell(Section::Links, &tenant, "Console links");
    let values = Fields::of([("ttl", "1h".to_owned())]);
    render(&LinksPage { shell, tenant: &tenant, values: &values, made: None, error: "" })
}

async fn make(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Refusal> {
    let path = format!("/v1/tenants/{tenant}/console-links");
    let access = if form.get("access") == "full" { "full" } else { "read" };
    // Unless the operator said where people reach the console, it is where this page was reached.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let ttl = form.some("ttl").unwrap_or("1h");
    let asked = Ask::new(Method::POST, &path)
        .header("host", host)
        .json(&json!({ "ttl": ttl, "access": access }));
    let (status, made, error) = match caller.api.ask::<Link>(asked).await {
        Ok(answer) => (StatusCode::OK, Some(answer.value), String::new()),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => return Err(refusal),
        Err(refusal) => (refusal.status, None, refusal.detail),
    };
    let shell = caller.tenant_shell(Section::Links, &tenant, "Console links");
    let (tenant, error) = (&tenant, error.as_str());
    Ok(render_as(status, &LinksPage { shell, tenant, values: &form, made, error }))
}
