//! One endpoint: how it is, and what can be done with it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hookfleet_domain::{EndpointId, TenantId};
use serde_json::{Value, json};

use super::attempts::AttemptRows;
use super::endpoint_form::{EndpointForm, patch, values};
use super::endpoints::SecretPage;
use crate::Console;
use crate::answers::{Attempt, Endpoint, Page};
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form, Query};
use crate::filters;
use crate::page::{Section, Shell, render, render_as};
use crate::signed_in::SignedIn;

/// Whose, and which.
type Names = Path<(TenantId, EndpointId)>;

pub fn routes() -> Router<Arc<Console>> {
    let path = |rest: &str| format!("/tenants/{{tenant}}/endpoints/{{endpoint}}{rest}");
    Router::new()
        .route(&path(""), get(show))
        .route(&path("/edit"), get(edit).post(change))
        .route(&path("/active"), post(switch))
        .route(&path("/test"), post(test))
        .route(&path("/rotate-secret"), get(ask_to_rotate).post(rotate))
        .route(&path("/delete"), get(ask_to_delete).post(delete))
}

pub fn api_path(tenant: &TenantId, id: &EndpointId) -> String {
    format!("/v1/tenants/{tenant}/endpoints/{id}")
}

#[derive(Template)]
#[template(path = "endpoint.html")]
struct EndpointPage {
    shell: Shell,
    endpoint: Endpoint,
    rows: AttemptRows,
    /// Of a test just now.
    tested: Option<Attempt>,
}

/// Attempts that its page shows.
pub const ATTEMPTS_SHOWN: usize = 50;

async fn show(
    caller: SignedIn,
    Path((tenant, id)): Names,
    Query(query): Query,
) -> Result<Response, Refusal> {
    page(&caller, (&tenant, &id), None, query.get("done")).await
}

async fn page(
    caller: &SignedIn,
    (tenant, id): (&TenantId, &EndpointId),
    tested: Option<Attempt>,
    done: &str,
) -> Result<Response, Refusal> {
    let path = api_path(tenant, id);
    let endpoint: Endpoint = caller.api.get(&path).await?;
    let path = format!("{path}/attempts?limit={ATTEMPTS_SHOWN}");
    let attempts: Page<Attempt> = caller.api.get(&path).await?;
    let title = endpoint.title().to_owned();
    let shell = caller.tenant_shell(Section::Endpoints, tenant, &title).noticing(done);
    let (tenant, endpoint_id) = (tenant.clone(), id.clone());
    let rows = AttemptRows { tenant, endpoint: endpoint_id, attempts: attempts.items };
    Ok(render(&EndpointPage { shell, endpoint, rows, tested }))
}

async fn edit(caller: SignedIn, Path((tenant, id)): Names) -> Result<Response, Refusal> {
    let (endpoint, tag) = tagged(&caller, &tenant, &id).await?;
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Edit endpoint");
    let mut values = values(&endpoint);
    values.set("tag", &tag);
    let endpoint = Some(&endpoint);
    Ok(render(&EndpointForm { shell, tenant: &tenant, endpoint, values: &values, error: "" }))
}

/// The endpoint, with the tag of its revision.
async fn tagged(
    caller: &SignedIn,
    tenant: &TenantId,
    id: &EndpointId,
) -> Result<(Endpoint, String), Refusal> {
    let path = api_path(tenant, id);
    let answer = caller.api.ask::<Endpoint>(Ask::get(&path)).await?;
    let tag = answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    Ok((answer.value, tag.unwrap_or_default().to_owned()))
}

/// Only what was changed on the page is changed, and only in what has not changed since.
async fn change(
    caller: SignedIn,
    Path((tenant, id)): Names,
    Form(form): Form,
) -> Result<Response, Refusal> {
    // While the tag is that of the page, what is there now is what the page showed.
    let (endpoint, _) = tagged(&caller, &tenant, &id).await?;
    let path = api_path(&tenant, &id);
    let change = patch(&form, Some(&values(&endpoint)));
    let asked = Ask::new(Method::PATCH, &path).header("if-match", form.get("tag")).json(&change);
    let Err(mut refusal) = caller.api.ask::<Value>(asked).await else {
        return Ok(Redirect::to(&own(&tenant, &id, "?done=saved")).into_response());
    };
    if refusal.status == StatusCode::PRECONDITION_FAILED {
        "Others changed this endpoint meanwhile. Open this page anew, then change it."
            .clone_into(&mut refusal.detail);
    }
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Edit endpoint");
    let (endpoint, error) = (Some(&endpoint), refusal.detail.as_str());
    let form = EndpointForm { shell, tenant: &tenant, endpoint, values: &form, error };
    Ok(render_as(refusal.status, &form))
}

fn own(tenant: &TenantId, id: &EndpointId, rest: &str) -> String {
    format!("/tenants/{tenant}/endpoints/{id}{rest}")
}

async fn switch(
    caller: SignedIn,
    Path((tenant, id)): Names,
    Form(form): Form,
) -> Result<Redirect, Refusal> {
    let active = form.get("active") == "true";
    let path = api_path(&tenant, &id);
    let asked = Ask::new(Method::PATCH, &path).json(&json!({ "active": active }));
    caller.api.ask::<Value>(asked).await?;
    let done = if active { "?done=on" } else { "?done=off" };
    Ok(Redirect::to(&own(&tenant, &id, done)))
}

async fn test(caller: SignedIn, Path((tenant, id)): Names) -> Result<Response, Refusal> {
    let path = format!("{}/test", api_path(&tenant, &id));
    let attempt: Attempt = caller.api.post(&path, &json!({})).await?;
    page(&caller, (&tenant, &id), Some(attempt), "").await
}

#[derive(Template)]
#[template(path = "rotate.html")]
struct RotatePage<'a> {
    shell: Shell,
    endpoint: &'a Endpoint,
    values: &'a Fields,
    error: &'a str,
}

async fn ask_to_rotate(caller: SignedIn, Path((tenant, id)): Names) -> Result<Response, Refusal> {
    let endpoint: Endpoint = caller.api.get(&api_path(&tenant, &id)).await?;
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Rotate the secret");
    let values = Fields::of([("grace", "24h".to_owned())]);
    Ok(render(&RotatePage { shell, endpoint: &endpoint, values: &values, error: "" }))
}

async fn rotate(
    caller: SignedIn,
    Path((tenant, id)): Names,
    Form(form): Form,
) -> Result<Response, Refusal> {
    let grace = form.some("grace").unwrap_or("24h");
    let rotation = match form.some("secret") {
        Some(secret) => json!({ "grace": grace, "secret": secret }),
        None => json!({ "grace": grace }),
    };
    let path = format!("{}/rotate-secret", api_path(&tenant, &id));
    match caller.api.post::<Endpoint>(&path, &rotation).await {
        Ok(Endpoint { secret: None, .. }) => {
            Ok(Redirect::to(&own(&tenant, &id, "?done=saved")).into_response())
        }
        Ok(endpoint) => {
            let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Secret rotated");
            let secret = endpoint.secret.as_deref().unwrap_or_default();
            let what = "The secret is rotated.";
            Ok(render(&SecretPage { shell, endpoint: &endpoint, secret, what }))
        }
        Err(refusal) => {
            let endpoint: Endpoint = caller.api.get(&api_path(&tenant, &id)).await?;
            let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Rotate the secret");
            let (values, error) = (&form, refusal.detail.as_str());
            let page = RotatePage { shell, endpoint: &endpoint, values, error };
            Ok(render_as(refusal.status, &page))
        }
    }
}

#[derive(Template)]
#[template(path = "delete_endpoint.html")]
struct DeletePage<'a> {
    shell: Shell,
    endpoint: &'a Endpoint,
}

async fn ask_to_delete(caller: SignedIn, Path((tenant, id)): Names) -> Result<Response, Refusal> {
    let endpoint: Endpoint = caller.api.get(&api_path(&tenant, &id)).await?;
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Delete endpoint");
    Ok(render(&DeletePage { shell, endpoint: &endpoint }))
}

async fn delete(caller: SignedIn, Path((tenant, id)): Names) -> Result<Redirect, Refusal> {
    let path = api_path(&tenant, &id);
    caller.api.ask::<Value>(Ask::new(Method::DELETE, &path)).await?;
    Ok(Redirect::to(&format!("/tenants/{tenant}/endpoints?done=deleted")))
}
