//! Publishing many events: an answer per line, so that one bad line refuses itself alone.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{Draft, TenantId, TraceParent, limits};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{AnyOfBuilder, SchemaType};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Api;
use crate::events::{BatchedRequest, PublishedView, trace};
use crate::extract::{Body, Names, media_type, object};
use crate::problem::Problem;

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// A line may be anything: one that is no event refuses itself alone.
struct BatchLine;

impl PartialSchema for BatchLine {
    fn schema() -> RefOr<Schema> {
        let anything = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        AnyOfBuilder::new().item(Ref::from_schema_name("BatchedEvent")).item(anything).into()
    }
}

impl ToSchema for BatchLine {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("BatchedEvent".to_owned(), BatchedRequest::schema()));
        BatchedRequest::schemas(schemas);
    }
}

/// What became of a line.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum BatchAnswer {
    Published(PublishedView),
    Refused { error: Problem },
}

/// Publish many events
///
/// NDJSON or a JSON array, answered in kind: an answer per line, in their order, so that one bad
/// line refuses itself alone.
#[utoipa::path(
    post, path = "/events/batch", operation_id = "publish_events", tag = "events",
    request_body(content(
        (Vec<BatchLine> = "application/json", example = json!([
            {"type": "content.published", "data": {"id": 1}, "idempotency_key": "42-1716206400"},
            {"type": "content.updated", "data": {"id": 2}}
        ])),
        (String = "application/x-ndjson")
    )),
    responses((status = 200, description = "An answer per line.", content(
        (Vec<BatchAnswer> = "application/json"),
        (String = "application/x-ndjson")
    )))
)]
pub async fn publish(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    if body.is_empty() {
        return Err(Problem::bad_request("the body is empty"));
    }
    let media_type = media_type(&headers);
    let is_array = body.trim_ascii_start().starts_with(b"[") && media_type != NDJSON;
    let lines = read(&body, is_array)?;
    if media_type == JSON && !is_array && !are_values(&lines) {
        return Err(Problem::bad_request(format!("expected a JSON array, or `{NDJSON}`")));
    }
    if lines.len() > limits::BATCH_EVENTS_MAX {
        let detail = format!("expected at most {} events", limits::BATCH_EVENTS_MAX);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let trace = trace(&headers);
    let drafts = lines.iter().map(|line| draft(line, &tenant, trace.as_ref()));
    let (mut answers, mut good) = (Vec::with_capacity(lines.len()), Vec::new());
    for draft in drafts {
        match draft {
            Ok(draft) => {
                good.push(draft);
                answers.push(None);
            }
            Err(error) => answers.push(Some(BatchAnswer::Refused { error })),
        }
    }
    let mut published = api.producer.publish_batch(good).await.into_iter();
    let mut next = || match published.next() {
        Some(Ok(published)) => BatchAnswer::Published(published.into()),
        Some(Err(error)) => BatchAnswer::Refused { error: error.into() },
        None => BatchAnswer::Refused { error: Problem::unavailable("not published") },
    };
    let answers: Vec<_> =
        answers.into_iter().map(|refused| refused.unwrap_or_else(&mut next)).collect();
    if is_array {
        return Ok(Answer(answers).into_response());
    }
    let mut lines = String::new();
    for answer in &answers {
        lines += &serde_json::to_string(answer).map_err(Problem::unavailable)?;
        lines.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, NDJSON)], lines).into_response())
}

/// What stands for an event each, of an array or of lines.
pub(crate) fn read(body: &[u8], is_array: bool) -> Result<Vec<&[u8]>, Problem> {
    if is_array { items(body) } else { Ok(lines(body)) }
}

/// The texts of an array's items.
fn items(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let items: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| Problem::of_json(&error, body))?;
    Ok(items.into_iter().map(|item| item.get().as_bytes()).collect())
}

/// The lines that are not blank; one more than is allowed tells that there are too many.
fn lines(body: &[u8]) -> Vec<&[u8]> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).take(limits::BATCH_EVENTS_MAX + 1).collect()
}

/// Several JSON values one below the other are NDJSON, whatever they are called.
fn are_values(lines: &[&[u8]]) -> bool {
    let is_value = |line: &&[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    lines.len() > 1 && lines.first().is_some_and(is_value)
}

fn draft(line: &[u8], tenant: &TenantId, trace: Option<&TraceParent>) -> Result<Draft, Problem> {
    let event: BatchedRequest = object(line)?;
    Ok(event.draft(tenant.clone(), trace.cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&[u8]], expected: &[&str]) {
        let texts: Vec<_> = texts.iter().map(|text| str::from_utf8(text).unwrap()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn lines_are_told_apart() {
        let body = b"{\"a\":1}\n\n {\"b\":2} \r\n[3]";
        check(&lines(body), &["{\"a\":1}", "{\"b\":2}", "[3]"]);
        check(&lines(b""), &[]);
        let endless = b"1\n".repeat(limits::BATCH_EVENTS_MAX * 2);
        assert_eq!(lines(&endless).len(), limits::BATCH_EVENTS_MAX + 1);
    }

    #[test]
    fn items_are_told_apart() {
        let items_of = |body: &'static [u8]| items(body).unwrap();
        check(&items_of(b" [ {\"a\": 1}, 2 ]"), &["{\"a\": 1}", "2"]);
        check(&items_of(b"[]"), &[]);
        for broken in ["[1,", "[1] 2", "[{]"] {
            let problem = items(broken.as_bytes()).unwrap_err();
            assert_eq!(problem.status, 400, "{broken}");
        }
    }

    #[test]
    fn a_bad_line_is_refused() {
        let tenant: TenantId = "acme".parse().unwrap();
        let status = |line: &str| draft(line.as_bytes(), &tenant, None).err().map(|no| no.status);
        assert_eq!(status(r#"{"type":"a.b","data":1,"idempotency_key":"k"}"#), None);
        assert_eq!(status("{"), Some(400));
        assert_eq!(status(r#"["a.b",1]"#), Some(422), "fields without names");
        assert_eq!(status(r#"{"type":"a.b"}"#), Some(422));
    }
}
