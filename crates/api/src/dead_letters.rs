//! Dead letters: list, show, and the passes that an operator asks for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json as Answer};
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, EndpointId, EventType,
    IdempotencyKey, Rate, TenantId, Timestamp,
};
use hookfleet_store::{DeadLetterCursor, Job, JobKind, JobState};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::Api;
use crate::auth::Caller;
use crate::dead_letter_view::{LetterView, Summary};
use crate::extract::{Fields, Json, Limit, Names, Page, object, page};
use crate::jobs::{Asked, AskedView, ask, asked};
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    tenant: Option<TenantId>,
    endpoint: Option<EndpointId>,
    event_type: Option<EventType>,
    reason: Option<DeadLetterReason>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<Limit>,
    cursor: Option<Cursor>,
}

/// Where a page begins: the `next_cursor` of the one before it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(String);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = DeadLetterCursor::read(&text);
        read.map(|_| Self(text)).ok_or("cursor is invalid: expected the `next_cursor` of a page")
    }
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some("^[0-9]{1,15}_[A-Za-z0-9_-]{1,64}$")).into()
    }
}

impl ToSchema for Cursor {}

/// Dead letters, newest first
#[utoipa::path(
    get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "dead letters",
    params(ListQuery),
    responses((status = 200, description = "Without their payloads.", body = Page<Summary>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Fields(query): Fields<ListQuery>,
) -> Result<Answer<Page<Summary>>, Problem> {
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
    let cursor = query.cursor.map(|Cursor(text)| text);
    let page = api.store.dead_letters(&filter, &page(query.limit, cursor)).await?;
    let items = page.items.iter().map(Summary::new).collect();
    Ok(Answer(Page { items, next_cursor: page.next_cursor }))
}

/// A dead letter, with its payload
#[utoipa::path(
    get, path = "/dead-letters/{letter}", operation_id = "show_dead_letter", tag = "dead letters",
    responses((status = 200, description = "The letter.", body = LetterView))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Names(id): Names<DeadLetterId>,
) -> Result<Answer<LetterView>, Problem> {
    let missing = || Problem::not_found(format!("there is no dead letter {id}"));
    let letter = api.store.dead_letter(&id).await?;
    let reached =
        |letter: &DeadLetter| caller.tenant().is_none_or(|own| letter.tenant() == Some(own));
    let letter = letter.filter(reached).ok_or_else(missing)?;
    Ok(Answer(LetterView::new(&letter)))
}

/// What a pass is asked to do. The filter must be there, and an object: only `{}` means all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pass)]
pub struct PassRequest {
    /// Which; `{}` means all.
    #[schema(value_type = DeadLetterFilter)]
    filter: Box<RawValue>,
    /// A discard sends nothing that could be slowed down: it takes a rate and has no use for it.
    rate: Option<Rate>,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
}

impl PassRequest {
    fn filter(&self) -> Result<DeadLetterFilter, Problem> {
        let refused = |problem: Problem| problem.within("filter");
        object(self.filter.get().as_bytes()).map_err(refused)
    }
}

/// Deliver dead letters again
#[utoipa::path(
    post, path = "/dead-letters/replay", operation_id = "replay_dead_letters", tag = "dead letters",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = PassRequest, examples(
        ("those of a tenant, slowly" = (value = json!({
            "filter": {"tenant": "acme", "reason": "exhausted"}, "rate": "50/s"
        }))),
        ("all, only counted" = (value = json!({"filter": {}, "dry_run": true})))
    )),
    responses(
        (status = 202, description = "A worker takes it up.", body = AskedView),
        (status = 200, description = "Its idempotency key asked for it before.", body = AskedView)
    )
)]
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

/// Throw dead letters away
#[utoipa::path(
    post, path = "/dead-letters/discard", operation_id = "discard_dead_letters", tag = "dead letters",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = PassRequest, examples(
        ("those of an endpoint before a time" = (value = json!({
            "filter": {"endpoint": "ep_1", "until": "2026-02-19T14:32:00Z"}
        })))
    )),
    responses(
        (status = 202, description = "A worker takes it up.", body = AskedView),
        (status = 200, description = "Its idempotency key asked for it before.", body = AskedView)
    )
)]
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

/// Read the index of dead letters anew, out of the queue
#[utoipa::path(
    post, path = "/dead-letters/reindex", operation_id = "reindex_dead_letters", tag = "dead letters",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    responses(
        (status = 202, description = "A worker takes it up.", body = AskedView),
        (status = 200, description = "Its idempotency key asked for it before.", body = AskedView)
    )
)]
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
