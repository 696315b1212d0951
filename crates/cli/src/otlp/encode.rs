//! Spans as OTLP writes them in JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>):
//! names in lower camel case, ids in hex, 64-bit numbers as texts, enumerations as numbers.

use std::time::Duration;

use hookfleet_domain::{Attribute, Span, SpanKind, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

/// `ExportTraceServiceRequest`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Value,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Value,
    #[serde(serialize_with = "spans")]
    spans: &'a [Span],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireSpan<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'static str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<[Link; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'static str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(&'a str),
    IntValue(String),
}

const STATUS_CODE_ERROR: u8 = 2;

/// The body of a request with these spans.
pub fn request(spans: &[Span]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let attribute = |key, value| json!({"key": key, "value": {"stringValue": value}});
    let about = [attribute("service.name", "hookfleet"), attribute("service.version", version)];
    let scope = json!({"name": "hookfleet", "version": version});
    let resource = json!({"attributes": about});
    let scope_spans = [ScopeSpans { scope, spans }];
    let request = Request { resource_spans: [ResourceSpans { resource, scope_spans }] };
    // Texts and numbers always serialise.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// How many spans of a batch the collector did not want, by its answer. One that says nothing of it
/// wanted them all.
pub fn rejected(answer: &[u8]) -> usize {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        partial_success: Partial,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Partial {
        rejected_spans: Value,
    }
    let answer = serde_json::from_slice::<Answer>(answer);
    match answer.map(|answer| answer.partial_success.rejected_spans) {
        Ok(Value::String(text)) => text.parse().unwrap_or(0),
        Ok(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        Err(_) => 0,
    }
}

fn spans<S: Serializer>(spans: &&[Span], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(spans.iter().map(WireSpan::of))
}

impl<'a> WireSpan<'a> {
    fn of(span: &'a Span) -> Self {
        let trace_id = span.trace.to_string();
        let link = |id: hookfleet_domain::SpanId| {
            [Link { trace_id: trace_id.clone(), span_id: id.to_string() }]
        };
        let error = |message: &'a String| Status { code: STATUS_CODE_ERROR, message };
        Self {
            span_id: span.id.to_string(),
            parent_span_id: span.parent.map(|id| id.to_string()),
            name: span.kind.name(),
            kind: kind(span.kind),
            start_time_unix_nano: unix_nanos(span.began, Duration::ZERO),
            end_time_unix_nano: unix_nanos(span.began, span.took),
            attributes: span.attributes.iter().map(KeyValue::of).collect(),
            links: span.link.map(link),
            status: span.error.as_ref().map(error),
            trace_id,
        }
    }
}

impl<'a> KeyValue<'a> {
    fn of((key, value): &'a (&'static str, Attribute)) -> Self {
        let value = match value {
            Attribute::Text(text) => AnyValue::StringValue(text),
            Attribute::Number(number) => AnyValue::IntValue(number.to_string()),
        };
        Self { key, value }
    }
}

/// `SpanKind`: producer, consumer, client.
fn kind(of: SpanKind) -> u8 {
    match of {
        SpanKind::Publish => 4,
        SpanKind::FanOut => 5,
        SpanKind::Attempt => 3,
    }
}

fn unix_nanos(at: Timestamp, later: Duration) -> String {
    let since_1970 = Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or(0));
    (since_1970 + later).as_nanos().to_string()
}
