//! Publishing many events: an answer per line, so that one bad line refuses itself alone.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{Draft, TenantId, TraceParent, limits};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Api;
use crate::events::{EventRequest, PublishedView, trace};
use crate::extract::{Body, Names, media_type, object};
use crate::problem::Problem;

const NDJSON: &str = "application/x-ndjson";

/// `POST /v1/tenants/{tenant}/events/batch`: NDJSON or a JSON array, answered in kind.
pub async fn publish(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let is_array = body.trim_ascii_start().starts_with(b"[") && media_type(&headers) != NDJSON;
    let lines = if is_array { items(&body)? } else { lines(&body) };
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
                answers.push(Value::Null);
            }
            Err(problem) => answers.push(json!({"error": problem.into_value()})),
        }
    }
    let mut published = api.producer.publish_batch(good).await.into_iter();
    for answer in answers.iter_mut().filter(|answer| answer.is_null()) {
        *answer = match published.next() {
            Some(Ok(published)) => json!(PublishedView::from(published)),
            Some(Err(error)) => json!({"error": Problem::from(error).into_value()}),
            None => json!({"error": Problem::unavailable("not published").into_value()}),
        };
    }
    if is_array {
        return Ok(Answer(answers).into_response());
    }
    let lines: Vec<String> = answers.iter().map(Value::to_string).collect();
    Ok(([(header::CONTENT_TYPE, NDJSON)], lines.join("\n") + "\n").into_response())
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

fn draft(line: &[u8], tenant: &TenantId, trace: Option<&TraceParent>) -> Result<Draft, Problem> {
    let event: EventRequest = object(line)?;
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
