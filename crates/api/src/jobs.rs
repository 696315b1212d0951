//! Jobs: how far they are.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::JobId;
use hookfleet_store::Job;

use crate::Api;
use crate::extract::Names;
use crate::problem::Problem;

/// `GET /v1/jobs/{job}`
pub async fn show(
    State(api): State<Arc<Api>>,
    Names(id): Names<JobId>,
) -> Result<Answer<Job>, Problem> {
    let missing = || Problem::not_found(format!("there is no job {id}, or it was forgotten"));
    api.store.job(&id).await?.map(Answer).ok_or_else(missing)
}
