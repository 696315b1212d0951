//! An endpoint's attempts, as rows that a page holds and that come live.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::{EndpointId, TenantId, limits};

use super::endpoint::{ATTEMPTS_SHOWN, api_path};
use crate::Console;
use crate::answers::{Attempt, Endpoint, Page};
use crate::filters;
use crate::live::{Look, Seen};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/console/live/tenants/{tenant}/endpoints/{endpoint}", get(live))
}

/// The rows of the log, newest first.
#[derive(Template)]
#[template(path = "attempt_rows.html")]
pub struct AttemptRows {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub attempts: Vec<Attempt>,
}

/// Of an answer's body, in bytes: fifty whole ones would be too much for a page. The page of the
/// delivery has it all.
const BODY_SHOWN: usize = 300;

impl AttemptRows {
    fn beginning(body: &str) -> &str {
        limits::cut(body, BODY_SHOWN)
    }
}

/// How it is, in a line.
#[derive(Template)]
#[template(path = "endpoint_health.html")]
struct Health {
    endpoint: Endpoint,
}

async fn live(
    State(console): State<Arc<Console>>,
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, EndpointId)>,
) -> Response {
    let until = caller.until;
    let api = caller.api;
    let look = move || {
        let (api, tenant, id) = (api.clone(), tenant.clone(), id.clone());
        let look: Look = Box::pin(async move {
            let path = api_path(&tenant, &id);
            let endpoint: Endpoint = api.get(&path).await.ok()?;
            let path = format!("{path}/attempts?limit={ATTEMPTS_SHOWN}");
            let attempts: Page<Attempt> = api.get(&path).await.ok()?;
            let rows = AttemptRows { tenant, endpoint: id, attempts: attempts.items };
            let health = Health { endpoint };
            let parts = [("attempts", rows.render().ok()?), ("health", health.render().ok()?)];
            Some(Seen { parts: parts.to_vec(), is_last: false })
        });
        look
    };
    console.streams.follow(until, &console.clock, look)
}
