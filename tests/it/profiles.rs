//! Every profile, byte for byte, as a raw receiver gets it; signatures verified by other people's
//! implementations: the `standardwebhooks` crate, and Python's `hmac` or openssl where at hand.

use std::process::Command;

use e2e::client::text;
use e2e::fleet::Fleet;
use e2e::receiver::{Receiver, Request};
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(
    standard,
    entro,
    entro_with_an_api_key_or_a_query_token,
    auto_blogger,
    auto_blogger_without_a_secret_is_unsigned,
    penr_and_entri,
    content_engine,
    cloud_events
);

const DATA: &str = r#"{"b": 1.50, "a":"\u00e9"}"#;
const WRAPPED: &str = r#"{"event":"post.published","timestamp":"2026-02-19T14:32:00.000Z","data":{"b": 1.50, "a":"\u00e9"}}"#;

/// Publishes `DATA` to an endpoint with these fields: the endpoint, the event's id, the request.
async fn delivered(fleet: &Fleet, fields: Value) -> (Value, String, Request) {
    let tenant = format!("/v1/tenants/t{}", rand::random::<u32>());
    let receiver = Receiver::answering(200).await;
    let mut fields = fields;
    let url = format!("{}/hook?x=1", receiver.url);
    fields.as_object_mut().unwrap().insert("url".to_owned(), url.into());
    let (status, endpoint) = fleet.client.post(&format!("{tenant}/endpoints"), &fields).await;
    assert_eq!(status, 201, "{endpoint}");
    let event = format!(
        r#"{{"type":"post.published","timestamp":"2026-02-19T15:32:00+01:00","data":{DATA}}}"#
    );
    let request = fleet
        .client
        .request(reqwest::Method::POST, &format!("{tenant}/events"))
        .header("content-type", "application/json")
        .header("idempotency-key", "42-1716206400")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(event);
    let (status, published) = fleet.client.send(request).await;
    assert_eq!(status, 202, "{published}");
    // Some profiles ask with HEAD whether anybody is there, before they are saved.
    let delivery = eventually("the delivery", SOON, || async {
        receiver.requests().into_iter().find(|request| !request.line().starts_with("HEAD "))
    });
    (endpoint, text(&published, "id"), delivery.await)
}

/// The request's headers, but for those that every HTTP client sends.
fn own_headers(request: &Request) -> Vec<&str> {
    let common = ["host", "user-agent", "content-length", "traceparent"];
    let names = request.headers().into_iter().map(|(name, _)| name);
    let mut own: Vec<&str> =
        names.filter(|name| !common.contains(&name.to_lowercase().as_str())).collect();
    own.sort_unstable();
    own
}

/// HMAC-SHA256 in hex, by somebody else.
fn foreign_hmac(key: &str, body: &[u8]) -> Option<String> {
    let file = std::env::temp_dir().join(format!("hookfleet-hmac-{}", std::process::id()));
    std::fs::write(&file, body).unwrap();
    let code = "import hmac,sys;print(hmac.new(sys.argv[1].encode(),open(sys.argv[2],'rb').read(),'sha256').hexdigest())";
    let python = Command::new("python3").args(["-c", code, key]).arg(&file).output();
    let openssl = || {
        Command::new("openssl").args(["dgst", "-sha256", "-hmac", key, "-r"]).arg(&file).output()
    };
    let output = python.or_else(|_| openssl()).ok().filter(|output| output.status.success());
    std::fs::remove_file(&file).unwrap();
    let text = String::from_utf8(output?.stdout).unwrap();
    text.split_whitespace().next().map(str::to_owned)
}

#[track_caller]
fn check_hmac(secret: &str, signature: &str, body: &[u8]) {
    match foreign_hmac(secret, body) {
        Some(expected) => assert_eq!(signature, expected),
        None => panic!("neither python3 nor openssl is there to verify with"),
    }
}

async fn standard(fleet: Fleet) {
    let (endpoint, id, request) = delivered(&fleet, json!({})).await;
    assert_eq!(request.line(), "POST /hook?x=1 HTTP/1.1");
    let body = r#"{"type":"post.published","timestamp":"2026-02-19T14:32:00.000Z","data":{"b": 1.50, "a":"\u00e9"}}"#;
    assert_eq!(request.text(), body);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    assert_eq!(
        request.header("traceparent"),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    );
    assert_eq!(
        own_headers(&request),
        ["accept", "content-type", "webhook-id", "webhook-signature", "webhook-timestamp"]
    );
    let secret = text(&endpoint, "secret");
    assert!(secret.starts_with("whsec_"));
    assert!(request.verifies(&secret) && !request.verifies_with(&secret, b"{}"));
}

async fn entro(fleet: Fleet) {
    let auth = json!({"type": "header", "token": "bearer-token"});
    let (endpoint, _, request) =
        delivered(&fleet, json!({"profile": "entro", "auth": auth, "method": "PUT"})).await;
    assert_eq!(endpoint.get("secret"), None);
    assert_eq!(endpoint.get("has_secret"), Some(&json!(false)));
    assert_eq!(request.line(), "PUT /hook?x=1 HTTP/1.1");
    assert_eq!(request.text(), DATA);
    assert_eq!(request.header("authorization"), Some("Bearer bearer-token"));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(own_headers(&request), ["Accept", "Authorization", "Content-Type"]);
}

async fn entro_with_an_api_key_or_a_query_token(fleet: Fleet) {
    let auth = json!({"type": "header", "name": "X-API-Key", "token": "bare"});
    let (_, _, request) =
        delivered(&fleet, json!({"profile": "entro", "auth": auth, "method": "PATCH"})).await;
    assert_eq!(request.line(), "PATCH /hook?x=1 HTTP/1.1");
    assert_eq!(request.header("x-api-key"), Some("bare"));
    let auth = json!({"type": "query", "token": "a&b=c"});
    let (endpoint, _, request) = delivered(&fleet, json!({"profile": "entro", "auth": auth})).await;
    assert_eq!(endpoint.get("auth"), Some(&json!({"type": "query"})));
    assert_eq!(request.line(), "POST /hook?x=1&token=a%26b%3Dc HTTP/1.1");
}

async fn auto_blogger(fleet: Fleet) {
    let fields = json!({"profile": "auto-blogger", "secret": "s3cret", "require_https": false});
    let (endpoint, _, request) = delivered(&fleet, fields).await;
    assert_eq!(endpoint.get("secret"), None, "a given secret is not repeated");
    assert_eq!(request.text(), r#"{"event":"post.published","b": 1.50, "a":"\u00e9"}"#);
    assert_eq!(request.header("idempotency-key"), Some("42-1716206400"));
    assert_eq!(request.header("accept"), Some("application/json"));
    let signature = request.header("x-webhook-signature").unwrap();
    check_hmac("s3cret", signature.strip_prefix("sha256=").unwrap(), &request.body);
    assert_eq!(
        own_headers(&request),
        ["Accept", "Content-Type", "Idempotency-Key", "X-Webhook-Signature"]
    );
}

async fn auto_blogger_without_a_secret_is_unsigned(fleet: Fleet) {
    let (_, _, request) =
        delivered(&fleet, json!({"profile": "auto-blogger", "require_https": false})).await;
    assert_eq!(own_headers(&request), ["Accept", "Content-Type", "Idempotency-Key"]);
}

async fn penr_and_entri(fleet: Fleet) {
    for profile in ["penr", "entri"] {
        let (endpoint, _, request) = delivered(&fleet, json!({"profile": profile})).await;
        assert_eq!(request.text(), WRAPPED);
        assert_eq!(request.header("x-webhook-event"), Some("post.published"));
        let signature = request.header("x-webhook-signature").unwrap();
        check_hmac(&text(&endpoint, "secret"), signature, &request.body);
        assert_eq!(
            own_headers(&request),
            ["Accept", "Content-Type", "X-Webhook-Event", "X-Webhook-Signature"]
        );
    }
}

async fn content_engine(fleet: Fleet) {
    let (endpoint, _, request) = delivered(&fleet, json!({"profile": "content-engine"})).await;
    assert_eq!(request.text(), WRAPPED);
    assert_eq!(request.header("x-webhook-event"), Some("post.published"));
    assert_eq!(request.header("idempotency-key"), Some("42-1716206400"));
    let signature = request.header("x-webhook-signature").unwrap();
    let signature = signature.strip_prefix("sha256=").unwrap();
    check_hmac(&text(&endpoint, "secret"), signature, &request.body);
}

async fn cloud_events(fleet: Fleet) {
    let (_, id, request) = delivered(&fleet, json!({"body": "cloud_events"})).await;
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["specversion"], "1.0");
    assert_eq!(body["id"], id);
    assert_eq!(body["type"], "post.published");
    assert_eq!(body["time"], "2026-02-19T14:32:00.000Z");
    assert!(body["source"].as_str().unwrap().starts_with("/tenants/t"), "{body}");
    assert!(request.text().contains(DATA), "data is carried as it came");
    assert!(request.header("webhook-signature").is_some(), "and signed like any other");
}
