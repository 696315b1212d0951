//! Past events go out again.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use hookfleet_domain::{
    AttemptNumber, Delay, Delivery, Endpoint, EndpointId, Event, EventId, Generation, TenantId,
    limits,
};
use hookfleet_queue::{Outgoing, archived};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::endpoints::find;
use crate::extract::{MaybeJson, Names};
use crate::problem::Problem;

/// To whom; without ids, to every endpoint that wants the event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResendRequest {
    endpoint_ids: Option<Vec<EndpointId>>,
}

/// `POST /v1/tenants/{tenant}/events/{event}/resend`: 202 once every delivery is durable. Each is begun
/// anew, whatever became of it before.
pub async fn resend(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EventId)>,
    MaybeJson(request): MaybeJson<ResendRequest>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let event = archived(api.queue.as_ref(), &id).await?.filter(|event| event.tenant == tenant);
    let missing = || Problem::not_found(format!("event {id} is not in the archive"));
    let event = Arc::new(event.ok_or_else(missing)?);
    let endpoints = match request.endpoint_ids {
        Some(ids) => named(&api, &tenant, ids).await?,
        None => wanting(&api, &event).await?,
    };
    let generations = generations(&api, &event).await?;
    let ids: Vec<EndpointId> = endpoints.into_iter().map(|endpoint| endpoint.id).collect();
    api.store.remember_event(&event, Some(&ids)).await?;
    for id in &ids {
        let generation = generations.get(id).copied().unwrap_or(Generation::FIRST).next();
        let delivery = Delivery {
            event: Arc::clone(&event),
            endpoint: id.clone(),
            generation,
            attempt: AttemptNumber::FIRST,
            history: Vec::new(),
        };
        api.queue.publish(Outgoing::Delivery(&delivery, Delay::NONE)).await?;
        api.store.reopen(&event.id, id, generation).await?;
    }
    let answer = json!({"id": event.id, "endpoint_ids": ids});
    Ok((StatusCode::ACCEPTED, Answer(answer)))
}

/// Endpoints that were named get it whether they subscribed to it or not.
async fn named(
    api: &Api,
    tenant: &TenantId,
    ids: Vec<EndpointId>,
) -> Result<Vec<Endpoint>, Problem> {
    let max = limits::FILTER_IDS_MAX;
    if ids.len() > max {
        return Err(Problem::unprocessable(format!("endpoint_ids: expected at most {max}")));
    }
    let mut endpoints = Vec::with_capacity(ids.len());
    for id in ids {
        endpoints.push(find(api, tenant, &id).await?);
    }
    Ok(endpoints)
}

async fn wanting(api: &Api, event: &Event) -> Result<Vec<Endpoint>, Problem> {
    let mut endpoints = api.store.endpoints(&event.tenant).await?;
    endpoints.retain(|endpoint| endpoint.wants(event));
    Ok(endpoints)
}

/// How often each delivery was begun so far, as far as that is known.
async fn generations(api: &Api, event: &Event) -> Result<HashMap<EndpointId, Generation>, Problem> {
    let status = api.store.event_status(&event.tenant, &event.id).await?;
    let deliveries = status.map(|status| status.deliveries).unwrap_or_default();
    Ok(deliveries.into_iter().map(|to| (to.endpoint, to.generation)).collect())
}
