//! Publishing: persistent, mandatory, confirmed.

use std::time::Duration;

use hookfleet_domain::{Event, IdempotencyKey, Timestamp, TraceParent};
use hookfleet_queue::{NewerMessage, Outgoing, QueueError, RawMessage, wire};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::timeout;

use super::errors::queue_error;
use super::link::Link;
use super::{partition, topology};

/// A confirm that takes longer is taken for lost.
const CONFIRM_WAIT_MAX: Duration = Duration::from_secs(10);
const PERSISTENT: u8 = 2;
/// What a memory or disk alarm looks like to callers.
pub const BLOCKED: &str = "the broker is short of memory or disk (connection.blocked)";
/// Header with the time at which an event was accepted, in ms since 1970.
pub const ACCEPTED_AT: &str = "hookfleet-accepted-at";
/// Header of an event that was put off: it comes by the deliveries queue.
pub const PUT_OFF: &str = "hookfleet-put-off";
/// Header with the event's place in a trace.
pub const TRACEPARENT: &str = "traceparent";

/// A message with its address.
struct Letter {
    exchange: String,
    key: String,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// Makes a message durable.
pub async fn publish(link: &Link, message: Outgoing<'_>) -> Result<(), QueueError> {
    if link.is_blocked() {
        return Err(QueueError::Blocked(BLOCKED.to_owned()));
    }
    let sent = send(&link.publisher, address(link, message));
    match timeout(CONFIRM_WAIT_MAX, sent).await {
        Ok(result) => result,
        Err(_) if link.is_blocked() => Err(QueueError::Blocked(BLOCKED.to_owned())),
        Err(_) => Err(QueueError::Unavailable("no confirm from the broker".to_owned())),
    }
}

fn address(link: &Link, message: Outgoing<'_>) -> Letter {
    let partitions = link.shape.partitions;
    match message {
        Outgoing::Event(event) => Letter {
            exchange: topology::INTAKE.to_owned(),
            key: partition(&event.id, partitions).to_string(),
            properties: event_properties(event),
            body: wire::encode_event(event),
        },
        Outgoing::Delivery(delivery, delay) => {
            let partition = partition(&(&delivery.event.id, &delivery.endpoint), partitions);
            let (exchange, key) = topology::delayed_route(delay, partition);
            Letter { exchange, key, properties: json(), body: wire::encode_delivery(delivery) }
        }
        Outgoing::DeadLetter(letter) => Letter {
            exchange: String::new(),
            key: topology::DEAD.to_owned(),
            properties: json(),
            body: wire::encode_dead_letter(letter),
        },
        Outgoing::Newer(newer, delay) => {
            // Any worker reads every partition.
            let (exchange, key) = topology::delayed_route(delay, 0);
            Letter { exchange, key, properties: newer_properties(newer), body: newer.bytes.clone() }
        }
        Outgoing::Raw(raw) => Letter {
            exchange: topology::INTAKE.to_owned(),
            key: "0".to_owned(),
            properties: raw_properties(raw),
            body: raw.bytes.clone(),
        },
    }
}

async fn send(channel: &Channel, letter: Letter) -> Result<(), QueueError> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, key) = (letter.exchange.as_str().into(), letter.key.as_str().into());
    let sent = channel.basic_publish(exchange, key, options, &letter.body, letter.properties);
    // Boxed, for it is large, and over at once: many wait for their confirms.
    let confirm = Box::pin(sent).await.map_err(|error| queue_error(&error))?;
    match confirm.await.map_err(|error| queue_error(&error))? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) => {
            let Letter { exchange, key, .. } = letter;
            let why = format!("no queue hears exchange {exchange:?} with key {key:?}");
            Err(QueueError::Refused(why))
        }
        Confirmation::Nack(_) | Confirmation::NotRequested => {
            Err(QueueError::Unavailable("the broker did not take the message".to_owned()))
        }
    }
}

/// Puts a dead letter that is not ours to read behind the others, as it is.
pub async fn put_back(link: &Link, bytes: &[u8]) -> Result<(), QueueError> {
    let (exchange, key) = (String::new(), topology::DEAD.to_owned());
    let letter = Letter { exchange, key, properties: json(), body: bytes.to_vec() };
    confirmed(link, letter).await
}

/// A message for the dead letters that marks where a pass begins.
pub async fn mark(link: &Link, header: &str, mark: &str) -> Result<(), QueueError> {
    let mut headers = FieldTable::default();
    headers.insert(header.into(), AMQPValue::LongString(mark.into()));
    let letter = Letter {
        exchange: String::new(),
        key: topology::DEAD.to_owned(),
        properties: json().with_headers(headers),
        body: Vec::new(),
    };
    confirmed(link, letter).await
}

async fn confirmed(link: &Link, letter: Letter) -> Result<(), QueueError> {
    match timeout(CONFIRM_WAIT_MAX, send(&link.publisher, letter)).await {
        Ok(result) => result,
        Err(_) => Err(QueueError::Unavailable("no confirm from the broker".to_owned())),
    }
}

fn json() -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
}

fn event_properties(event: &Event) -> BasicProperties {
    let Event { idempotency_key, trace, accepted_at, .. } = event;
    enveloped((idempotency_key, trace, *accepted_at), FieldTable::default())
}

fn newer_properties(newer: &NewerMessage) -> BasicProperties {
    let Some(wire::Envelope { idempotency_key, trace, accepted_at }) = &newer.event else {
        return json();
    };
    let mut headers = FieldTable::default();
    headers.insert(PUT_OFF.into(), AMQPValue::LongString("event".into()));
    enveloped((idempotency_key, trace, *accepted_at), headers)
}

fn enveloped(
    (idempotency_key, trace, accepted_at): (
        &Option<IdempotencyKey>,
        &Option<TraceParent>,
        Timestamp,
    ),
    mut headers: FieldTable,
) -> BasicProperties {
    let accepted_at = AMQPValue::LongLongInt(accepted_at.unix_ms());
    headers.insert(ACCEPTED_AT.into(), accepted_at);
    if let Some(trace) = trace {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(trace.as_str().into()));
    }
    let properties = json().with_headers(headers);
    match idempotency_key {
        Some(key) => properties.with_message_id(key.as_str().into()),
        None => properties,
    }
}

fn raw_properties(raw: &RawMessage) -> BasicProperties {
    let mut properties = json();
    if let Some(trace) = &raw.trace {
        let mut headers = FieldTable::default();
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(trace.as_str().into()));
        properties = properties.with_headers(headers);
    }
    if let Some(key) = &raw.idempotency_key {
        properties = properties.with_message_id(key.as_str().into());
    }
    properties
}
