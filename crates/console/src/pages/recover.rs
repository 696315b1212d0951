//! Delivering what an endpoint missed since a time, out of the archive.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use hookfleet_domain::{EndpointId, TenantId};
use serde_json::json;

use super::endpoint::api_path;
use super::endpoint_form::once;
use crate::Console;
use crate::answers::{Asked, Endpoint};
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form};
use crate::html::moment;
use crate::page::{Section, Shell, render, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/tenants/{tenant}/endpoints/{endpoint}/recover", get(ask).post(recover))
}

/// How far back it goes unless it is said.
const USUAL: Duration = Duration::from_hours(1);

#[derive(Template)]
#[template(path = "recover.html")]
struct RecoverPage<'a> {
    shell: Shell,
    endpoint: &'a Endpoint,
    values: &'a Fields,
    error: &'a str,
}

async fn ask(
    State(console): State<Arc<Console>>,
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, EndpointId)>,
) -> Result<Response, Refusal> {
    let since = console.clock.now().before(USUAL).to_string();
    let since = since.get(..19).unwrap_or_default().to_owned();
    let values = Fields::of([("since", since), ("once", once().map_err(Refusal::ours)?)]);
    page(&caller, (&tenant, &id), &values, None).await
}

async fn page(
    caller: &SignedIn,
    (tenant, id): (&TenantId, &EndpointId),
    values: &Fields,
    refused: Option<Refusal>,
) -> Result<Response, Refusal> {
    let endpoint: Endpoint = caller.api.get(&api_path(tenant, id)).await?;
    let shell = caller.tenant_shell(Section::Endpoints, tenant, "Recover");
    let Some(refusal) = refused else {
        return Ok(render(&RecoverPage { shell, endpoint: &endpoint, values, error: "" }));
    };
    let page = RecoverPage { shell, endpoint: &endpoint, values, error: &refusal.detail };
    Ok(render_as(refusal.status, &page))
}

async fn recover(
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, EndpointId)>,
    Form(form): Form,
) -> Result<Response, Refusal> {
    let path = format!("{}/recover", api_path(&tenant, &id));
    let asked = Ask::new(Method::POST, &path)
        .header("idempotency-key", form.get("once"))
        .json(&json!({ "since": moment(form.get("since")) }));
    match caller.api.ask::<Asked>(asked).await {
        Ok(answer) => Ok(Redirect::to(&format!("/jobs/{}", answer.value.job_id)).into_response()),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => Err(refusal),
        Err(refusal) => page(&caller, (&tenant, &id), &form, Some(refusal)).await,
    }
}
