use std::sync::Arc;

use hookfleet_domain::{Endpoint, EndpointPatch, EndpointPolicy, Secret};

use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS)
}

pub(crate) fn event(data: &str) -> Event {
    Event {
        id: "0190b3a4-0000-7000-8000-000000000001".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "post.published".parse().unwrap(),
        project: None,
        timestamp: "2026-02-19T14:32:00Z".parse().unwrap(),
        accepted_at: now(),
        idempotency_key: Some("42-1716206400".parse().unwrap()),
        trace: None,
        data: Arc::from(RawValue::from_string(data.to_owned()).unwrap()),
    }
}

pub(crate) fn endpoint(json: &str) -> Endpoint {
    let patch: EndpointPatch = serde_json::from_str(json).unwrap();
    let made = |_: &_| Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let policy = &EndpointPolicy { allow_http: true, ..EndpointPolicy::default() };
    patch.create("acme".parse().unwrap(), now(), policy, made).unwrap()
}

fn request(endpoint_json: &str, data: &str) -> WireRequest {
    let endpoint = endpoint(endpoint_json);
    let target = Target::new(endpoint);
    build(&target, &event(data), now()).unwrap()
}

#[track_caller]
fn check_body(profile: &str, data: &str, expected: &str) {
    let endpoint = format!(r#"{{"url":"https://a.example/","profile":"{profile}"}}"#);
    let body = request(&endpoint, data).body;
    assert_eq!(str::from_utf8(&body).unwrap(), expected);
}

#[test]
fn bodies() {
    let data = r#"{"b": 1.50, "a":"\u00e9"}"#;
    check_body("entro", data, data);
    check_body(
        "standard",
        data,
        r#"{"type":"post.published","timestamp":"2026-02-19T14:32:00.000Z","data":{"b": 1.50, "a":"\u00e9"}}"#,
    );
    check_body(
        "entri",
        data,
        r#"{"event":"post.published","timestamp":"2026-02-19T14:32:00.000Z","data":{"b": 1.50, "a":"\u00e9"}}"#,
    );
    check_body("auto-blogger", data, r#"{"event":"post.published","b": 1.50, "a":"\u00e9"}"#);
}

#[test]
fn a_flat_body_has_one_event_member() {
    check_body("auto-blogger", "{}", r#"{"event":"post.published"}"#);
    check_body("auto-blogger", "[1]", r#"{"event":"post.published","data":[1]}"#);
    let data = r#"{"b": 1.50,"event":"other","a":{"event":1}}"#;
    check_body("auto-blogger", data, r#"{"event":"post.published","b":1.50,"a":{"event":1}}"#);
}

fn headers(request: &WireRequest) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let mut all: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    all.sort();
    all
}

#[test]
fn headers_of_each_profile() {
    let of = |profile: &str| {
        let endpoint = format!(r#"{{"url":"https://a.example/","profile":"{profile}"}}"#);
        let request = request(&endpoint, "{}");
        headers(&request).into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("standard"), "content-type webhook-id webhook-signature webhook-timestamp");
    assert_eq!(of("entro"), "accept content-type");
    assert_eq!(of("auto-blogger"), "accept content-type idempotency-key");
    assert_eq!(of("penr"), "content-type x-webhook-event x-webhook-signature");
    assert_eq!(of("entri"), "content-type x-webhook-event x-webhook-signature");
    assert_eq!(
        of("content-engine"),
        "content-type idempotency-key x-webhook-event x-webhook-signature"
    );
}

#[test]
fn three_kinds_of_authentication() {
    let of = |auth: &str| {
        let endpoint =
            format!(r#"{{"url":"https://a.example/?x=1","profile":"entro","auth":{auth}}}"#);
        request(&endpoint, "{}")
    };
    let bearer = of(r#"{"type":"header","token":"t"}"#);
    assert_eq!(bearer.headers.get("authorization").unwrap(), "Bearer t");
    let bare = of(r#"{"type":"header","name":"X-API-Key","token":"t"}"#);
    assert_eq!(bare.headers.get("x-api-key").unwrap(), "t");
    let query = of(r#"{"type":"query","token":"a b&c"}"#.replace(' ', "+").as_str());
    assert_eq!(query.url.as_str(), "https://a.example/?x=1&token=a%2Bb%26c");
}

#[test]
fn nothing_is_sent_unsigned_for_want_of_a_key() {
    let mut endpoint = endpoint(r#"{"url":"https://a.example/"}"#);
    endpoint.secret = Some(Secret::new("not standard"));
    let target = Target::new(endpoint);
    let error = build(&target, &event("{}"), now()).unwrap_err();
    assert!(error.to_string().contains("secret is unusable"));
    assert!(!error.to_string().contains("not standard"));
}

proptest! {
    /// Whatever the data is, receivers find the event's type, once, and every other member.
    #[test]
    fn outside_flat_bodies(names in prop::collection::vec("event|[a-z\\\\\"é]{0,3}", 0..5), value in ".{0,9}") {
        let fields = names.iter().map(|name| (name.clone(), serde_json::json!(value)));
        let data = serde_json::Value::Object(fields.collect());
        let body = String::from_utf8(flat("post.published", &data.to_string())).unwrap();
        let read: std::collections::BTreeMap<String, String> = serde_json::from_str(&body).unwrap();
        assert_eq!(read["event"], "post.published");
        assert_eq!(body.matches(r#""event":"#).count(), 1);
        let others = data.as_object().unwrap().keys().filter(|name| *name != "event");
        assert_eq!(read.len(), others.count() + 1);
    }
}
