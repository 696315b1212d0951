//! What callers send, at random: nothing panics, and no answer quotes a secret.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hookfleet_domain::{EndpointPatch, Rotation};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::extract::{media_type, object};
use crate::preview::PreviewRequest;
use crate::{auth, batch, events, once, wait};

const SECRET: &str = "8675309";

const NAMES: [&str; 8] =
    ["secret", "auth", "token", "key", "client_certificate", "url", "type", "events"];

/// JSON of any form, with a secret in places where one may stand.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(SECRET)),
        Just(json!(SECRET.parse::<u64>().unwrap_or_default())),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z.*]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(&NAMES[..]), inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

/// The value behind each name that may hold a secret.
fn hides(value: &Value) -> bool {
    let at =
        |pointer| value.pointer(pointer).is_some_and(|found| found.to_string().contains(SECRET));
    ["/secret", "/auth/token", "/client_certificate/key"].into_iter().any(at)
}

proptest! {
    #[test]
    fn outside_bodies(value in value(), cut in 0..200_usize) {
        let text = value.to_string();
        if let Err(problem) = object::<EndpointPatch>(text.as_bytes()) {
            let others = text.matches(SECRET).count();
            let told = serde_json::to_string(&problem).unwrap();
            // Where the only place that holds it is one for secrets, it is not repeated.
            prop_assert!(!(hides(&value) && others == 1 && told.contains(SECRET)), "{}: {}", text, told);
        }
        drop(object::<Rotation>(text.as_bytes()));
        drop(PreviewRequest::read(text.as_bytes()));
        let cut = text.as_bytes().get(..cut).unwrap_or_default();
        drop(object::<EndpointPatch>(cut));
        drop(PreviewRequest::read(cut));
        drop(batch::read(cut, true));
    }

    #[test]
    fn outside_batches(bytes: Vec<u8>, lines in "([\\[{\"}\\],:0-9a-z\n ]{0,20}\n){0,9}") {
        for body in [bytes.as_slice(), lines.as_bytes()] {
            drop(batch::read(body, true));
            drop(batch::read(body, false));
        }
    }

    #[test]
    fn outside_headers(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "(Bearer|bearer|Basic)? ?\\PC{0,20}".prop_map(String::into_bytes),
            "(wait|respond-async)? ?= ?\"?[0-9]{0,12}\"?[,;]?(wait=[0-9]*)?".prop_map(String::into_bytes),
            "0[01]-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}".prop_map(String::into_bytes),
        ],
    ) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("prefer"),
            HeaderName::from_static("traceparent"), HeaderName::from_static("idempotency-key")] {
            headers.insert(name, value.clone());
        }
        drop((media_type(&headers), events::trace(&headers), once::idempotency_key(&headers)));
        prop_assert!(wait::asked(&headers).is_none_or(|wait| wait.as_secs() <= 50));
        let text = value.to_str().unwrap_or_default();
        prop_assert!(auth::bearer(text).is_none_or(|token| !token.is_empty() && token.trim() == token));
    }
}
