//! Past events go out again.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookfleet_domain::{
    Delay, Delivery, EndpointId, Event, EventId, Generation, IdempotencyKey, TenantId, limits,
};
use hookfleet_queue::Outgoing;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::endpoints::find;
use crate::event_list;
use crate::extract::{MaybeJson, Names};
use crate::once::{Once, Turn};
use crate::problem::Problem;

/// To whom.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Resend)]
pub struct ResendRequest {
    /// Without ids, to every endpoint that wants the event.
    #[schema(max_items = 1000)]
    endpoint_ids: Option<Vec<EndpointId>>,
}

/// To whom it goes out again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resent)]
pub struct ResentView {
    id: EventId,
    endpoint_ids: Vec<EndpointId>,
}

/// Deliver an event again
///
/// 202 once every delivery is durable. Each is begun anew, whatever became of it before.
#[utoipa::path(
    post, path = "/events/{event}/resend", operation_id = "resend_event", tag = "events",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = ResendRequest, examples(
        ("to everyone who wants it" = (value = json!({})))
    )),
    responses(
        (status = 202, description = "They are on their way.", body = ResentView),
        (status = 200, description = "Its idempotency key asked for it before.", body = ResentView),
        (status = 409, description = "Its idempotency key asked for another event.")
    )
)]
pub async fn resend(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EventId)>,
    headers: HeaderMap,
    MaybeJson(request): MaybeJson<ResendRequest>,
) -> Result<(StatusCode, Answer<ResentView>), Problem> {
    let event = Arc::new(event_list::find(&api, &tenant, &id).await?);
    let ids = match request.endpoint_ids {
        Some(ids) => named(&api, &tenant, ids).await?,
        None => wanting(&api, &event).await?,
    };
    let once = Once::of(&api, (&tenant, "resend"), &headers)?;
    match once.turn(id.clone()).await? {
        Turn::First(_) => {}
        Turn::Again(asked) if asked == id => {
            return Ok((StatusCode::OK, Answer(ResentView { id, endpoint_ids: ids })));
        }
        Turn::Again(asked) => {
            let detail = format!("this Idempotency-Key asked for event {asked}");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
    }
    let generations = generations(&api, &event).await?;
    api.store.remember_event(&event, Some(&ids)).await?;
    for id in &ids {
        let generation = generations.get(id).copied().unwrap_or(Generation::FIRST).next();
        let first = Delivery::first(Arc::clone(&event), id.clone());
        let delivery = Delivery { generation, ..first };
        api.queue.publish(Outgoing::Delivery(&delivery, Delay::NONE)).await?;
        api.store.reopen(&event.id, id, generation).await?;
    }
    once.done(&id).await?;
    let answer = ResentView { id: event.id.clone(), endpoint_ids: ids };
    Ok((StatusCode::ACCEPTED, Answer(answer)))
}

/// Endpoints that were named get it whether they subscribed to it or not.
async fn named(
    api: &Api,
    tenant: &TenantId,
    ids: Vec<EndpointId>,
) -> Result<Vec<EndpointId>, Problem> {
    let max = limits::FILTER_IDS_MAX;
    if ids.len() > max {
        return Err(Problem::unprocessable(format!("endpoint_ids: expected at most {max}")));
    }
    for id in &ids {
        find(api, tenant, id).await?;
    }
    Ok(ids)
}

async fn wanting(api: &Api, event: &Event) -> Result<Vec<EndpointId>, Problem> {
    let endpoints = api.store.endpoints(&event.tenant).await?;
    let wanting = endpoints.iter().filter(|endpoint| endpoint.wants(event));
    Ok(wanting.map(|endpoint| endpoint.id.clone()).collect())
}

/// How often each delivery was begun so far, as far as that is known.
async fn generations(api: &Api, event: &Event) -> Result<HashMap<EndpointId, Generation>, Problem> {
    let status = api.store.event_status(&event.tenant, &event.id).await?;
    let deliveries = status.map(|status| status.deliveries).unwrap_or_default();
    Ok(deliveries.into_iter().map(|to| (to.endpoint, to.generation)).collect())
}
