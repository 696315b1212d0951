//! One dead letter, whole.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::DeadLetterId;

use crate::Console;
use crate::answers::DeadLetter;
use crate::api::Refusal;
use crate::filters;
use crate::json::pretty;
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/dead-letters/{letter}", get(show))
}

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct LetterPage {
    shell: Shell,
    letter: DeadLetter,
    payload: String,
}

async fn show(caller: SignedIn, Path(id): Path<DeadLetterId>) -> Result<Response, Refusal> {
    let letter: DeadLetter = caller.api.get(&format!("/v1/dead-letters/{id}")).await?;
    let payload = letter.payload.as_deref().map(pretty).unwrap_or_default();
    let shell = match &letter.tenant {
        Some(tenant) => caller.tenant_shell(Section::DeadLetters, tenant, "Dead letter"),
        None => caller.shell(Section::DeadLetters, "Dead letter"),
    };
    Ok(render(&LetterPage { shell, letter, payload }))
}
