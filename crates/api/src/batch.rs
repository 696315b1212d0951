//! Publishing many events: an answer per line, so that one bad line refuses itself alone.

use std::sync::Arc;

use axum::Json as Answer;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hookfleet_domain::{Draft, TenantId, TraceParent, limits};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Api;
use crate::events::{EventRequest, PublishedView, trace};
use crate::extract::Names;
use crate::problem::Problem;

/// `POST /v1/tenants/{tenant}/events/batch`: NDJSON or a JSON array.
pub async fn publish(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Answer<Value>, Problem> {
    let body = body?;
    let lines = split(&body)?;
    if lines.len() > limits::BATCH_EVENTS_MAX {
        let detail = format!(
            "{} events: at most {}",
            lines.len(),
            limits::BATCH_EVENTS_MAX
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let trace = trace(&headers);
    let drafts = lines
        .iter()
        .map(|line| draft(line, &tenant, trace.as_ref()));
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
    Ok(Answer(json!({"items": answers})))
}

/// The texts of a batch's events.
fn split(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    if body.trim_ascii_start().starts_with(b"[") {
        let items: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| Problem::of_json(&error))?;
        return Ok(items
            .into_iter()
            .map(|item| item.get().as_bytes())
            .collect());
    }
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

fn draft(line: &[u8], tenant: &TenantId, trace: Option<&TraceParent>) -> Result<Draft, Problem> {
    let event: EventRequest =
        serde_json::from_slice(line).map_err(|error| Problem::of_json(&error))?;
    Ok(event.draft(tenant.clone(), trace.cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let lines = split(body.as_bytes()).unwrap();
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn lines_or_an_array() {
        check("{\"a\":1}\n\n {\"b\":2} \r\n", &["{\"a\":1}", "{\"b\":2}"]);
        check(" [ {\"a\": 1}, 2 ]", &["{\"a\": 1}", "2"]);
        check("", &[]);
        assert!(split(b"[1,").is_err());
    }
}
