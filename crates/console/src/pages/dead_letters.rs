//! Dead letters: the list, and passes over those that match or are chosen.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::endpoint_form::once;
use crate::Console;
use crate::answers::{Asked, DeadLetter, Page};
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form, List, Query};
use crate::filters;
use crate::html::{REASONS, moment};
use crate::page::{Section, Shell, error, render, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/dead-letters", get(list))
        .route("/dead-letters/ask", post(ask))
        .route("/dead-letters/run", post(run))
}

/// What is looked for. The names are those of the API's filter.
const FILTER: [&str; 4] = ["tenant", "endpoint", "event_type", "reason"];
const TIMES: [&str; 2] = ["since", "until"];
#[derive(Template)]
#[template(path = "dead_letters.html")]
struct ListPage<'a> {
    shell: Shell,
    query: &'a Fields,
    letters: Vec<DeadLetter>,
    next: Option<String>,
    is_first: bool,
}

async fn list(caller: SignedIn, Query(query): Query) -> Result<Response, Refusal> {
    let times = TIMES.map(|name| (name, moment(query.get(name))));
    let mut fields: Vec<(&str, &str)> =
        FILTER.iter().map(|name| (*name, query.get(name))).collect();
    fields.extend(times.iter().map(|(name, time)| (*name, time.as_str())));
    let list = List { fields };
    let path = list.asked("/v1/dead-letters", query.get("cursor"));
    let page: Page<DeadLetter> = caller.api.get(&path).await?;
    let next = list.next("/dead-letters", page.next_cursor);
    let shell = shell(&caller, &query, "Dead letters");
    let is_first = query.get("cursor").is_empty();
    Ok(render(&ListPage { shell, query: &query, letters: page.items, next, is_first }))
}

/// An operator who looks at one tenant's letters goes on seeing that tenant.
fn shell(caller: &SignedIn, fields: &Fields, title: &str) -> Shell {
    match fields.get("tenant").parse() {
        Ok(tenant) if caller.is_operator() => {
            caller.tenant_shell(Section::DeadLetters, &tenant, title)
        }
        Ok(_) | Err(_) => caller.shell(Section::DeadLetters, title),
    }
}

#[derive(Template)]
#[template(path = "pass.html")]
struct PassPage<'a> {
    shell: Shell,
    form: &'a Fields,
    verb: &'static str,
    is_replay: bool,
    chosen: bool,
    matched: u64,
    once: String,
    error: &'a str,
}

/// A dry run, and the question whether it is what was meant.
async fn ask(caller: SignedIn, Form(form): Form) -> Result<Response, Refusal> {
    let verb = verb(&form);
    let chosen = form.get("which") == "chosen";
    if chosen && form.all("id").next().is_none() {
        return Ok(error(StatusCode::UNPROCESSABLE_ENTITY, "No dead letter was chosen."));
    }
    let body = json!({ "filter": filter(&form), "dry_run": true });
    let asked: Asked = caller.api.post(&format!("/v1/dead-letters/{verb}"), &body).await?;
    let Ok(once) = once() else {
        return Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness."));
    };
    let shell = shell(&caller, &form, title(verb));
    let is_replay = verb == "replay";
    let page = PassPage {
        shell,
        form: &form,
        verb,
        is_replay,
        chosen,
        matched: asked.matched,
        once,
        error: "",
    };
    Ok(render(&page))
}

async fn run(caller: SignedIn, Form(form): Form) -> Result<Response, Refusal> {
    let verb = verb(&form);
    let body = json!({ "filter": filter(&form), "rate": form.some("rate") });
    let path = format!("/v1/dead-letters/{verb}");
    let asked =
        Ask::new(Method::POST, &path).header("idempotency-key", form.get("once")).json(&body);
    let refusal = match caller.api.ask::<Asked>(asked).await {
        Ok(answer) => {
            return Ok(Redirect::to(&format!("/jobs/{}", answer.value.job_id)).into_response());
        }
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => return Err(refusal),
        Err(refusal) => refusal,
    };
    let page = PassPage {
        shell: shell(&caller, &form, title(verb)),
        form: &form,
        verb,
        is_replay: verb == "replay",
        chosen: form.get("which") == "chosen",
        matched: form.get("matched").parse().unwrap_or_default(),
        once: form.get("once").to_owned(),
        error: &refusal.detail,
    };
    Ok(render_as(refusal.status, &page))
}

/// What is to be done; the harmless one unless the other is named.
fn verb(form: &Fields) -> &'static str {
    if form.get("verb") == "discard" { "discard" } else { "replay" }
}

fn title(verb: &str) -> &'static str {
    if verb == "discard" { "Discard dead letters" } else { "Replay dead letters" }
}

/// Chosen ones by their ids, else those that the filter matches.
fn filter(form: &Fields) -> Value {
    let mut filter = Map::new();
    for name in FILTER {
        if let Some(value) = form.some(name) {
            filter.insert(name.to_owned(), json!(value));
        }
    }
    for name in TIMES {
        if form.some(name).is_some() {
            filter.insert(name.to_owned(), json!(moment(form.get(name))));
        }
    }
    if form.get("which") == "chosen" {
        filter.insert("ids".to_owned(), form.all("id").collect());
    }
    Value::Object(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_means() {
        let fields = |of: &[(&'static str, &str)]| {
            Fields::of(of.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        let form = fields(&[
            ("tenant", "acme"),
            ("reason", ""),
            ("since", "2026-02-19T14:32"),
            ("id", "dl_1"),
            ("which", "matching"),
        ]);
        let matching = json!({"tenant": "acme", "since": "2026-02-19T14:32:00Z"});
        assert_eq!((filter(&form), verb(&form)), (matching, "replay"));
        let form =
            fields(&[("id", "dl_1"), ("id", "dl_2"), ("which", "chosen"), ("verb", "discard")]);
        assert_eq!((filter(&form), verb(&form)), (json!({"ids": ["dl_1", "dl_2"]}), "discard"));
    }
}
