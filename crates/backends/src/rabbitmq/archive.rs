//! Reading the archive, a stream: from a time on, until nothing more comes or what comes is younger
//! than the reading.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use hookfleet_domain::{Event, Timestamp};
use hookfleet_queue::{Archive, Message, QueueError, wire};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::errors::queue_error;
use super::leases::envelope;
use super::link::Link;
use super::publish::BY_NAME;
use super::topology::ARCHIVE;

/// Messages on their way to a reader.
const PREFETCH: u16 = 100;
/// A stream does not tell its end: nothing for so long is taken for it.
const SILENCE: Duration = Duration::from_secs(1);

/// Where in the stream a reading begins.
pub enum From {
    First,
    /// The last chunk.
    Last,
    /// The chunk of this time, which may begin before it.
    Time(Timestamp),
}

/// Messages of the stream, as they come.
pub struct Consuming {
    /// A channel without a holder is closed.
    _channel: Channel,
    pub messages: Consumer,
}

impl Consuming {
    /// A message that came. Unless it is acknowledged, the stream sends no more.
    pub async fn took(&self, message: lapin::Result<Delivery>) -> Result<Delivery, QueueError> {
        let message = message.map_err(|error| queue_error(&error))?;
        let acked = message.acker.ack(BasicAckOptions::default()).await;
        acked.map_err(|error| queue_error(&error))?;
        Ok(message)
    }
}

/// Begins to read; none: there is no stream.
pub async fn consume(link: &Link, from: From) -> Result<Option<Consuming>, QueueError> {
    if link.shape.archive.is_none() {
        return Ok(None);
    }
    let channel = link.consuming.create_channel().await.map_err(|e| queue_error(&e))?;
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    qos.await.map_err(|error| queue_error(&error))?;
    let offset = match from {
        From::First => AMQPValue::LongString("first".into()),
        From::Last => AMQPValue::LongString("last".into()),
        From::Time(time) => AMQPValue::Timestamp(u64::try_from(time.unix_s()).unwrap_or(0)),
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), offset);
    let options = BasicConsumeOptions::default();
    let consumed = channel.basic_consume(ARCHIVE.into(), "".into(), options, arguments);
    let messages = consumed.await.map_err(|error| queue_error(&error))?;
    Ok(Some(Consuming { _channel: channel, messages }))
}

/// A reader; without a stream there is nothing to read.
pub struct RabbitArchive(Option<Reading>);

struct Reading {
    consuming: Consuming,
    /// When it began.
    until: Timestamp,
    /// Of the last message, what was not asked for yet.
    read: VecDeque<Event>,
}

impl RabbitArchive {
    pub async fn begin(
        link: &Link,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, QueueError> {
        let consuming = consume(link, From::Time(since)).await?;
        let reading = |consuming| Reading { consuming, until, read: VecDeque::new() };
        Ok(Self(consuming.map(reading)))
    }
}

#[async_trait]
impl Archive for RabbitArchive {
    async fn next(&mut self) -> Result<Option<Event>, QueueError> {
        let Some(Reading { consuming, until, read }) = &mut self.0 else {
            return Ok(None);
        };
        loop {
            if let Some(event) = read.pop_front() {
                return Ok(Some(event).filter(|event| event.accepted_at <= *until));
            }
            let Ok(Some(message)) = timeout(SILENCE, consuming.messages.next()).await else {
                return Ok(None);
            };
            let message = consuming.took(message).await?;
            let envelope = envelope(&message.properties, *until);
            read.extend(events(message, envelope));
        }
    }
}

/// The events in a message of the stream: ours has many, a plain client's has one, or a draft, which is
/// there once more as an event.
pub fn events(message: Delivery, envelope: wire::Envelope) -> Vec<Event> {
    if message.exchange.as_str() != BY_NAME {
        return match wire::decode_event(message.data, envelope) {
            Message::Event(event) => vec![event],
            Message::Draft(_)
            | Message::Delivery(_)
            | Message::Newer(_)
            | Message::Malformed(_) => Vec::new(),
        };
    }
    wire::decode_archived(&message.data).unwrap_or_else(|error| {
        tracing::warn!(error, "a message of the archive is left out: it cannot be read");
        Vec::new()
    })
}
