//! Jobs: who asked for what, and how far it is.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::JobId;

use crate::Console;
use crate::answers::{Job, Page};
use crate::api::Refusal;
use crate::filters;
use crate::live::{Look, Seen};
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/{job}", get(show))
        .route("/console/live/jobs/{job}", get(live))
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct ListPage {
    shell: Shell,
    jobs: Vec<Job>,
}

async fn list(caller: SignedIn) -> Result<Response, Refusal> {
    let page: Page<Job> = caller.api.get("/v1/jobs?limit=100").await?;
    Ok(render(&ListPage { shell: caller.shell(Section::Jobs, "Jobs"), jobs: page.items }))
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    shell: Shell,
    job: Job,
}

/// How far it is.
#[derive(Template)]
#[template(path = "job_progress.html")]
struct Progress {
    job: Job,
}

async fn show(caller: SignedIn, Path(id): Path<JobId>) -> Result<Response, Refusal> {
    let job: Job = caller.api.get(&format!("/v1/jobs/{id}")).await?;
    let shell = caller.shell(Section::Jobs, "Job");
    Ok(render(&JobPage { shell, job }))
}

async fn live(
    State(console): State<Arc<Console>>,
    caller: SignedIn,
    Path(id): Path<JobId>,
) -> Response {
    let (until, api) = (caller.until, caller.api);
    let path = format!("/v1/jobs/{id}");
    let look = move || {
        let (api, path) = (api.clone(), path.clone());
        let look: Look = Box::pin(async move {
            let job: Job = api.get(&path).await.ok()?;
            let is_last = job.has_ended();
            let parts = vec![("progress", Progress { job }.render().ok()?)];
            Some(Seen { parts, is_last })
        });
        look
    };
    console.streams.follow(until, &console.clock, look)
}
