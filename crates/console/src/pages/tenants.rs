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
use crate::fields::{List, Query};
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
    next: Option<String>,
    is_first: bool,
}

#[derive(Deserialize)]
struct Tenant {
    id: TenantId,
}

async fn list(caller: SignedIn, Query(query): Query) -> Result<Response, Refusal> {
    let (list, cursor) = (List { fields: Vec::new() }, query.get("cursor"));
    let page: Page<Tenant> = caller.api.get(&list.asked("/v1/tenants", cursor)).await?;
    let next = list.next("/tenants", page.next_cursor);
    let shell = caller.shell(Section::Tenants, "Tenants");
    let is_first = cursor.is_empty();
    Ok(render(&TenantsPage { shell, tenants: page.items, next, is_first }))
}

/// A tenant is there as soon as something is its: its console can be opened before.
async fn open(_caller: SignedIn, Query(query): Query) -> Response {
    match query.get("tenant").parse::<TenantId>() {
        Ok(tenant) => Redirect::to(&format!("/tenants/{tenant}/endpoints")).into_response(),
        Err(invalid) => error(StatusCode::UNPROCESSABLE_ENTITY, &invalid.to_string()),
    }
}
