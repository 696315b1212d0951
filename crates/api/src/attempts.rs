//! An endpoint's attempt log.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::{AttemptRecord, EndpointId, TenantId, limits};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::endpoints::find;
use crate::extract::{Fields, Limit, Names};
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptsQuery {
    limit: Option<Limit>,
}

/// `GET /v1/tenants/{tenant}/endpoints/{endpoint}/attempts`: newest first, all that
/// are kept unless `limit` says fewer; so there is one page.
pub async fn list(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    Fields(query): Fields<AttemptsQuery>,
) -> Result<Answer<Value>, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    let limit = query.limit.map_or(limits::ATTEMPTS_KEPT_MAX, Limit::get);
    let attempts = api.store.attempts(&endpoint.id, limit).await?;
    let items: Vec<Value> = attempts.iter().map(attempt).collect();
    Ok(Answer(json!({"items": items, "next_cursor": null})))
}

/// An attempt as callers see it.
pub fn attempt(record: &AttemptRecord) -> Value {
    json!({
        "event_id": record.event_id,
        "event_type": record.event_type,
        "attempt": record.summary.attempt,
        "status": if record.success { "success" } else { "failure" },
        "http_status": record.summary.http_status,
        "duration_ms": record.summary.duration_ms,
        "at": record.summary.at,
        "error": record.summary.error,
        "response_body": record.response_body,
    })
}
