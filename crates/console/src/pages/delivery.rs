//! What an endpoint was sent of one event, and what it answered each time.
//!
//! Requests are not kept: what is shown is made anew out of the archived event and the endpoint as it
//! is set now, and the page says so. Answers are kept as they came, up to 4 KiB.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::{EndpointId, EventId, TenantId, limits};

use super::endpoint::api_path;
use super::preview::Request;
use crate::Console;
use crate::answers::{Attempt, Endpoint, Page, Preview};
use crate::api::Refusal;
use crate::filters;
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    let path = "/tenants/{tenant}/endpoints/{endpoint}/events/{event}";
    Router::new().route(path, get(show))
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    shell: Shell,
    endpoint: Endpoint,
    event: EventId,
    request: Request,
    attempts: Vec<Attempt>,
}

impl DeliveryPage {
    /// Was no more of the answer kept than this?
    fn is_cut(body: &str) -> bool {
        body.len() + char::MAX_LEN_UTF8 > limits::RESPONSE_KEPT_BYTES_MAX
    }
}

async fn show(
    caller: SignedIn,
    Path((tenant, id, event)): Path<(TenantId, EndpointId, EventId)>,
) -> Result<Response, Refusal> {
    let path = api_path(&tenant, &id);
    let endpoint: Endpoint = caller.api.get(&path).await?;
    let attempts: Page<Attempt> = caller.api.get(&format!("{path}/attempts?event={event}")).await?;
    let request = caller.api.get::<Preview>(&format!("{path}/preview?event={event}")).await;
    let request = match request {
        // Not in the archive, or nothing could be sent as the endpoint is set: that is told.
        Err(refusal) if !matches!(refusal.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) => {
            return Err(refusal);
        }
        answer => Request::of(answer),
    };
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Delivery");
    let attempts = attempts.items;
    Ok(render(&DeliveryPage { shell, endpoint, event, request, attempts }))
}
