//! What the fleet runs on, and what is wrong with it: for operators.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::Console;
use crate::answers::System;
use crate::api::Refusal;
use crate::filters;
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/system", get(show))
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    shell: Shell,
    system: System,
}

async fn show(caller: SignedIn) -> Result<Response, Refusal> {
    let system: System = caller.api.get("/v1/system").await?;
    Ok(render(&SystemPage { shell: caller.shell(Section::System, "System"), system }))
}
