//! Jobs: how far they are.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json as Answer};
use hookfleet_domain::{EndpointId, IdempotencyKey, JobId, TenantId, Timestamp};
use hookfleet_store::{Job, JobKind, JobState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::auth::Caller;
use crate::endpoints::find;
use crate::extract::{Fields, Json, Limit, Names, Page};
use crate::once::{Once, Turn};
use crate::problem::Problem;

/// What an endpoint missed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Recover)]
pub struct RecoverRequest {
    /// Events that were accepted at this time or later.
    since: Timestamp,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Asked)]
pub struct AskedView {
    job_id: JobId,
    /// Dead letters that it is about.
    matched: u64,
}

/// Deliver what an endpoint missed
///
/// Everything that it was to get since a time and did not, out of the archive.
#[utoipa::path(
    post, path = "/endpoints/{endpoint}/recover", operation_id = "recover_endpoint", tag = "endpoints",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = RecoverRequest, examples(
        ("since a time" = (value = json!({"since": "2026-02-19T14:32:00Z"})))
    )),
    responses(
        (status = 202, description = "A worker takes it up.", body = AskedView),
        (status = 200, description = "Its idempotency key asked for it before.", body = AskedView)
    )
)]
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
pub type Asked = (StatusCode, Answer<AskedView>);

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
            return Ok((StatusCode::OK, Answer(AskedView { job_id: id, matched })));
        }
    };
    let job = Job { id, ..job };
    api.store.put_job(&job).await?;
    once.done(&job.id).await?;
    tracing::info!(job.id = %job.id, "{} asked for job {}", job.created_by, job.id);
    Ok((StatusCode::ACCEPTED, Answer(AskedView { job_id: job.id, matched: job.matched })))
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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    limit: Option<Limit>,
}

/// Jobs, newest first
///
/// Those that have not ended, and the last ones that have: who asked for what. All that are kept
/// unless `limit` says fewer; so there is one page.
#[utoipa::path(
    get, path = "/jobs", operation_id = "list_jobs", tag = "dead letters", params(JobsQuery),
    responses((status = 200, description = "The jobs.", body = Page<Job>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Fields(query): Fields<JobsQuery>,
) -> Result<Answer<Page<Job>>, Problem> {
    let mut jobs = api.store.jobs().await?;
    jobs.retain(|job| reaches(&caller, job));
    jobs.truncate(query.limit.map_or(usize::MAX, Limit::get));
    Ok(Page::whole(jobs.into_iter()))
}

fn reaches(caller: &Caller, job: &Job) -> bool {
    caller.tenant().is_none_or(|own| job.tenant.as_ref() == Some(own))
}

/// A job, and how far it is
#[utoipa::path(
    get, path = "/jobs/{job}", operation_id = "show_job", tag = "dead letters",
    responses((status = 200, description = "The job.", body = Job))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Names(id): Names<JobId>,
) -> Result<Answer<Job>, Problem> {
    let missing = || Problem::not_found(format!("there is no job {id}, or it was forgotten"));
    let found = api.store.job(&id).await?.filter(|job| reaches(&caller, job));
    found.map(Answer).ok_or_else(missing)
}
