//! Dead letters: list, show, and the passes that an operator asks for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, EndpointId, Event, EventType,
    JobId, Rate, Remains, TenantId, Timestamp,
};
use hookfleet_store::{Job, JobKind, JobState};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Caller;
use crate::extract::{Fields, Json, Limit, Names, page};
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    tenant: Option<TenantId>,
    endpoint: Option<EndpointId>,
    event_type: Option<EventType>,
    reason: Option<DeadLetterReason>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<Limit>,
    cursor: Option<String>,
}

/// `GET /v1/dead-letters`
pub async fn list(
    State(api): State<Arc<Api>>,
    Fields(query): Fields<ListQuery>,
) -> Result<Answer<Value>, Problem> {
    let filter = DeadLetterFilter {
        tenant: query.tenant,
        endpoint: query.endpoint,
        event_type: query.event_type,
        reason: query.reason,
        since: query.since,
        until: query.until,
        ids: Vec::new(),
    };
    let page = api
        .store
        .dead_letters(&filter, &page(query.limit, query.cursor))
        .await?;
    let items: Vec<Value> = page.items.iter().map(summary).collect();
    Ok(Answer(
        json!({"items": items, "next_cursor": page.next_cursor}),
    ))
}

/// `GET /v1/dead-letters/{letter}`: with its payload.
pub async fn show(
    State(api): State<Arc<Api>>,
    Names(id): Names<DeadLetterId>,
) -> Result<Answer<Value>, Problem> {
    let missing = || Problem::not_found(format!("there is no dead letter {id}"));
    let letter = api.store.dead_letter(&id).await?.ok_or_else(missing)?;
    let mut view = summary(&letter);
    if let Some(fields) = view.as_object_mut() {
        fields.insert("payload".to_owned(), payload(&letter));
    }
    Ok(Answer(view))
}

fn summary(letter: &DeadLetter) -> Value {
    let attempts: Vec<Value> = letter.attempts().iter().map(|made| json!(made)).collect();
    json!({
        "id": letter.id,
        "tenant": letter.tenant(),
        "event_id": letter.event_id(),
        "endpoint_id": letter.endpoint(),
        "event_type": letter.event().map(|event| &event.event_type),
        "reason": letter.reason.label(),
        "attempts": attempts,
        "died_at": letter.died_at,
    })
}

fn payload(letter: &DeadLetter) -> Value {
    match &letter.remains {
        Remains::Delivery(delivery) => event(&delivery.event),
        Remains::Event(whole) => event(whole),
        Remains::Raw { bytes, error, .. } => {
            json!({"raw_base64": BASE64.encode(bytes), "error": error})
        }
    }
}

fn event(event: &Event) -> Value {
    let data: Value = serde_json::from_str(event.data.get()).unwrap_or_default();
    json!({
        "id": event.id,
        "tenant": event.tenant,
        "type": event.event_type,
        "project": event.project,
        "timestamp": event.timestamp,
        "idempotency_key": event.idempotency_key,
        "data": data,
    })
}

/// What a pass is asked to do. Everything takes an explicit empty filter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassRequest {
    filter: DeadLetterFilter,
    #[serde(default)]
    dry_run: bool,
}

/// The same, with a rate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    filter: DeadLetterFilter,
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    dry_run: bool,
}

type Asked = (StatusCode, Answer<Value>);

/// `POST /v1/dead-letters/replay`
pub async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<ReplayRequest>,
) -> Result<Asked, Problem> {
    let ReplayRequest {
        filter,
        rate,
        dry_run,
    } = request;
    let matched = api.store.count_dead_letters(&filter).await?;
    ask(
        &api,
        caller,
        JobKind::Replay { filter, rate },
        Counted { matched, dry_run },
    )
    .await
}

/// `POST /v1/dead-letters/discard`
pub async fn discard(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Json(request): Json<PassRequest>,
) -> Result<Asked, Problem> {
    let PassRequest { filter, dry_run } = request;
    let matched = api.store.count_dead_letters(&filter).await?;
    ask(
        &api,
        caller,
        JobKind::Discard { filter },
        Counted { matched, dry_run },
    )
    .await
}

/// `POST /v1/dead-letters/reindex`
pub async fn reindex(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Asked, Problem> {
    let matched = api
        .store
        .count_dead_letters(&DeadLetterFilter::default())
        .await?;
    ask(
        &api,
        caller,
        JobKind::Reindex,
        Counted {
            matched,
            dry_run: false,
        },
    )
    .await
}

struct Counted {
    matched: u64,
    dry_run: bool,
}

async fn ask(
    api: &Api,
    caller: Caller,
    kind: JobKind,
    Counted { matched, dry_run }: Counted,
) -> Result<Asked, Problem> {
    let now = api.clock.now();
    let job = Job {
        id: JobId::generate(now),
        kind,
        // A dry run has been done by counting.
        state: if dry_run {
            JobState::Done
        } else {
            JobState::Queued
        },
        created_by: caller.name().to_owned(),
        created_at: now,
        dry_run,
        matched,
        seen: 0,
        done: 0,
        finished_at: dry_run.then_some(now),
        error: None,
    };
    api.store.put_job(&job).await?;
    tracing::info!(job.id = %job.id, "{} asked for job {}: {matched} match", job.created_by, job.id);
    Ok((
        StatusCode::ACCEPTED,
        Answer(json!({"job_id": job.id, "matched": matched})),
    ))
}
