//! Jobs: how far they are.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json as Answer};
use hookfleet_domain::{EndpointId, JobId, TenantId, Timestamp};
use hookfleet_store::{Job, JobKind, JobState};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Caller;
use crate::endpoints::find;
use crate::extract::{Json, Names};
use crate::once::{Once, Turn};
use crate::problem::Problem;

/// What an endpoint missed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverRequest {
    since: Timestamp,
}

/// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/recover`: delivers everything that it missed since
/// a time, out of the archive.
pub async fn recover(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    headers: HeaderMap,
    Json(request): Json<RecoverRequest>,
) -> Result<Asked, Problem> {
    let endpoint = find(&api, &tenant, &id).await?.id;
    let kind = JobKind::Recover { endpoint, since: request.since };
    let job = Job { tenant: Some(tenant), ..asked(&api, &caller, kind) };
    ask(&api, job, &headers).await
}

/// 202 with the job's id, or 200 if its idempotency key asked for it before.
pub type Asked = (StatusCode, Answer<Value>);

/// Whose idempotency keys the operator's are.
const OPERATOR: &str = "-operator-";

/// Asks for a job.
pub async fn ask(api: &Api, job: Job, headers: &HeaderMap) -> Result<Asked, Problem> {
    let tenant = match &job.tenant {
        Some(tenant) => tenant.clone(),
        None => OPERATOR.parse().map_err(Problem::unavailable)?,
    };
    let once = Once::of(api, (&tenant, "job"), headers)?;
    let id = match once.turn(job.id.clone()).await? {
        Turn::First(id) => id,
        Turn::Again(id) => {
            let job = api.store.job(&id).await?;
            let matched = job.map_or(0, |job| job.matched);
            return Ok((StatusCode::OK, Answer(json!({"job_id": id, "matched": matched}))));
        }
    };
    let job = Job { id, ..job };
    api.store.put_job(&job).await?;
    once.done(&job.id).await?;
    tracing::info!(job.id = %job.id, "{} asked for job {}", job.created_by, job.id);
    Ok((StatusCode::ACCEPTED, Answer(json!({"job_id": job.id, "matched": job.matched}))))
}

/// A job that this caller asked for just now.
pub fn asked(api: &Api, caller: &Caller, kind: JobKind) -> Job {
    let now = api.clock.now();
    Job {
        id: JobId::generate(now),
        kind,
        state: JobState::Queued,
        created_by: caller.name(),
        tenant: caller.tenant().cloned(),
        created_at: now,
        dry_run: false,
        matched: 0,
        seen: 0,
        done: 0,
        finished_at: None,
        error: None,
    }
}

/// `GET /v1/jobs/{job}`
pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Names(id): Names<JobId>,
) -> Result<Answer<Job>, Problem> {
    let missing = || Problem::not_found(format!("there is no job {id}, or it was forgotten"));
    let reached = |job: &Job| caller.tenant().is_none_or(|own| job.tenant.as_ref() == Some(own));
    api.store.job(&id).await?.filter(reached).map(Answer).ok_or_else(missing)
}
