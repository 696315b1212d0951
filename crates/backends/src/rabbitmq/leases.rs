//! Leasing: consumers on every partition, bounded by prefetch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use hookfleet_domain::{Clock, Timestamp};
use hookfleet_queue::{Lease, Leases, QueueError, Receipt, wire};

use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acks::Acks;
use super::errors::queue_error;
use super::frames::Frames;
use super::link::Link;
use super::publish::{ACCEPTED_AT, PUT_OFF, TRACEPARENT};
use super::topology;
use super::values::{header, integer, text};

/// How long closing waits for what was already on its way to us.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Kind {
    Event,
    Delivery,
}

/// An intake on all partitions.
pub struct RabbitLeases {
    channel: Arc<Channel>,
    acks: Acks,
    tags: Vec<ShortString>,
    messages: SelectAll<BoxStream<'static, (Kind, lapin::Result<Delivery>)>>,
    clock: Arc<dyn Clock>,
    frames: Frames,
}

impl RabbitLeases {
    /// Subscribes, each queue with a prefetch of its own.
    pub async fn begin(
        link: &Link,
        prefetch: u16,
        clock: Arc<dyn Clock>,
        (tasks, closing): (&TaskTracker, CancellationToken),
    ) -> Result<Self, QueueError> {
        let channel = link.consuming.create_channel().await.map_err(|e| queue_error(&e))?;
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        qos.await.map_err(|error| queue_error(&error))?;
        let channel = Arc::new(channel);
        let mut leases = Self {
            acks: Acks::over(Arc::clone(&channel), tasks, closing),
            channel,
            tags: Vec::new(),
            messages: SelectAll::new(),
            clock,
            frames: link.frames.clone(),
        };
        for partition in 0..link.shape.partitions {
            leases.subscribe(topology::deliveries_queue(partition), Kind::Delivery).await?;
            leases.subscribe(topology::events_queue(partition), Kind::Event).await?;
        }
        Ok(leases)
    }

    async fn subscribe(&mut self, queue: String, kind: Kind) -> Result<(), QueueError> {
        let options = BasicConsumeOptions::default();
        let none = FieldTable::default();
        let subscribed = self.channel.basic_consume(queue.into(), "".into(), options, none);
        let consumer = subscribed.await.map_err(|error| queue_error(&error))?;
        self.tags.push(consumer.tag());
        self.messages.push(consumer.map(move |message| (kind, message)).boxed());
        Ok(())
    }

    fn lease(&self, kind: Kind, delivery: Delivery) -> Lease {
        Lease {
            receipt: Receipt::new(self.acks.receipt(delivery.delivery_tag)),
            redeliveries: redeliveries(&delivery.properties, delivery.redelivered),
            message: match kind {
                Kind::Delivery if header(&delivery.properties, PUT_OFF).is_none() => {
                    wire::decode_delivery(delivery.data)
                }
                Kind::Event | Kind::Delivery => {
                    let envelope = envelope(&delivery.properties, self.clock.now());
                    wire::decode_event(delivery.data, envelope)
                }
            },
        }
    }
}

#[async_trait]
impl Leases for RabbitLeases {
    async fn next(&mut self) -> Result<Lease, QueueError> {
        match self.messages.next().await {
            Some((kind, Ok(delivery))) => Ok(self.lease(kind, delivery)),
            Some((_, Err(error))) => {
                self.frames.heed(&error);
                Err(queue_error(&error))
            }
            None => Err(QueueError::Unavailable("the broker ended our consumers".to_owned())),
        }
    }

    async fn close(mut self: Box<Self>) {
        for tag in &self.tags {
            let cancelled = self.channel.basic_cancel(tag.clone(), BasicCancelOptions::default());
            if let Err(error) = cancelled.await {
                tracing::debug!(%error, "a consumer was gone before we cancelled it");
                return;
            }
        }
        // What was fetched and not handed out: dropping its receipt gives it back.
        let give_back = async {
            while let Some((kind, message)) = self.messages.next().await {
                if let Ok(delivery) = message {
                    drop(self.lease(kind, delivery));
                }
            }
        };
        if timeout(CLOSE_WAIT_MAX, give_back).await.is_err() {
            tracing::warn!("the broker did not end our consumers in time");
        }
        self.acks.end();
    }
}

/// Quorum queues count returns in `x-delivery-count`. RabbitMQ 4.3 counts there only failures, such
/// as a consumer that died, and every return in `x-acquired-count`.
fn redeliveries(properties: &BasicProperties, redelivered: bool) -> u32 {
    let counts = ["x-delivery-count", "x-acquired-count"].map(|name| {
        let count = header(properties, name).and_then(integer);
        count.and_then(|count| u32::try_from(count).ok())
    });
    counts.into_iter().flatten().max().unwrap_or(u32::from(redelivered))
}

/// What travels beside an event's body. What cannot be read there is ignored.
pub fn envelope(properties: &BasicProperties, now: Timestamp) -> wire::Envelope {
    let key = properties.message_id().as_ref();
    let trace = header(properties, TRACEPARENT).and_then(text);
    let accepted_at = header(properties, ACCEPTED_AT).and_then(integer);
    wire::Envelope {
        idempotency_key: key.and_then(|key| key.as_str().parse().ok()),
        trace: trace.and_then(|text| text.parse().ok()),
        accepted_at: accepted_at.map_or(now, Timestamp::from_unix_ms),
    }
}
