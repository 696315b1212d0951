//! The bytes of every message, in one place.
//!
//! An event is the public format that any AMQP client may write. Deliveries, dead letters and the
//! archive's messages are our own. All carry a version `v` (an event without one has the first) and refuse what they do not
//! know. A message of a later version is left to a worker that knows it ([`NewerMessage`]): it is
//! neither read by halves nor given up. So a fleet can be updated in any order; workers first, and
//! nothing has to wait.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookfleet_domain::{
    AttemptNumber, AttemptSummary, DeadLetter, DeadLetterId, DeadLetterReason, Delivery, Draft,
    EndpointId, Event, EventId, EventType, Generation, IdempotencyKey, ProjectId, Remains,
    TenantId, Timestamp, TraceParent, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Message, NewerMessage, RawMessage};

/// Of the messages that this release writes.
pub const VERSION: u32 = 1;

/// What travels beside an event's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `message_id`
    pub idempotency_key: Option<IdempotencyKey>,
    /// Header `traceparent`.
    pub trace: Option<TraceParent>,
    /// Header `hookfleet-accepted-at`, in ms since 1970; else when the message was leased.
    pub accepted_at: Timestamp,
}

/// What every body says first, whatever its version.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

/// `{"tenant","type","data","project"?,"id"?,"timestamp"?}`; `v` is left out while it is 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<u32>,
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
    data: Arc<RawValue>,
}

/// An event inside another message: with its envelope, for it travels on its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedEvent {
    id: EventId,
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<IdempotencyKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceParent>,
    data: Arc<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryBody {
    v: u32,
    endpoint: EndpointId,
    generation: Generation,
    attempt: AttemptNumber,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<AttemptSummary>,
    event: CarriedEvent,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLetterBody {
    v: u32,
    id: DeadLetterId,
    reason: DeadLetterReason,
    died_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<CarriedEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<RawBody>,
}

/// Events in a message of the archive.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchivedBody {
    v: u32,
    events: Vec<CarriedEvent>,
}

/// A message that could not be read; `bytes` in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBody {
    bytes: String,
    error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<IdempotencyKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceParent>,
}

/// The body of an event of ours. Its envelope travels in the message's properties.
pub fn encode_event(event: &Event) -> Vec<u8> {
    json(&EventBody {
        v: None,
        tenant: event.tenant.clone(),
        event_type: event.event_type.clone(),
        project: event.project.clone(),
        id: Some(event.id.clone()),
        timestamp: Some(event.timestamp),
        data: Arc::clone(&event.data),
    })
}

/// The version of a body that is later than what we know.
fn newer(bytes: &[u8]) -> Option<u32> {
    let body: Versioned = serde_json::from_slice(bytes).ok()?;
    (body.v > VERSION).then_some(body.v)
}

/// Reads what came to the events queue: an event of ours, a plain client's, or neither.
pub fn decode_event(bytes: Vec<u8>, envelope: Envelope) -> Message {
    let error = match read_event(&bytes, &envelope) {
        Ok(message) => return message,
        Err(error) => error,
    };
    match newer(&bytes) {
        Some(version) => Message::Newer(NewerMessage { version, bytes, event: Some(envelope) }),
        None => Message::Malformed(RawMessage {
            bytes,
            error: limits::cut(&error, limits::ERROR_BYTES_MAX).to_owned(),
            idempotency_key: envelope.idempotency_key,
            trace: envelope.trace,
        }),
    }
}

fn read_event(bytes: &[u8], envelope: &Envelope) -> Result<Message, String> {
    let body: EventBody = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if let Some(version) = body.v.filter(|version| *version != VERSION) {
        return Err(unknown_version(version));
    }
    let draft = Draft {
        tenant: body.tenant,
        event_type: body.event_type,
        project: body.project,
        timestamp: body.timestamp,
        idempotency_key: envelope.idempotency_key.clone(),
        trace: envelope.trace.clone(),
        data: body.data,
    };
    draft.check().map_err(|error| error.to_string())?;
    Ok(match body.id {
        Some(id) => Message::Event(draft.accept(id, envelope.accepted_at)),
        None => Message::Draft(draft),
    })
}

/// The body of a delivery.
pub fn encode_delivery(delivery: &Delivery) -> Vec<u8> {
    json(&DeliveryBody::of(delivery))
}

/// Reads what came to the deliveries queue.
pub fn decode_delivery(bytes: Vec<u8>) -> Message {
    let error = match serde_json::from_slice::<DeliveryBody>(&bytes) {
        Ok(body) if body.v == VERSION => return Message::Delivery(body.read()),
        Ok(body) => unknown_version(body.v),
        Err(error) => limits::cut(&error.to_string(), limits::ERROR_BYTES_MAX).to_owned(),
    };
    match newer(&bytes) {
        Some(version) => Message::Newer(NewerMessage { version, bytes, event: None }),
        None => Message::Malformed(RawMessage { bytes, error, idempotency_key: None, trace: None }),
    }
}

/// The body of a dead letter.
pub fn encode_dead_letter(letter: &DeadLetter) -> Vec<u8> {
    let mut body = DeadLetterBody {
        v: VERSION,
        id: letter.id.clone(),
        reason: letter.reason,
        died_at: letter.died_at,
        delivery: None,
        event: None,
        raw: None,
    };
    match &letter.remains {
        Remains::Delivery(delivery) => body.delivery = Some(DeliveryBody::of(delivery)),
        Remains::Event(event) => body.event = Some(CarriedEvent::of(event)),
        Remains::Raw { bytes, error, idempotency_key, trace } => {
            body.raw = Some(RawBody {
                bytes: BASE64.encode(bytes),
                error: error.clone(),
                idempotency_key: idempotency_key.clone(),
                trace: trace.clone(),
            });
        }
    }
    json(&body)
}

/// The body of a message of the archive: events that were accepted at about the same time.
pub fn encode_archived(events: &[Event]) -> Vec<u8> {
    json(&ArchivedBody { v: VERSION, events: events.iter().map(CarriedEvent::of).collect() })
}

/// Reads a message of the archive; else what is wrong with it.
pub fn decode_archived(bytes: &[u8]) -> Result<Vec<Event>, String> {
    if let Some(version) = newer(bytes) {
        return Err(unknown_version(version));
    }
    let body: ArchivedBody = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if body.v != VERSION {
        return Err(unknown_version(body.v));
    }
    Ok(body.events.into_iter().map(CarriedEvent::read).collect())
}

/// Bytes that are no dead letter of a version that we know.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableLetter {
    /// They are one of a later version: leave it to whoever knows that.
    #[error("dead letter is of version {0}: expected {VERSION}")]
    Newer(u32),
    /// They are none: what is wrong with them.
    #[error("dead letter is unreadable: {0}")]
    Malformed(String),
}

/// Reads a dead letter.
pub fn decode_dead_letter(bytes: &[u8]) -> Result<DeadLetter, UnreadableLetter> {
    let unreadable = |error: &dyn std::fmt::Display| UnreadableLetter::Malformed(error.to_string());
    if let Some(version) = newer(bytes) {
        return Err(UnreadableLetter::Newer(version));
    }
    let body: DeadLetterBody = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    if body.v != VERSION {
        return Err(unreadable(&unknown_version(body.v)));
    }
    let remains = match (body.delivery, body.event, body.raw) {
        (Some(delivery), None, None) => Remains::Delivery(delivery.read()),
        (None, Some(event), None) => Remains::Event(Arc::new(event.read())),
        (None, None, Some(raw)) => Remains::Raw {
            bytes: BASE64.decode(&raw.bytes).map_err(|error| unreadable(&error))?,
            error: raw.error,
            idempotency_key: raw.idempotency_key,
            trace: raw.trace,
        },
        _ => {
            return Err(unreadable(&"expected one of delivery, event, raw"));
        }
    };
    Ok(DeadLetter { id: body.id, reason: body.reason, died_at: body.died_at, remains })
}

fn unknown_version(version: u32) -> String {
    format!("its version is {version}: expected {VERSION}")
}

#[expect(clippy::expect_used, reason = "the types above have string keys and no fallible parts")]
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies are always JSON")
}

impl CarriedEvent {
    fn of(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            tenant: event.tenant.clone(),
            event_type: event.event_type.clone(),
            project: event.project.clone(),
            timestamp: event.timestamp,
            accepted_at: event.accepted_at,
            idempotency_key: event.idempotency_key.clone(),
            trace: event.trace.clone(),
            data: Arc::clone(&event.data),
        }
    }

    fn read(self) -> Event {
        Event {
            id: self.id,
            tenant: self.tenant,
            event_type: self.event_type,
            project: self.project,
            timestamp: self.timestamp,
            accepted_at: self.accepted_at,
            idempotency_key: self.idempotency_key,
            trace: self.trace,
            data: self.data,
        }
    }
}

impl DeliveryBody {
    fn of(delivery: &Delivery) -> Self {
        Self {
            v: VERSION,
            endpoint: delivery.endpoint.clone(),
            generation: delivery.generation,
            attempt: delivery.attempt,
            history: delivery.history.clone(),
            event: CarriedEvent::of(&delivery.event),
        }
    }

    fn read(self) -> Delivery {
        Delivery {
            event: Arc::new(self.event.read()),
            endpoint: self.endpoint,
            generation: self.generation,
            attempt: self.attempt,
            history: self.history,
        }
    }
}

#[cfg(test)]
mod tests;
