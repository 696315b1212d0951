//! A tenant's endpoints: the list, and a new one.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use hookfleet_domain::TenantId;

use super::endpoint_form::{EndpointForm, patch, starting};
use crate::Console;
use crate::answers::{Endpoint, Page};
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form, List, Query};
use crate::filters;
use crate::page::{Section, Shell, error, render, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/tenants/{tenant}/endpoints", get(list).post(create))
        .route("/tenants/{tenant}/endpoints/new", get(new))
}

#[derive(Template)]
#[template(path = "endpoints.html")]
struct ListPage<'a> {
    shell: Shell,
    tenant: &'a TenantId,
    query: &'a Fields,
    endpoints: Vec<Endpoint>,
    next: Option<String>,
    is_first: bool,
}

async fn list(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Query(query): Query,
) -> Result<Response, Refusal> {
    let here = format!("/tenants/{tenant}/endpoints");
    let fields = vec![
        ("search", query.get("search")),
        ("active", query.get("active")),
        ("event_type", query.get("event_type")),
        ("project", query.get("project")),
    ];
    let list = List { fields };
    let path = list.asked(&format!("/v1{here}"), query.get("cursor"));
    let page: Page<Endpoint> = caller.api.get(&path).await?;
    let next = list.next(&here, page.next_cursor);
    Ok(render(&ListPage {
        shell: caller
            .tenant_shell(Section::Endpoints, &tenant, "Endpoints")
            .noticing(query.get("done")),
        tenant: &tenant,
        query: &query,
        endpoints: page.items,
        next,
        is_first: query.get("cursor").is_empty(),
    }))
}

async fn new(caller: SignedIn, Path(tenant): Path<TenantId>) -> Response {
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "New endpoint");
    let Ok(values) = starting() else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness.");
    };
    render(&EndpointForm { shell, tenant: &tenant, endpoint: None, values: &values, error: "" })
}

#[derive(Template)]
#[template(path = "secret.html")]
pub struct SecretPage<'a> {
    pub shell: Shell,
    pub endpoint: &'a Endpoint,
    pub secret: &'a str,
    pub what: &'static str,
}

/// A generated secret is shown by the answer itself: it is in no later one.
async fn create(caller: SignedIn, Path(tenant): Path<TenantId>, Form(form): Form) -> Response {
    let path = format!("/v1/tenants/{tenant}/endpoints");
    let asked = Ask::new(Method::POST, &path)
        .header("idempotency-key", form.get("once"))
        .json(&patch(&form, None));
    let refusal = match caller.api.ask::<Endpoint>(asked).await {
        Ok(answer) => return created(&caller, &answer.value),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
            return refusal.into_response();
        }
        Err(refusal) => refusal,
    };
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "New endpoint");
    let (values, error) = (&form, refusal.detail.as_str());
    render_as(
        refusal.status,
        &EndpointForm { shell, tenant: &tenant, endpoint: None, values, error },
    )
}

fn created(caller: &SignedIn, endpoint: &Endpoint) -> Response {
    let Some(secret) = &endpoint.secret else {
        let path = format!("/tenants/{}/endpoints/{}", endpoint.tenant, endpoint.id);
        return Redirect::to(&path).into_response();
    };
    let shell = caller.tenant_shell(Section::Endpoints, &endpoint.tenant, "Endpoint created");
    render(&SecretPage { shell, endpoint, secret, what: "The endpoint is registered." })
}
