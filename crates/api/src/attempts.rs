//! An endpoint's attempt log.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::{
    AttemptNumber, AttemptRecord, EndpointId, EventId, EventType, TenantId, Timestamp, limits,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::endpoints::find;
use crate::extract::{Fields, Limit, Names, Page};
use crate::problem::Problem;

/// An attempt as callers see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    event_id: EventId,
    event_type: EventType,
    attempt: AttemptNumber,
    status: AttemptStatus,
    /// None: nothing was answered.
    http_status: Option<u16>,
    duration_ms: u64,
    at: Timestamp,
    error: Option<String>,
    /// The beginning of it, up to 4 KiB.
    response_body: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AttemptStatus {
    Success,
    Failure,
}

impl From<AttemptRecord> for AttemptView {
    fn from(record: AttemptRecord) -> Self {
        let AttemptRecord { event_id, event_type, success, summary, response_body } = record;
        Self {
            event_id,
            event_type,
            attempt: summary.attempt,
            status: if success { AttemptStatus::Success } else { AttemptStatus::Failure },
            http_status: summary.http_status,
            duration_ms: summary.duration_ms,
            at: summary.at,
            error: summary.error,
            response_body,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttemptsQuery {
    /// Only those of this event's deliveries.
    event: Option<EventId>,
    limit: Option<Limit>,
}

/// Its attempts
///
/// Newest first, all that are kept unless `limit` says fewer; so there is one page. What was sent is
/// shown by `preview_delivery`, as the endpoint is set now.
#[utoipa::path(
    get, path = "/endpoints/{endpoint}/attempts", operation_id = "list_attempts", tag = "endpoints",
    params(AttemptsQuery),
    responses((status = 200, description = "The log.", body = Page<AttemptView>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    Fields(query): Fields<AttemptsQuery>,
) -> Result<Answer<Page<AttemptView>>, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    let limit = query.limit.map_or(limits::ATTEMPTS_KEPT_MAX, Limit::get);
    let read = if query.event.is_some() { limits::ATTEMPTS_KEPT_MAX } else { limit };
    let attempts = api.store.attempts(&endpoint.id, read).await?.into_iter();
    let wanted = attempts.filter(|made| query.event.as_ref().is_none_or(|id| made.event_id == *id));
    Ok(Page::whole(wanted.take(limit).map(AttemptView::from)))
}
