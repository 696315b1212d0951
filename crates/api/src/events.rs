//! Publishing one event, and what became of it.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{
    AttemptRecord, Draft, EndpointId, EventId, EventType, Generation, IdempotencyKey, ProjectId,
    TenantId, Timestamp, TraceParent,
};
use hookfleet_producer::Published;
use hookfleet_store::{PageRequest, Progress, Stage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::attempts::AttemptView;
use crate::extract::{Fields, Json, Limit, Names};
use crate::once::idempotency_key;
use crate::problem::Problem;
use crate::wait;

/// An event as callers hand it in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvent)]
pub struct EventRequest {
    #[serde(rename = "type")]
    event_type: EventType,
    /// Anything, up to 1 MiB; what is delivered of it are the same characters.
    #[schema(value_type = Value)]
    data: Arc<RawValue>,
    /// The part of the tenant that it belongs to.
    project: Option<ProjectId>,
    /// When it happened; else now.
    timestamp: Option<Timestamp>,
}

/// One of a batch, with its idempotency key inside; that of a single event is a header.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchedEvent)]
pub struct BatchedRequest {
    #[serde(rename = "type")]
    event_type: EventType,
    #[schema(value_type = Value)]
    data: Arc<RawValue>,
    project: Option<ProjectId>,
    timestamp: Option<Timestamp>,
    idempotency_key: Option<IdempotencyKey>,
}

/// An event that is durable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Published)]
pub struct PublishedView {
    id: EventId,
    /// Its idempotency key published it before.
    duplicate: bool,
    /// For callers who wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryView>>,
}

impl From<Published> for PublishedView {
    fn from(published: Published) -> Self {
        Self { id: published.id, duplicate: published.duplicate, deliveries: None }
    }
}

impl BatchedRequest {
    /// The draft of a tenant's event.
    pub fn draft(self, tenant: TenantId, trace: Option<TraceParent>) -> Draft {
        let Self { event_type, data, project, timestamp, idempotency_key } = self;
        Draft { tenant, event_type, project, timestamp, idempotency_key, trace, data }
    }
}

/// Publish an event
///
/// 202 once it is durable, never before. With `Prefer: wait=30` the answer also tells what the
/// endpoints answered, as far as they did in that time.
#[utoipa::path(
    post, path = "/events", operation_id = "publish_event", tag = "events",
    params(("Idempotency-Key" = IdempotencyKey, Header), ("Prefer" = String, Header)),
    request_body(content = EventRequest, examples(
        ("an event" = (value = json!({"type": "content.published", "data": {"title": "News"}}))),
        ("of a project, at a time of its own" = (value = json!({
            "type": "content.published", "project": "site-1",
            "timestamp": "2026-02-19T14:32:00Z", "data": ["anything"]
        })))
    )),
    responses(
        (status = 202, description = "It is durable.", body = PublishedView),
        (status = 200, description = "Its idempotency key published it before.", body = PublishedView)
    )
)]
pub async fn publish(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(event): Json<EventRequest>,
) -> Result<Response, Problem> {
    let EventRequest { event_type, data, project, timestamp } = event;
    let idempotency_key = idempotency_key(&headers)?;
    let batched = BatchedRequest { event_type, data, project, timestamp, idempotency_key };
    let draft = batched.draft(tenant.clone(), trace(&headers));
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

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    id: EventId,
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    project: Option<ProjectId>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    /// Until then its deliveries are not known.
    fanned_out: bool,
    /// All of them, unless `limit` says fewer.
    deliveries: Vec<DeliveryView>,
    /// Where the next page of them begins; none: there is none.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// At most so many deliveries; else all of them.
    limit: Option<Limit>,
    cursor: Option<EndpointId>,
}

/// An event and its deliveries
///
/// In the order of their endpoints' ids.
#[utoipa::path(
    get, path = "/events/{event}", operation_id = "show_event", tag = "events",
    params(EventQuery),
    responses((status = 200, description = "What became of it.", body = EventView))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Names((tenant, event)): Names<(TenantId, EventId)>,
    Fields(query): Fields<EventQuery>,
) -> Result<Answer<EventView>, Problem> {
    let limit = query.limit.map_or(usize::MAX, Limit::get);
    let page = PageRequest { limit, cursor: query.cursor.as_ref().map(EndpointId::to_string) };
    let found = api.store.event_page(&tenant, &event, &page).await?;
    let missing = || Problem::not_found(format!("event {event} is not known, or was forgotten"));
    let (status, next_cursor) = found.ok_or_else(missing)?;
    let deliveries = status.deliveries.into_iter().map(DeliveryView::from).collect();
    Ok(Answer(EventView {
        id: status.id,
        tenant: status.tenant,
        event_type: status.event_type,
        project: status.project,
        timestamp: status.timestamp,
        accepted_at: status.accepted_at,
        fanned_out: status.fanned_out,
        deliveries,
        next_cursor,
    }))
}

/// A delivery as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    endpoint_id: EndpointId,
    status: Stage,
    /// Attempts made in its newest generation.
    attempts: u32,
    /// Of the last answer, if there was one.
    http_status: Option<u16>,
    /// How often it was begun anew.
    generation: Generation,
    updated_at: Option<Timestamp>,
    /// For publishers who wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<AttemptView>,
}

impl DeliveryView {
    /// With the last attempt, for a publisher who waited for it.
    #[must_use]
    pub fn with_attempt(self, made: Option<AttemptRecord>) -> Self {
        Self { last_attempt: made.map(AttemptView::from), ..self }
    }
}

impl From<Progress> for DeliveryView {
    fn from(progress: Progress) -> Self {
        Self {
            endpoint_id: progress.endpoint,
            status: progress.stage,
            attempts: progress.attempts,
            http_status: progress.http_status,
            generation: progress.generation,
            updated_at: progress.updated_at,
            last_attempt: None,
        }
    }
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
