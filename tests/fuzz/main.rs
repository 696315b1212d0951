//! Everything that reads bytes from outside, given random ones: nothing panics, and what is read says
//! the same when it is written and read again. `make fuzz-parsers` runs more cases.

mod mutated;

use std::fmt::Display;
use std::str::FromStr;

use hookfleet_domain::{
    ApiToken, AttemptRecord, Auth, DeadLetterFilter, DeadLetterId, EndpointId, EndpointPatch,
    EndpointPolicy, EndpointUrl, EventId, EventType, HeaderName, IdempotencyKey, JobId, ProjectId,
    Rate, Rotation, Secret, Subscription, TenantId, Timestamp, TokenId, TraceParent, Wish,
    duration_text, limits, parse_duration, retry_after,
};
use hookfleet_queue::{Message, Position, wire as messages};
use hookfleet_store::{DeadLetterCursor, Job, Sealer, wire as records};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use mutated::{json, near, text};

fn at(unix_ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(unix_ms)
}

fn envelope() -> messages::Envelope {
    messages::Envelope { idempotency_key: None, trace: None, accepted_at: at(1) }
}

fn sealer() -> Sealer {
    Sealer::new(&Secret::new("1".repeat(64))).unwrap()
}

/// What is read is written in one way alone.
#[track_caller]
fn check_text<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let written = read.to_string();
        let again = written.parse::<T>().ok().map(|again| again.to_string());
        assert_eq!(again, Some(written), "from {text:?}");
    }
}

#[track_caller]
fn check_json<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_string(&read).unwrap();
        let again: T = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
    }
}

/// With every secret and every certificate there is.
const ENDPOINT: &str = r#"{"url":"https://example.com/hook?a=1","profile":"penr","name":"CMS",
    "project":"site-1","events":["content.*","*"],"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "auth":{"type":"header","name":"X-Api-Key","token":"opensesame"},"method":"PUT","body":"flat",
    "headers":{"X-Team":"content"},"signature":{"type":"sha256","header":"X-Sig"},"accept":null,
    "event_header":"X-Event","timeout":"10s","retry":{"schedule":["5s","5m","1h"]},
    "rate_limit":"50/s","max_in_flight":10,"require_https":true,"active":false,
    "client_certificate":{"certificate":"c","key":"k"}}"#;
const EVENT: &str = r#"{"tenant":"acme","type":"post.published","project":"site","id":"ev_1",
    "timestamp":"2026-02-19T15:32:00+01:00","data":{"b":1.50,"a":"\u00e9",
    "c":[[],{"d":null}]}}"#;
const DELIVERY: &str = r#"{"v":1,"endpoint":"ep_1","generation":0,"attempt":2,"history":[{"attempt":1,
    "at":"2023-11-14T22:13:21.000Z","duration_ms":12,"http_status":503,"error":"x"}],"event":{
    "id":"ev_1","tenant":"acme","type":"a.b","timestamp":"2026-02-19T14:32:00.000Z",
    "accepted_at":"2023-11-14T22:13:20.123Z","idempotency_key":"42",
    "trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","data":{"b":1.50}}}"#;
const RAW_LETTER: &str = r#"{"v":1,"id":"dl_1","reason":"malformed","died_at":"2023-11-14T22:13:22.000Z",
    "raw":{"bytes":"eyI=","error":"EOF","idempotency_key":"k"}}"#;
const FILTER: &str = r#"{"tenant":"acme","endpoint":"ep_1","event_type":"a.b","reason":"exhausted",
    "since":"2023-11-14T22:13:22Z","until":"2024-01-01T00:00:00+02:00","ids":["dl_1","dl_2"]}"#;
const JOB: &str = r#"{"id":"job_1","kind":"replay","filter":{"tenant":"acme"},"rate":"50/s",
    "state":"queued","created_by":"admin","created_at":"2023-11-14T22:13:22.000Z","dry_run":false,
    "matched":3,"seen":1,"done":1,"error":"x"}"#;
const ATTEMPT: &str = r#"{"event_id":"ev_1","event_type":"a.b","attempt":2,"success":false,
    "http_status":503,"duration_ms":12,"at":"2023-11-14T22:13:22.000Z","error":"x","response_body":"y"}"#;
const TOKEN: &str = r#"{"id":"tok_1","tenant":"acme","name":"n","access":"read",
    "created_at":"2023-11-14T22:13:22.000Z","digest":"00"}"#;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TIMES: &[&str] =
    &["2026-02-19T15:32:00+01:00", "2023-11-14T22:13:22.123456Z", "1969-12-31t23:59:59-23:59"];
const DURATIONS: &[&str] = &["5s", "250ms", "10m", "2h", "7d", "50/s", "100/m"];
const URLS: &[&str] = &[
    "https://user:pw@example.com:8443/a%20b?c=d#e",
    "http://[::ffff:10.0.0.1]/",
    "https://0x7f.1/",
    "https://b\u{fc}cher.example./",
];

/// What version 1 wrote, recorded: what a store or a queue may still hold.
const RECORDED: [&str; 8] = [
    include_str!("../samples/v1/endpoint.json"),
    include_str!("../samples/v1/token.json"),
    include_str!("../samples/v1/job.json"),
    include_str!("../samples/v1/event.json"),
    include_str!("../samples/v1/delivery.json"),
    include_str!("../samples/v1/dead_delivery.json"),
    include_str!("../samples/v1/dead_event.json"),
    include_str!("../samples/v1/dead_message.json"),
];

proptest! {
    #[test]
    fn outside_names(text in text()) {
        check_text::<TenantId>(&text);
        check_text::<ProjectId>(&text);
        check_text::<EventType>(&text);
        check_text::<EventId>(&text);
        check_text::<EndpointId>(&text);
        check_text::<DeadLetterId>(&text);
        check_text::<JobId>(&text);
        check_text::<TokenId>(&text);
        check_text::<IdempotencyKey>(&text);
        check_text::<Subscription>(&text);
        drop(text.parse::<HeaderName>());
    }

    #[test]
    fn outside_urls(text in prop_oneof![text(), near(URLS)]) {
        check_text::<EndpointUrl>(&text);
    }

    #[test]
    fn outside_positions(text in text()) {
        check_text::<Position>(&text);
    }

    #[test]
    fn outside_times(text in prop_oneof![text(), near(TIMES)]) {
        check_text::<Timestamp>(&text);
    }

    #[test]
    fn outside_durations(text in prop_oneof![text(), near(DURATIONS)]) {
        check_text::<Rate>(&text);
        if let Ok(duration) = parse_duration(&text) {
            prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
    }

    /// What is taken is handed on as it came, to receivers that trust its form.
    #[test]
    fn outside_traceparents(text in prop_oneof![text(), near(&[TRACE])]) {
        let Ok(read) = text.parse::<TraceParent>() else { return Ok(()) };
        prop_assert_eq!(read.as_str(), &text);
        prop_assert_eq!(text.len(), TRACE.len());
        for (byte, like) in text.bytes().zip(TRACE.bytes()) {
            prop_assert!((byte == b'-') == (like == b'-') && !byte.is_ascii_uppercase(), "{}", text);
        }
    }

    /// A page's cursor is the caller's to write: any that is read names one place in the list.
    #[test]
    fn outside_cursors(
        text in prop_oneof![text(), near(&["1700000000000_dl_1", "-1_dl_018bcfe56fd0"])],
        letter in Just(RAW_LETTER),
    ) {
        let Some(cursor) = DeadLetterCursor::read(&text) else { return Ok(()) };
        let again = DeadLetterCursor::read(&format!("{}_{}", cursor.died_at.unix_ms(), cursor.id));
        prop_assert_eq!(again.as_ref(), Some(&cursor));
        let mut letter = messages::decode_dead_letter(letter.as_bytes()).unwrap();
        (letter.died_at, letter.id) = (cursor.died_at, cursor.id.clone());
        let written = DeadLetterCursor::read(&DeadLetterCursor::of(&letter));
        prop_assert_eq!(written.as_ref(), Some(&cursor));
        prop_assert!(!cursor.is_before(&letter), "a page does not begin with the last of the one before");
    }

    /// Of an older version, damaged, or of a later one: read, refused, or left alone.
    #[test]
    fn outside_old_records(bytes in json(&RECORDED), v in prop::option::of(0..4_u32)) {
        let bytes = match (v, bytes.strip_prefix(b"{")) {
            (Some(v), Some(rest)) => [format!("{{\"v\":{v},").as_bytes(), rest].concat(),
            (None, _) | (_, None) => bytes,
        };
        let later = serde_json::from_slice::<serde_json::Value>(&bytes).ok()
            .and_then(|record| record.get("v")?.as_u64()).is_some_and(|v| v > 1);
        if let Ok(token) = records::decode_token("k", &bytes) {
            let written = records::encode_token(&token).unwrap();
            prop_assert_eq!(records::decode_token("k", written.as_bytes()).unwrap(), token);
            prop_assert!(!later);
        }
        if let Ok(job) = records::decode_job("k", &bytes) {
            let written = records::encode_job(&job).unwrap();
            prop_assert_eq!(records::decode_job("k", written.as_bytes()).unwrap(), job);
            prop_assert!(!later);
        }
        prop_assert!(!later || records::decode_endpoint(&sealer(), "k", &bytes).is_err());
        prop_assert!(!later || messages::decode_dead_letter(&bytes).is_err());
        let read = messages::decode_delivery(bytes.clone());
        prop_assert!(!later || !matches!(read, Message::Delivery(_)), "{:?}", read);
        check_json::<AttemptRecord>(&bytes);
    }

    #[test]
    fn outside_attempts(line in json(&[ATTEMPT])) {
        check_json::<AttemptRecord>(&line);
    }

    #[test]
    fn outside_answers(text in text(), now_ms: i64) {
        prop_assert!(retry_after(&text, at(now_ms)).is_none_or(|_| !text.is_empty()));
        prop_assert!(Wish::read(&text).is_none_or(|_| text.trim().len() < 14));
    }

    #[test]
    fn outside_endpoints(first in json(&[ENDPOINT]), then in json(&[ENDPOINT, r#"{"name":null}"#])) {
        let policy = EndpointPolicy::default();
        let Ok(patch) = serde_json::from_slice::<EndpointPatch>(&first) else { return Ok(()) };
        let made = |_: &_| Secret::new("made");
        let Ok(endpoint) = patch.create("acme".parse().unwrap(), at(1), &policy, made) else {
            return Ok(());
        };
        prop_assert!(endpoint.url.is_https() && policy.addresses.check_url(&endpoint.url).is_ok());
        prop_assert!(endpoint.settings.headers.len() <= limits::HEADERS_MAX);
        prop_assert!(endpoint.settings.timeout <= limits::TIMEOUT_MAX);
        // A cut may have put a secret into another field, where it is none.
        let shown = format!("{:?}", (&endpoint.secret, &endpoint.auth, &endpoint.client_certificate));
        prop_assert!(!shown.contains("whsec_") && !shown.contains("opensesame"), "{}", shown);

        let record = records::encode_endpoint(&sealer(), &endpoint).unwrap();
        let read = records::decode_endpoint(&sealer(), "k", &record).unwrap();
        prop_assert_eq!(&read.settings, &endpoint.settings);
        prop_assert_eq!((&read.secret, &read.auth), (&endpoint.secret, &endpoint.auth));
        prop_assert_eq!(&read.client_certificate, &endpoint.client_certificate);
        if let Ok(patch) = serde_json::from_slice::<EndpointPatch>(&then) {
            drop(patch.apply(read, at(2), &policy));
        }
    }

    #[test]
    fn outside_filters(bytes in json(&[FILTER, r#"{"secret":"s","grace":"24h"}"#])) {
        check_json::<DeadLetterFilter>(&bytes);
        drop(serde_json::from_slice::<Rotation>(&bytes));
    }

    #[test]
    fn outside_messages(bytes in json(&[EVENT, DELIVERY, RAW_LETTER])) {
        match messages::decode_event(bytes.clone(), envelope()) {
            Message::Event(event) => {
                let written = messages::encode_event(&event);
                let Message::Event(again) = messages::decode_event(written.clone(), envelope()) else {
                    panic!("{}", String::from_utf8_lossy(&written));
                };
                prop_assert_eq!(messages::encode_event(&again), written);
            }
            Message::Malformed(raw) => prop_assert_eq!(&raw.bytes, &bytes, "kept as it came"),
            Message::Newer(newer) => prop_assert_eq!(&newer.bytes, &bytes, "kept as it came"),
            Message::Draft(_) | Message::Delivery(_) => {}
        }
        if let Message::Delivery(delivery) = messages::decode_delivery(bytes.clone()) {
            let written = messages::encode_delivery(&delivery);
            let Message::Delivery(again) = messages::decode_delivery(written.clone()) else {
                panic!("{}", String::from_utf8_lossy(&written));
            };
            prop_assert_eq!(messages::encode_delivery(&again), written);
        }
        if let Ok(letter) = messages::decode_dead_letter(&bytes) {
            let written = messages::encode_dead_letter(&letter);
            let again = messages::decode_dead_letter(&written).unwrap();
            prop_assert_eq!(messages::encode_dead_letter(&again), written);
        }
    }

    #[test]
    fn outside_records(record in json(&[&endpoint_record(), JOB, TOKEN])) {
        if let Ok(endpoint) = records::decode_endpoint(&sealer(), "k", &record) {
            // Sealed, a token is what it was, or the record does not open.
            match &endpoint.auth {
                Auth::Header { token, .. } | Auth::Query { token } => {
                    prop_assert_eq!(token.expose(), "opensesame");
                }
                Auth::None => {}
            }
            let written = records::encode_endpoint(&sealer(), &endpoint).unwrap();
            let again = records::decode_endpoint(&sealer(), "k", &written).unwrap();
            prop_assert_eq!(again.settings, endpoint.settings);
        }
        check_json::<Job>(&record);
        check_json::<ApiToken>(&record);
        drop((records::decode_job("k", &record), records::decode_token("k", &record)));
    }
}

/// As a store holds it.
fn endpoint_record() -> String {
    let patch: EndpointPatch = serde_json::from_str(ENDPOINT).unwrap();
    let tenant = "acme".parse().unwrap();
    let made = patch.create(tenant, at(1), &EndpointPolicy::default(), |_| Secret::new("made"));
    String::from_utf8(records::encode_endpoint(&sealer(), &made.unwrap()).unwrap()).unwrap()
}

/// The samples are whole: what is made of them is mostly read a long way.
#[test]
fn outside_samples_are_read() {
    assert!(matches!(messages::decode_event(EVENT.into(), envelope()), Message::Event(_)));
    assert!(matches!(messages::decode_delivery(DELIVERY.into()), Message::Delivery(_)));
    messages::decode_dead_letter(RAW_LETTER.as_bytes()).unwrap();
    serde_json::from_str::<DeadLetterFilter>(FILTER).unwrap();
    serde_json::from_str::<AttemptRecord>(ATTEMPT).unwrap();
    records::decode_job("k", JOB.as_bytes()).unwrap();
    records::decode_token("k", TOKEN.as_bytes()).unwrap();
    records::decode_endpoint(&sealer(), "k", endpoint_record().as_bytes()).unwrap();
}
