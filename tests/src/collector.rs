//! A collector: takes spans as OTLP's own types read them, and keeps them.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as WireSpan;

use crate::eventually;
use crate::receiver::{Answer, Receiver, Request};

/// A collector; it ends when it is dropped.
pub struct Collector(Receiver);

/// A span as it came, its ids in hex.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Its parent's; empty if it has none.
    pub parent: String,
    /// Spans that it is linked to: trace and span.
    pub links: Vec<(String, String)>,
    /// When it began and ended, in ns since 1970.
    pub time: (u64, u64),
    /// Was it said to have failed?
    pub failed: bool,
    /// What else is told of it; numbers as texts.
    pub attributes: HashMap<String, String>,
}

impl Collector {
    /// One that takes everything.
    pub async fn new() -> Self {
        Self(Receiver::answering(200).await)
    }

    /// One that answers as it is told.
    pub async fn answering(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self(Receiver::new(decide).await)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Requests as they came.
    pub fn requests(&self) -> Vec<Request> {
        self.0.requests()
    }

    /// The spans that it took so far.
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.requests().into_iter().filter(|request| request.answered == 200);
        taken.flat_map(|request| spans(&request)).collect()
    }

    /// Waits for so many spans of a name, and answers them by their beginning.
    pub async fn wait_for(&self, count: usize, name: &str, patience: Duration) -> Vec<Span> {
        eventually(&format!("{count} spans {name:?}"), patience, || async {
            let mut spans = self.spans();
            spans.retain(|span| span.name == name);
            spans.sort_by_key(|span| span.time);
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

/// Panics if it is not what OTLP over HTTP asks for.
fn spans(request: &Request) -> Vec<Span> {
    assert_eq!(request.line(), "POST /v1/traces HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let read: ExportTraceServiceRequest = serde_json::from_slice(&request.body).unwrap();
    let mut spans = Vec::new();
    for of_resource in read.resource_spans {
        let about = of_resource.resource.unwrap().attributes;
        assert!(about.iter().any(|attribute| attribute.key == "service.name"), "{about:?}");
        spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    spans.into_iter().map(Span::read).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Span {
    fn read(wire: WireSpan) -> Self {
        let links = wire.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id)));
        let attributes = wire.attributes.into_iter().map(|attribute| {
            let value = match attribute.value.unwrap().value.unwrap() {
                Value::StringValue(text) => text,
                Value::IntValue(number) => number.to_string(),
                other => panic!("{}: {other:?}", attribute.key),
            };
            (attribute.key, value)
        });
        Self {
            name: wire.name,
            trace: hex(&wire.trace_id),
            id: hex(&wire.span_id),
            parent: hex(&wire.parent_span_id),
            links: links.collect(),
            time: (wire.start_time_unix_nano, wire.end_time_unix_nano),
            failed: wire.status.is_some_and(|status| status.code == 2),
            attributes: attributes.collect(),
        }
    }

    /// One attribute.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        let value = self.attributes.get(name);
        value.unwrap_or_else(|| panic!("no {name:?} in {:?}", self.attributes))
    }
}
