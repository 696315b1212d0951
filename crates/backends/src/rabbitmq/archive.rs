//! Reading the archive, a stream: from a time on, until nothing more comes or what comes is younger
//! than the reading.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use hookfleet_domain::{Event, Timestamp};
use hookfleet_queue::{Archive, Message, QueueError, wire};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::errors::queue_error;
use super::leases::envelope;
use super::link::Link;
use super::topology::ARCHIVE;

/// Messages on their way to a reader.
const PREFETCH: u16 = 200;
/// A stream does not tell its end: nothing for so long is taken for it.
const SILENCE: Duration = Duration::from_secs(1);

/// A reader; without a stream there is nothing to read.
pub struct RabbitArchive(Option<Stream>);

struct Stream {
    /// A channel without a holder is closed.
    _channel: Channel,
    messages: Consumer,
    until: Timestamp,
}

impl RabbitArchive {
    pub async fn begin(
        link: &Link,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, QueueError> {
        if link.shape.archive.is_none() {
            return Ok(Self(None));
        }
        let channel = link.consuming.create_channel().await.map_err(|e| queue_error(&e))?;
        let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        qos.await.map_err(|error| queue_error(&error))?;
        let mut arguments = FieldTable::default();
        let offset = AMQPValue::Timestamp(u64::try_from(since.unix_s()).unwrap_or(0));
        arguments.insert("x-stream-offset".into(), offset);
        let options = BasicConsumeOptions::default();
        let consumed = channel.basic_consume(ARCHIVE.into(), "".into(), options, arguments);
        let messages = consumed.await.map_err(|error| queue_error(&error))?;
        Ok(Self(Some(Stream { _channel: channel, messages, until })))
    }
}

#[async_trait]
impl Archive for RabbitArchive {
    async fn next(&mut self) -> Result<Option<Event>, QueueError> {
        let Some(stream) = &mut self.0 else {
            return Ok(None);
        };
        while let Ok(Some(delivery)) = timeout(SILENCE, stream.messages.next()).await {
            let delivery = delivery.map_err(|error| queue_error(&error))?;
            // Without it the stream sends no more.
            let acked = delivery.acker.ack(BasicAckOptions::default()).await;
            acked.map_err(|error| queue_error(&error))?;
            let envelope = envelope(&delivery.properties, stream.until);
            if let Message::Event(event) = wire::decode_event(delivery.data, envelope) {
                return Ok(Some(event).filter(|event| event.accepted_at <= stream.until));
            }
        }
        Ok(None)
    }
}
