//! Dead letters: list, show, and the passes that an operator asks for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Answer};
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, EndpointId, EventType, Rate,
    TenantId, Timestamp,
};
use hookfleet_store::{Job, JobKind, JobState};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Caller;
use crate::dead_letter_view::{LetterView, Summary};
use crate::extract::{Fields, Json, Limit, Names, object, page};
use crate::jobs::{Asked, ask, asked};
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
    Extension(caller): Extension<Caller>,
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
    let filter = caller.narrow(filter)?;
    let page = api.store.dead_letters(&filter, &page(query.limit, query.cursor)).await?;
    let items: Vec<Summary> = page.items.iter().map(Summary::new).collect();
    Ok(Answer(json!({"items": items, "next_cursor": page.next_cursor})))
}

/// `GET /v1/dead-letters/{letter}`: with its payload.
pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Names(id): Names<DeadLetterId>,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found(format!("there is no dead letter {id}"));
    let letter = api.store.dead_letter(&id).await?;
    let reached =
        |letter: &DeadLetter| caller.tenant().is_none_or(|own| letter.tenant() == Some(own));
    let letter = letter.filter(reached).ok_or_else(missing)?;
    Ok(Answer(LetterView::new(&letter)).into_response())
}

/// What a pass is asked to do. The filter must be there, and an object: only `{}` means all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassRequest {
    filter: Box<RawValue>,
    /// A discard sends nothing that could be slowed down: it takes a rate and has no use for it.
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    dry_run: bool,
}

impl PassRequest {
    fn filter(&self) -> Result<DeadLetterFilter, Problem> {
        let refused = |problem: Problem| problem.within("filter");
        object(self.filter.get().as_bytes()).map_err(refused)
    }
}

/// `POST /v1/dead-letters/replay`
pub async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(request): Json<PassRequest>,
) -> Result<Asked, Problem> {
    let filter = caller.narrow(request.filter()?)?;
    let PassRequest { rate, dry_run, .. } = request;
    let matched = api.store.count_dead_letters(&filter).await?;
    let job = asked(&api, &caller, JobKind::Replay { filter, rate });
    ask(&api, counted(job, matched, dry_run), &headers).await
}

/// `POST /v1/dead-letters/discard`
pub async fn discard(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(request): Json<PassRequest>,
) -> Result<Asked, Problem> {
    let filter = caller.narrow(request.filter()?)?;
    let dry_run = request.dry_run;
    let matched = api.store.count_dead_letters(&filter).await?;
    let job = asked(&api, &caller, JobKind::Discard { filter });
    ask(&api, counted(job, matched, dry_run), &headers).await
}

/// `POST /v1/dead-letters/reindex`
pub async fn reindex(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Asked, Problem> {
    let matched = api.store.count_dead_letters(&DeadLetterFilter::default()).await?;
    ask(&api, counted(asked(&api, &caller, JobKind::Reindex), matched, false), &headers).await
}

/// The job, as far as counting went.
fn counted(job: Job, matched: u64, dry_run: bool) -> Job {
    // A dry run has been done by counting.
    let state = if dry_run { JobState::Done } else { JobState::Queued };
    let finished_at = dry_run.then_some(job.created_at);
    Job { state, dry_run, matched, finished_at, ..job }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<&DeadLetterFilter, u16>) {
        let filter = object::<PassRequest>(body.as_bytes()).and_then(|request| request.filter());
        assert_eq!(filter.as_ref().map_err(|problem| problem.status), expected, "{body}");
    }

    #[test]
    fn everything_is_meant_only_when_it_is_said() {
        let of_acme = DeadLetterFilter {
            tenant: Some("acme".parse().unwrap()),
            ..DeadLetterFilter::default()
        };
        check(r#"{"filter":{}}"#, Ok(&DeadLetterFilter::default()));
        check(r#"{"filter":{"tenant":"acme"},"rate":"5/s"}"#, Ok(&of_acme));
        for bad in [
            "{}",
            "[{}]",
            r#"{"filter":null}"#,
            r#"{"filter":[]}"#,
            r#"{"filter":"all"}"#,
            r#"{"filter":{"tenants":"acme"}}"#,
            r#"{"filter":{},"rate":"fast"}"#,
        ] {
            check(bad, Err(422));
        }
    }
}
