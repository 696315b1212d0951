//! Publishing: persistent, mandatory, confirmed.

use std::time::Duration;

use futures_util::future::try_join;
use hookfleet_domain::{Event, IdempotencyKey, Timestamp, TraceParent};
use hookfleet_queue::{NewerMessage, Outgoing, QueueError, RawMessage, wire};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::time::timeout;

use super::errors::queue_error;
use super::link::Link;
use super::{partition, topology};

/// A confirm that takes longer is taken for lost.
const CONFIRM_WAIT_MAX: Duration = Duration::from_secs(10);
const PERSISTENT: u8 = 2;
/// The exchange that knows every queue by its name (AMQP's default exchange).
pub const BY_NAME: &str = "";
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
    let archived = async {
        match (message, &link.archiving) {
            (Outgoing::Event(event), Some(archiving)) => archiving.keep(event).await,
            _ => Ok(()),
        }
    };
    let sent = send(&link.publisher, address(link, message));
    match timeout(CONFIRM_WAIT_MAX, try_join(sent, archived)).await {
        Ok(result) => result.map(|((), ())| ()),
        Err(_) if link.is_blocked() => Err(QueueError::Blocked(BLOCKED.to_owned())),
        Err(_) => Err(QueueError::Unavailable("no confirm from the broker".to_owned())),
    }
}

fn address(link: &Link, message: Outgoing<'_>) -> Letter {
    let partitions = link.shape.partitions;
    match message {
        Outgoing::Event(event) => {
            let queue = topology::events_queue(partition(&event.id, partitions));
            let properties = event_properties(event);
            Letter { properties, ..named(&queue, wire::encode_event(event)) }
        }
        Outgoing::Delivery(delivery, delay) => {
            let partition = partition(&(&delivery.event.id, &delivery.endpoint), partitions);
            let (exchange, key) = topology::delayed_route(delay, partition);
            Letter { exchange, key, properties: json(), body: wire::encode_delivery(delivery) }
        }
        Outgoing::DeadLetter(letter) => named(topology::DEAD, wire::encode_dead_letter(letter)),
        Outgoing::Newer(newer, delay) => {
            // Any worker reads every partition.
            let (exchange, key) = topology::delayed_route(delay, 0);
            Letter { exchange, key, properties: newer_properties(newer), body: newer.bytes.clone() }
        }
        Outgoing::Raw(raw) => {
            let properties = raw_properties(raw);
            Letter { properties, ..named(&topology::events_queue(0), raw.bytes.clone()) }
        }
    }
}

/// Straight to the queue of this name.
fn named(queue: &str, body: Vec<u8>) -> Letter {
    Letter { exchange: BY_NAME.to_owned(), key: queue.to_owned(), properties: json(), body }
}

fn send(channel: &Channel, letter: Letter) -> impl Future<Output = Result<(), QueueError>> {
    // Boxed, for it is large, and over at once: many wait for their confirms.
    let begun = Box::pin(begin(channel, letter));
    async move {
        match begun.await?.await.map_err(|error| queue_error(&error))? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) => {
                let (exchange, key) = (&returned.exchange, &returned.routing_key);
                let why = format!("no queue hears exchange {exchange:?} with key {key:?}");
                Err(QueueError::Refused(why))
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => {
                Err(QueueError::Unavailable("the broker did not take the message".to_owned()))
            }
        }
    }
}

async fn begin(channel: &Channel, letter: Letter) -> Result<PublisherConfirm, QueueError> {
    let Letter { exchange, key, properties, body } = letter;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = channel.basic_publish(exchange.into(), key.into(), options, &body, properties);
    sent.await.map_err(|error| queue_error(&error))
}

/// Makes events durable in the archive, as one message. One that was deleted there takes nothing in,
/// and no event is refused for that: the doctor tells that it is missing.
pub async fn archive(channel: &Channel, events: &[Event]) -> Result<(), QueueError> {
    let letter = named(topology::ARCHIVE, wire::encode_archived(events));
    match confirmed(channel, letter).await {
        Ok(()) | Err(QueueError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Puts a dead letter that is not ours to read behind the others, as it is.
pub async fn put_back(link: &Link, bytes: &[u8]) -> Result<(), QueueError> {
    confirmed(&link.publisher, named(topology::DEAD, bytes.to_vec())).await
}

/// A message for the dead letters that marks where a pass begins.
pub async fn mark(link: &Link, header: &str, mark: &str) -> Result<(), QueueError> {
    let mut headers = FieldTable::default();
    headers.insert(header.into(), AMQPValue::LongString(mark.into()));
    let properties = json().with_headers(headers);
    confirmed(&link.publisher, Letter { properties, ..named(topology::DEAD, Vec::new()) }).await
}

async fn confirmed(channel: &Channel, letter: Letter) -> Result<(), QueueError> {
    match timeout(CONFIRM_WAIT_MAX, send(channel, letter)).await {
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
