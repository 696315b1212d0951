use std::sync::Arc;

use expect_test::expect;
use hookfleet_domain::{
    AttemptNumber, Delivery, EndpointPatch, EndpointPolicy, Event, Outcome, Timestamp, TraceRatio,
};
use serde_json::Value;

use super::*;

struct Nowhere;

impl Spans for Nowhere {
    fn keep(&self, _: Span) {}
}

/// Of an attempt that failed, at an endpoint whose URL holds secrets.
fn span() -> Span {
    let now = Timestamp::from_unix_ms(1_700_000_000_123);
    let event = Event {
        id: "ev-1".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "a.b".parse().unwrap(),
        project: None,
        timestamp: now,
        accepted_at: now,
        idempotency_key: None,
        trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        data: serde_json::value::RawValue::NULL.to_owned().into(),
    };
    let options = TraceOptions { ratio: TraceRatio::ALL, tell_endpoints: false };
    let place = Tracer::new(Nowhere, options).place(&event).unwrap();
    let first = Delivery::first(Arc::new(event), "ep_1".parse().unwrap());
    let delivery = Delivery { attempt: AttemptNumber::new(2), ..first };
    let outcome = Outcome::Answered { status: 503, retry_after: None, wish: None };
    let patch = r#"{"url":"https://[2606:4700::1111]/path-hush?token=hush","name":"hush"}"#;
    let patch: EndpointPatch = serde_json::from_str(patch).unwrap();
    let (tenant, policy) = ("acme".parse().unwrap(), EndpointPolicy::default());
    let endpoint = patch.create(tenant, now, &policy, |_| Secret::new("whsec_aHVzaA==")).unwrap();
    place.attempted((&delivery, &endpoint), &outcome, (now, Duration::from_micros(1_500)))
}

#[test]
fn a_span_as_it_is_sent() {
    let request: Value = serde_json::from_slice(&encode::request(&[span()])).unwrap();
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let attributes = span["attributes"].as_array().unwrap().iter().map(Value::to_string);
    let fields = span.as_object().unwrap().iter().filter(|(name, _)| *name != "attributes");
    let fields = fields.map(|(name, value)| format!("{name}: {value}"));
    let lines: Vec<String> = fields.chain(attributes).collect();
    expect![[r#"
        endTimeUnixNano: "1700000000124500000"
        kind: 3
        links: [{"spanId":"9859de4c9913c05e","traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}]
        name: "attempt"
        parentSpanId: "b51006b64a0b17ff"
        spanId: "be0d6d69b4b6ceac"
        startTimeUnixNano: "1700000000123000000"
        status: {"code":2,"message":"answered with status 503"}
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736"
        {"key":"hookfleet.tenant","value":{"stringValue":"acme"}}
        {"key":"hookfleet.event.id","value":{"stringValue":"ev-1"}}
        {"key":"hookfleet.event.type","value":{"stringValue":"a.b"}}
        {"key":"hookfleet.endpoint.id","value":{"stringValue":"ep_1"}}
        {"key":"hookfleet.generation","value":{"intValue":"0"}}
        {"key":"hookfleet.attempt","value":{"intValue":"2"}}
        {"key":"hookfleet.outcome","value":{"stringValue":"status"}}
        {"key":"http.request.method","value":{"stringValue":"POST"}}
        {"key":"url.scheme","value":{"stringValue":"https"}}
        {"key":"server.address","value":{"stringValue":"2606:4700::1111"}}
        {"key":"server.port","value":{"intValue":"443"}}
        {"key":"http.response.status_code","value":{"intValue":"503"}}
        {"key":"error.type","value":{"stringValue":"503"}}"#]]
    .assert_eq(&lines.join("\n"));
    assert!(!request.to_string().contains("hush"));
}

#[test]
fn what_a_collector_rejects_is_counted() {
    for (answer, expected) in [
        ("", 0),
        ("{}", 0),
        (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#, 3),
        (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
        (r#"{"partialSuccess":{"rejectedSpans":"many"}}"#, 0),
    ] {
        assert_eq!(encode::rejected(answer.as_bytes()), expected, "{answer}");
    }
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let dropped = IntCounter::new("dropped", "dropped").unwrap();
    let (sender, waiting) = mpsc::channel(2);
    let queue = Waiting { sender, dropped: dropped.clone() };
    for _ in 0..5 {
        queue.keep(span());
    }
    assert_eq!((waiting.len(), dropped.get()), (2, 3));
}

#[test]
fn settings() {
    let at = |text: &str| url(&Secret::new(text)).map(|url| url.to_string()).ok();
    let traces = Some("http://collector:4318/v1/traces".to_owned());
    for text in
        ["http://collector:4318", "http://collector:4318/", "http://collector:4318/v1/traces"]
    {
        assert_eq!(at(text), traces, "{text}");
    }
    assert_eq!(at("https://c.example/otlp"), Some("https://c.example/otlp/v1/traces".to_owned()));
    assert_eq!(at("collector:4318"), None);
    assert_eq!(at("grpc://collector:4317"), None);

    let read = |text: &str| headers(&Secret::new(text)).ok();
    let given = read("authorization=Bearer a=b, x-scope = acme,").unwrap();
    assert_eq!(
        (given.len(), &given["authorization"]),
        (2, &HeaderValue::from_static("Bearer a=b"))
    );
    assert!(!format!("{given:?}").contains("Bearer"));
    assert!(read("authorization").is_none() && read("two words=1").is_none());
}
