use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn no_envelope() -> Envelope {
    let accepted_at = Timestamp::from_unix_ms(0);
    Envelope { idempotency_key: None, trace: None, accepted_at }
}

fn event() -> Event {
    let envelope = Envelope {
        idempotency_key: Some("42-1716206400".parse().unwrap()),
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()),
        accepted_at: Timestamp::from_unix_ms(1_700_000_000_123),
    };
    let body = br#"{"tenant":"acme","type":"post.published","project":"site","id":"ev_1",
        "timestamp":"2026-02-19T15:32:00+01:00","data":{"b": 1.50, "a":"\u00e9"}}"#;
    let Message::Event(event) = decode_event(body.to_vec(), envelope) else { panic!("no event") };
    event
}

fn delivery() -> Delivery {
    let made = AttemptSummary {
        attempt: AttemptNumber::FIRST,
        at: Timestamp::from_unix_ms(1_700_000_001_000),
        duration_ms: 12,
        http_status: Some(503),
        error: Some("answered with status 503".to_owned()),
    };
    Delivery::first(Arc::new(event()), "ep_1".parse().unwrap()).retried(made)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn golden_event() {
    expect![[r#"{"tenant":"acme","type":"post.published","project":"site","id":"ev_1","timestamp":"2026-02-19T14:32:00.000Z","data":{"b": 1.50, "a":"\u00e9"}}"#]]
        .assert_eq(&text(encode_event(&event())));
}

#[test]
fn golden_delivery() {
    let bytes = encode_delivery(&delivery());
    expect![[r#"{"v":1,"endpoint":"ep_1","generation":0,"attempt":2,"history":[{"attempt":1,"at":"2023-11-14T22:13:21.000Z","duration_ms":12,"http_status":503,"error":"answered with status 503"}],"event":{"id":"ev_1","tenant":"acme","type":"post.published","project":"site","timestamp":"2026-02-19T14:32:00.000Z","accepted_at":"2023-11-14T22:13:20.123Z","idempotency_key":"42-1716206400","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","data":{"b": 1.50, "a":"\u00e9"}}}"#]]
        .assert_eq(&text(bytes.clone()));
    let Message::Delivery(read) = decode_delivery(bytes.clone()) else { panic!() };
    assert_eq!(encode_delivery(&read), bytes);
}

#[test]
fn golden_dead_letters() {
    let now = Timestamp::from_unix_ms(1_700_000_002_000);
    let letter = DeadLetter::of_delivery(delivery(), DeadLetterReason::Exhausted, now);
    let bytes = encode_dead_letter(&letter);
    assert!(text(bytes.clone()).starts_with(
        r#"{"v":1,"id":"dl_06064bcb73a057cb81ab413101739f14","reason":"exhausted","died_at":"2023-11-14T22:13:22.000Z","delivery":{"v":1,"#
    ), "{}", text(bytes.clone()));
    assert_eq!(encode_dead_letter(&decode_dead_letter(&bytes).unwrap()), bytes);

    let remains = Remains::Raw {
        bytes: vec![0, 255],
        error: "no JSON".to_owned(),
        idempotency_key: None,
        trace: None,
    };
    let id = "dl_2".parse().unwrap();
    let raw = DeadLetter { id, reason: DeadLetterReason::Malformed, died_at: now, remains };
    let bytes = encode_dead_letter(&raw);
    expect![[r#"{"v":1,"id":"dl_2","reason":"malformed","died_at":"2023-11-14T22:13:22.000Z","raw":{"bytes":"AP8=","error":"no JSON"}}"#]]
        .assert_eq(&text(bytes.clone()));
    assert_eq!(encode_dead_letter(&decode_dead_letter(&bytes).unwrap()), bytes);
}

#[test]
fn golden_archived() {
    let bytes = encode_archived(&[event(), event()]);
    let event = r#"{"id":"ev_1","tenant":"acme","type":"post.published","project":"site","timestamp":"2026-02-19T14:32:00.000Z","accepted_at":"2023-11-14T22:13:20.123Z","idempotency_key":"42-1716206400","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","data":{"b": 1.50, "a":"\u00e9"}}"#;
    assert_eq!(text(bytes.clone()), format!(r#"{{"v":1,"events":[{event},{event}]}}"#));
    assert_eq!(encode_archived(&decode_archived(&bytes).unwrap()), bytes);
    for (bad, why) in [
        (r#"{"v":2,"lists":[]}"#, "its version is 2"),
        (r#"{"events":[]}"#, "missing field `v`"),
        (r#"{"v":1,"events":[{}]}"#, "missing field `id`"),
    ] {
        let error = decode_archived(bad.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

#[track_caller]
fn check_malformed(body: &str, why: &str) {
    let Message::Malformed(raw) = decode_event(body.into(), no_envelope()) else {
        panic!("{body} was read")
    };
    assert!(raw.error.contains(why), "{body}: {}", raw.error);
    assert_eq!(raw.bytes, body.as_bytes());
}

#[test]
fn what_is_no_event_is_kept_raw() {
    check_malformed("", "EOF");
    check_malformed("[]", "invalid length");
    check_malformed(r#"{"tenant":"acme","type":"a.b"}"#, "missing field `data`");
    check_malformed(r#"{"tenant":"a.b","type":"a.b","data":1}"#, "tenant \"a.b\" is invalid");
    check_malformed(r#"{"tenant":"acme","type":"a.b","data":1,"x":1}"#, "unknown field `x`");
}

#[test]
fn a_plain_clients_event_has_no_id_yet() {
    let body = r#"{"tenant":"acme","type":"a.b","data":null}"#;
    let Message::Draft(draft) = decode_event(body.into(), no_envelope()) else {
        panic!("no draft")
    };
    assert_eq!(draft.data.get(), "null");
}

#[test]
fn a_later_version_is_not_read_by_halves() {
    let later = |bytes| text(bytes).replacen("\"v\":1", "\"v\":2,\"more\":[]", 1).into_bytes();
    let body = later(encode_delivery(&delivery()));
    let Message::Newer(newer) = decode_delivery(body.clone()) else { panic!("was read") };
    assert_eq!(newer, NewerMessage { version: 2, bytes: body, event: None });

    let body = br#"{"v":7,"tenants":["acme"]}"#.to_vec();
    let Message::Newer(newer) = decode_event(body.clone(), no_envelope()) else {
        panic!("was read")
    };
    assert_eq!(newer, NewerMessage { version: 7, bytes: body, event: Some(no_envelope()) });

    let now = Timestamp::from_unix_ms(0);
    let letter = DeadLetter::of_delivery(delivery(), DeadLetterReason::Exhausted, now);
    let read = decode_dead_letter(&later(encode_dead_letter(&letter)));
    assert!(matches!(read, Err(UnreadableLetter::Newer(2))), "{read:?}");
    check_malformed(r#"{"v":0,"tenant":"acme","type":"a.b","data":1}"#, "version is 0");
}

proptest! {
    #[test]
    fn outside_bytes(bytes: Vec<u8>) {
        drop(decode_event(bytes.clone(), no_envelope()));
        drop(decode_delivery(bytes.clone()));
        drop(decode_dead_letter(&bytes));
    }
}
