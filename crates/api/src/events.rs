//! Publishing one event, and what became of it.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{
    Draft, EventId, EventType, IdempotencyKey, ProjectId, TenantId, Timestamp, TraceParent,
};
use hookfleet_producer::Published;
use hookfleet_store::{EventStatus, Progress};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Api;
use crate::extract::{Json, Names};
use crate::once::idempotency_key;
use crate::problem::Problem;
use crate::wait;

/// An event as callers hand it in. Its idempotency key stands inside in a batch alone; that of a
/// single event is a header.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    #[serde(rename = "type")]
    event_type: EventType,
    data: Arc<RawValue>,
    #[serde(default)]
    project: Option<ProjectId>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    idempotency_key: Option<IdempotencyKey>,
}

/// An event that is durable.
#[derive(Debug, Serialize)]
pub struct PublishedView {
    id: EventId,
    duplicate: bool,
    /// For callers who wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<serde_json::Value>>,
}

impl From<Published> for PublishedView {
    fn from(published: Published) -> Self {
        Self { id: published.id, duplicate: published.duplicate, deliveries: None }
    }
}

impl EventRequest {
    /// The draft of a tenant's event.
    pub fn draft(self, tenant: TenantId, trace: Option<TraceParent>) -> Draft {
        Draft {
            tenant,
            event_type: self.event_type,
            project: self.project,
            timestamp: self.timestamp,
            idempotency_key: self.idempotency_key,
            trace,
            data: self.data,
        }
    }
}

/// `POST /v1/tenants/{tenant}/events`: 202 once the event is durable, 200 for a duplicate. With
/// `Prefer: wait=30` also what the endpoints answered, as far as they did in that time.
pub async fn publish(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(event): Json<EventRequest>,
) -> Result<Response, Problem> {
    if event.idempotency_key.is_some() {
        let detail =
            "unknown field `idempotency_key`: a single event has the header `Idempotency-Key`";
        return Err(Problem::unprocessable(detail));
    }
    let draft = Draft {
        idempotency_key: idempotency_key(&headers)?,
        ..event.draft(tenant, trace(&headers))
    };
    let tenant = draft.tenant.clone();
    let published = api.producer.publish(draft).await?;
    let status = if published.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut view = PublishedView::from(published);
    let Some(wait) = wait::asked(&headers) else {
        return Ok((status, Answer(view)).into_response());
    };
    view.deliveries = Some(wait::outcomes(&api, (&tenant, &view.id), wait).await?);
    Ok((status, [("preference-applied", "wait")], Answer(view)).into_response())
}

/// One that is invalid is ignored (W3C Trace Context, section 3.2.1).
pub fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

#[derive(Debug, Serialize)]
struct EventView {
    id: EventId,
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    project: Option<ProjectId>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    fanned_out: bool,
    deliveries: Vec<serde_json::Value>,
}

/// `GET /v1/tenants/{tenant}/events/{event}`
pub async fn show(
    State(api): State<Arc<Api>>,
    Names((tenant, event)): Names<(TenantId, EventId)>,
) -> Result<Response, Problem> {
    let status = api.store.event_status(&tenant, &event).await?;
    let missing = || Problem::not_found(format!("event {event} is not known, or was forgotten"));
    let status = status.ok_or_else(missing)?;
    let EventStatus { id, tenant, event_type, project, timestamp, accepted_at, .. } = status;
    let deliveries = status.deliveries.iter().map(delivery).collect();
    let fanned_out = status.fanned_out;
    let view = EventView {
        id,
        tenant,
        event_type,
        project,
        timestamp,
        accepted_at,
        fanned_out,
        deliveries,
    };
    Ok(Answer(view).into_response())
}

/// A delivery as callers see it.
pub fn delivery(progress: &Progress) -> serde_json::Value {
    serde_json::json!({
        "endpoint_id": progress.endpoint,
        "status": progress.stage.label(),
        "attempts": progress.attempts,
        "http_status": progress.http_status,
        "generation": progress.generation,
        "updated_at": progress.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::object;

    #[test]
    fn data_is_kept_as_text() {
        let data = r#"{"b":12345678901234567890123,  "a":1.10,"a":1e400}"#;
        let body = format!(r#"{{"type":"a.b","data":{data}}}"#);
        let event: EventRequest = object(body.as_bytes()).unwrap();
        assert_eq!(event.data.get(), data);
    }

    #[test]
    fn an_invalid_key_is_refused_and_an_invalid_trace_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers).unwrap(), None);
        headers.insert("traceparent", "00-nonsense".parse().unwrap());
        headers.insert("idempotency-key", "key-1".parse().unwrap());
        assert_eq!(trace(&headers), None);
        assert_eq!(idempotency_key(&headers).unwrap().unwrap().as_str(), "key-1");
        headers.insert("idempotency-key", "two words".parse().unwrap());
        assert_eq!(idempotency_key(&headers).unwrap_err().status, 422);
    }
}
