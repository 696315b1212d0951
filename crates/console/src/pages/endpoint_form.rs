//! The form of an endpoint: what it shows, and the change that it asks for.

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hookfleet_domain::TenantId;
use serde_json::{Map, Value, json};

use crate::answers::Endpoint;
use crate::fields::Fields;
use crate::html::Options;
use crate::page::Shell;

/// Profiles and what they are for, in a few words.
pub const PROFILES: &Options = &[
    ("standard", "standard: Standard Webhooks, 8 attempts"),
    ("entro", "entro: the data as it is, token, one attempt"),
    ("auto-blogger", "auto-blogger: flat, sha256= if there is a secret, 3 attempts"),
    ("penr", "penr: wrapped, hex signature, 5 attempts"),
    ("content-engine", "content-engine: wrapped, sha256=, idempotency key, 7 attempts"),
    ("entri", "entri: wrapped, hex signature, one attempt"),
];
pub const METHODS: &Options = &[("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")];
pub const BODIES: &Options = &[
    ("standard", "standard: type, timestamp, data"),
    ("raw", "raw: the data as it is"),
    ("flat", "flat: event, and the data's members"),
    ("wrapped", "wrapped: event, timestamp, data"),
    ("cloud_events", "CloudEvents 1.0"),
];
pub const SIGNATURES: &Options = &[
    ("none", "none"),
    ("standard", "Standard Webhooks, v1 (HMAC-SHA256)"),
    ("standard_v1a", "Standard Webhooks, v1a (ed25519)"),
    ("hex", "hex of HMAC-SHA256 in a header"),
    ("sha256", "sha256= and the hex in a header"),
];
pub const AUTHS: &Options = &[
    ("none", "none"),
    ("header", "a header (Authorization sends Bearer)"),
    ("query", "the query parameter token"),
];
pub const YES_NO: &Options = &[("true", "yes"), ("false", "no")];

#[derive(Template)]
#[template(path = "endpoint_form.html")]
pub struct EndpointForm<'a> {
    pub shell: Shell,
    pub tenant: &'a TenantId,
    /// None: a new one.
    pub endpoint: Option<&'a Endpoint>,
    pub values: &'a Fields,
    pub error: &'a str,
}

/// The values of a new endpoint: a key, so that the form sent twice makes one of it.
pub fn starting() -> Result<Fields, getrandom::Error> {
    let once = once()?;
    Ok(Fields::of([
        ("once", once),
        ("profile", "standard".to_owned()),
        ("sample", SAMPLE.to_owned()),
    ]))
}

/// What a preview begins with.
const SAMPLE: &str = r#"{"title": "Hello"}"#;

/// An idempotency key that was never used.
pub fn once() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64.encode(bytes))
}

/// The values of an endpoint.
pub fn values(endpoint: &Endpoint) -> Fields {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let headers: Vec<String> =
        endpoint.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let schedule = &endpoint.retry.schedule;
    let retry = if schedule.is_empty() { "none".to_owned() } else { schedule.join(" ") };
    Fields::of([
        ("url", endpoint.url.clone()),
        ("name", text(&endpoint.name)),
        ("profile", endpoint.profile.clone()),
        ("project", text(&endpoint.project)),
        ("events", endpoint.events.join("\n")),
        ("method", endpoint.method.clone()),
        ("body", endpoint.body.clone()),
        ("signature", endpoint.signature.kind.clone()),
        ("signature_header", endpoint.signature.header.clone()),
        ("auth", endpoint.auth.kind.clone()),
        ("auth_name", endpoint.auth.name.clone()),
        ("accept", text(&endpoint.accept)),
        ("event_header", text(&endpoint.event_header)),
        ("idempotency_header", text(&endpoint.idempotency_header)),
        ("headers", headers.join("\n")),
        ("timeout", endpoint.timeout.clone()),
        ("retry", retry),
        ("rate_limit", text(&endpoint.rate_limit)),
        ("max_in_flight", endpoint.max_in_flight.to_string()),
        ("require_https", endpoint.require_https.to_string()),
        ("check_reachable", endpoint.check_reachable.to_string()),
        ("sample", SAMPLE.to_owned()),
    ])
}

/// What the form asks for: of a new endpoint all that is filled in, else all that differs from
/// `before`. What is no valid value is left for the API to refuse.
pub fn patch(form: &Fields, before: Option<&Fields>) -> Value {
    let says = |name: &str| match before {
        None => !form.get(name).is_empty(),
        Some(before) => form.get(name) != before.get(name),
    };
    let mut patch = Map::new();
    for name in ["url", "profile", "method", "body", "timeout"] {
        if says(name) {
            patch.insert(name.to_owned(), json!(form.get(name)));
        }
    }
    for name in ["name", "project", "accept", "event_header", "idempotency_header", "rate_limit"] {
        if says(name) {
            patch.insert(name.to_owned(), json!(form.some(name)));
        }
    }
    for name in ["require_https", "check_reachable"] {
        if says(name) {
            patch.insert(name.to_owned(), json!(form.get(name) == "true"));
        }
    }
    if says("max_in_flight") {
        let text = form.get("max_in_flight");
        let number = text.parse::<u32>().map_or_else(|_| json!(text), |number| json!(number));
        patch.insert("max_in_flight".to_owned(), number);
    }
    if says("events") {
        patch.insert("events".to_owned(), json!(words(form.get("events"))));
    }
    if says("retry") {
        let words = words(form.get("retry"));
        let waits: Vec<&str> = words.into_iter().filter(|word| *word != "none").collect();
        patch.insert("retry".to_owned(), json!({ "schedule": waits }));
    }
    if says("headers") {
        patch.insert("headers".to_owned(), headers(form.get("headers")));
    }
    if says("signature") || says("signature_header") {
        patch.insert("signature".to_owned(), signature(form));
    }
    if says("auth") || says("auth_name") || !form.get("auth_token").is_empty() {
        patch.insert("auth".to_owned(), auth(form));
    }
    if let Some(secret) = form.some("secret") {
        patch.insert("secret".to_owned(), json!(secret));
    }
    if let Some(certificate) = certificate(form) {
        patch.insert("client_certificate".to_owned(), certificate);
    }
    Value::Object(patch)
}

/// None: it stays as it is.
fn certificate(form: &Fields) -> Option<Value> {
    if form.ticked("certificate_removed") {
        return Some(Value::Null);
    }
    let (certificate, key) = (form.get("certificate"), form.get("certificate_key"));
    let is_given = !certificate.is_empty() || !key.is_empty();
    is_given.then(|| json!({ "certificate": certificate, "key": key }))
}

fn words(text: &str) -> Vec<&str> {
    text.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty()).collect()
}

/// A line each, `Name: value`.
fn headers(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().to_owned(), json!(value.trim()))
    });
    Value::Object(headers.collect())
}

fn signature(form: &Fields) -> Value {
    let kind = form.get("signature");
    if matches!(kind, "hex" | "sha256") {
        let header = form.some("signature_header").unwrap_or("X-Webhook-Signature");
        return json!({ "type": kind, "header": header });
    }
    json!({ "type": kind })
}

fn auth(form: &Fields) -> Value {
    let (name, token) = (form.some("auth_name").unwrap_or("Authorization"), form.get("auth_token"));
    match form.get("auth") {
        "header" => json!({ "type": "header", "name": name, "token": token }),
        "query" => json!({ "type": "query", "token": token }),
        _ => json!({ "type": "none" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        form: &[(&'static str, &str)],
        before: Option<&[(&'static str, &str)]>,
        expected: &Value,
    ) {
        let fields = |of: &[(&'static str, &str)]| {
            Fields::of(of.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        let before = before.map(fields);
        assert_eq!(patch(&fields(form), before.as_ref()), *expected);
    }

    #[test]
    fn a_new_endpoint_says_what_is_filled_in() {
        check(
            &[
                ("url", "https://a.example/hook"),
                ("name", ""),
                ("events", "a.*, b.c\nd"),
                ("retry", "5s 1h"),
                ("headers", "X-A: b:c\n\n X-D :e"),
                ("max_in_flight", "7"),
                ("auth", "header"),
                ("auth_token", "t"),
                ("signature", "hex"),
                ("require_https", "false"),
            ],
            None,
            &json!({
                "url": "https://a.example/hook", "events": ["a.*", "b.c", "d"],
                "retry": {"schedule": ["5s", "1h"]}, "headers": {"X-A": "b:c", "X-D": "e"},
                "max_in_flight": 7, "require_https": false,
                "auth": {"type": "header", "name": "Authorization", "token": "t"},
                "signature": {"type": "hex", "header": "X-Webhook-Signature"}
            }),
        );
        check(
            &[("retry", "none"), ("max_in_flight", "many")],
            None,
            &json!({
                "retry": {"schedule": []}, "max_in_flight": "many"
            }),
        );
    }

    #[test]
    fn a_certificate_is_given_kept_or_removed() {
        let given = [("certificate", "-C-"), ("certificate_key", "-K-")];
        let expected = json!({"client_certificate": {"certificate": "-C-", "key": "-K-"}});
        check(&given, None, &expected);
        check(&given, Some(&[]), &expected);
        check(&[("certificate", ""), ("certificate_key", "")], Some(&[]), &json!({}));
        check(&[("certificate_removed", "1")], Some(&[]), &json!({"client_certificate": null}));
    }

    #[test]
    fn a_change_says_what_differs() {
        let before = [("url", "https://a"), ("name", "A"), ("events", "a.*"), ("timeout", "15s")];
        check(&before, Some(&before), &json!({}));
        check(
            &[("url", "https://a"), ("name", ""), ("events", ""), ("timeout", "5s")],
            Some(&before),
            &json!({"name": null, "events": [], "timeout": "5s"}),
        );
    }
}
