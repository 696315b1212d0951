//! A dead letter as callers see it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookfleet_domain::{
    AttemptSummary, DeadLetter, DeadLetterId, DeadLetterReason, EndpointId, Event, EventId,
    EventType, ProjectId, Remains, TenantId, Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One alone: with its payload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct LetterView {
    #[serde(flatten)]
    summary: Summary,
    payload: Payload,
}

/// One of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterSummary)]
pub struct Summary {
    id: DeadLetterId,
    tenant: Option<TenantId>,
    event_id: Option<EventId>,
    endpoint_id: Option<EndpointId>,
    event_type: Option<EventType>,
    reason: DeadLetterReason,
    /// Oldest first.
    attempts: Vec<AttemptSummary>,
    died_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Payload {
    Event(EventPayload),
    Raw { raw_base64: String, error: String },
}

/// The event as any client may publish it again; `data` is the publisher's text, unchanged.
#[derive(Debug, Serialize, ToSchema)]
struct EventPayload {
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    id: EventId,
    timestamp: Timestamp,
    #[schema(value_type = Value)]
    data: Arc<RawValue>,
}

impl LetterView {
    /// What callers see of a letter.
    pub fn new(letter: &DeadLetter) -> Self {
        let payload = match &letter.remains {
            Remains::Delivery(delivery) => Payload::event(&delivery.event),
            Remains::Event(event) => Payload::event(event),
            Remains::Raw { bytes, error, .. } => {
                Payload::Raw { raw_base64: BASE64.encode(bytes), error: error.clone() }
            }
        };
        Self { summary: Summary::new(letter), payload }
    }
}

impl Summary {
    /// What callers see of a letter in a list.
    pub fn new(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.clone(),
            tenant: letter.tenant().cloned(),
            event_id: letter.event_id().cloned(),
            endpoint_id: letter.endpoint().cloned(),
            event_type: letter.event().map(|event| event.event_type.clone()),
            reason: letter.reason,
            attempts: letter.attempts().to_vec(),
            died_at: letter.died_at,
        }
    }
}

impl Payload {
    fn event(event: &Event) -> Self {
        Self::Event(EventPayload {
            tenant: event.tenant.clone(),
            event_type: event.event_type.clone(),
            project: event.project.clone(),
            id: event.id.clone(),
            timestamp: event.timestamp,
            data: Arc::clone(&event.data),
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use hookfleet_domain::Delivery;

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

    #[track_caller]
    fn check(letter: &DeadLetter, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string(&LetterView::new(letter)).unwrap());
    }

    #[test]
    fn data_is_shown_as_it_was_published() {
        let data = r#"{"b":12345678901234567890123, "a":1e400}"#;
        let event = Event {
            id: "e1".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            event_type: "a.b".parse().unwrap(),
            project: None,
            timestamp: T0,
            accepted_at: T0,
            idempotency_key: Some("key-1".parse().unwrap()),
            trace: None,
            data: RawValue::from_string(data.to_owned()).unwrap().into(),
        };
        let delivery = Delivery::first(Arc::new(event), "ep_1".parse().unwrap());
        let letter = DeadLetter::of_delivery(delivery, DeadLetterReason::Gone, T0);
        check(
            &letter,
            &expect![[
                r#"{"id":"dl_5e20376f511a5249a18f4dbbdfb73650","tenant":"acme","event_id":"e1","endpoint_id":"ep_1","event_type":"a.b","reason":"gone","attempts":[],"died_at":"2026-01-01T00:00:00.000Z","payload":{"tenant":"acme","type":"a.b","id":"e1","timestamp":"2026-01-01T00:00:00.000Z","data":{"b":12345678901234567890123, "a":1e400}}}"#
            ]],
        );
    }

    #[test]
    fn what_could_not_be_read_is_shown_raw() {
        let letter = DeadLetter {
            id: "dl_1".parse().unwrap(),
            reason: DeadLetterReason::Malformed,
            died_at: T0,
            remains: Remains::Raw {
                bytes: b"no JSON".to_vec(),
                error: "expected a JSON object".to_owned(),
                idempotency_key: None,
                trace: None,
            },
        };
        check(
            &letter,
            &expect![[
                r#"{"id":"dl_1","tenant":null,"event_id":null,"endpoint_id":null,"event_type":null,"reason":"malformed","attempts":[],"died_at":"2026-01-01T00:00:00.000Z","payload":{"raw_base64":"bm8gSlNPTg==","error":"expected a JSON object"}}"#
            ]],
        );
    }
}
