//! The tenants that there are, for operators.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use hookfleet_domain::TenantId;
use serde::Deserialize;

use crate::Console;
use crate::answers::Page;
use crate::api::Refusal;
use crate::fields::Query;
use crate::page::{Section, Shell, error, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/tenants", get(list)).route("/tenants/open", get(open))
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    shell: Shell,
    tenants: Vec<Tenant>,
}

#[derive(Deserialize)]
struct Tenant {
    id: TenantId,
}

async fn list(caller: SignedIn) -> Result<Response, Refusal> {
    let page: Page<Tenant> = caller.api.get("/v1/tenants").await?;
    let shell = caller.shell(Section::Tenants, "Tenants");
    Ok(render(&TenantsPage { shell, tenants: page.items }))
}

/// A tenant is there as soon as something is its: its console can be opened before.
async fn open(_caller: SignedIn, Query(query): Query) -> Response {
    match query.get("tenant").parse::<TenantId>() {
        Ok(tenant) => Redirect::to(&format!("/tenants/{tenant}/endpoints")).into_response(),
        Err(invalid) => error(StatusCode::UNPROCESSABLE_ENTITY, &invalid.to_string()),
    }
}
