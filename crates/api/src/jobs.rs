//! Jobs: how far they are.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json as Answer};
use hookfleet_domain::JobId;
use hookfleet_store::Job;

use crate::Api;
use crate::auth::Caller;
use crate::extract::Names;
use crate::problem::Problem;

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
