//! A pass over the dead letters.
//!
//! Its lock is an exclusive queue of its own connection: no other connection can declare it, and it
//! goes with the connection, however that ends. (An exclusive *consumer* would be simpler, but
//! RabbitMQ 3.10 lets a second one onto a quorum queue.) Its end is a marker that it publishes when it begins: the
//! queue is first in, first out, so everything before the marker was there already, and whatever
//! comes behind it (new letters, and those that the pass puts back) is not its business. A marker
//! of a pass that died is dropped by the next one.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use hookfleet_domain::{Clock, DeadLetter, DeadLetterId, DeadLetterReason, Remains};
use hookfleet_queue::{Pass, QueueError, Receipt, Settle, wire};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Connection, Consumer};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::errors::{is_locked, queue_error};
use super::link::Link;
use super::publish;
use super::topology::DEAD;
use super::values::{header, text};

/// Letters in the hands of a pass at once.
const PREFETCH: u16 = 256;
const MARKER: &str = "hookfleet-pass";

const LOCK: &str = "hookfleet.pass";

/// A pass that holds the lock.
pub struct RabbitPass {
    /// Holds the lock; closed when it is dropped.
    _connection: Connection,
    link: Arc<Link>,
    channel: Arc<Channel>,
    letters: Consumer,
    marker: String,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
}

impl RabbitPass {
    /// Takes the lock, then marks the end.
    pub async fn begin(
        link: &Arc<Link>,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
    ) -> Result<Self, QueueError> {
        let connection = link.open("pass").await?;
        let channel = connection.create_channel().await.map_err(|e| queue_error(&e))?;
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let lock = channel.queue_declare(LOCK.into(), options, FieldTable::default()).await;
        lock.map_err(
            |error| {
                if is_locked(&error) { QueueError::PassBusy } else { queue_error(&error) }
            },
        )?;
        let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
        qos.await.map_err(|error| queue_error(&error))?;
        let options = BasicConsumeOptions::default();
        let consumed =
            channel.basic_consume(DEAD.into(), "".into(), options, FieldTable::default());
        let letters = consumed.await.map_err(|error| queue_error(&error))?;
        let marker = DeadLetterId::generate(clock.now()).to_string();
        publish::mark(link, MARKER, &marker).await?;
        Ok(Self {
            _connection: connection,
            link: Arc::clone(link),
            channel: Arc::new(channel),
            letters,
            marker,
            clock,
            tasks: tasks.clone(),
        })
    }

    /// A letter of a later version stays as it is, for a pass of a worker that knows it.
    async fn leave(&self, delivery: Delivery, version: u32) -> Result<(), QueueError> {
        tracing::warn!("a dead letter of version {version} was passed over");
        publish::put_back(&self.link, &delivery.data).await?;
        let acked = delivery.acker.ack(BasicAckOptions::default()).await;
        acked.map(drop).map_err(|error| queue_error(&error))
    }

    fn letter(
        &self,
        letter: Result<DeadLetter, wire::UnreadableLetter>,
        delivery: Delivery,
    ) -> (DeadLetter, Receipt) {
        let letter = letter.unwrap_or_else(|error| self.foreign(&delivery, &error));
        let receipt = LetterReceipt {
            acker: delivery.acker,
            channel: Arc::clone(&self.channel),
            tasks: self.tasks.clone(),
        };
        (letter, Receipt::new(receipt))
    }

    /// Somebody else's message among the dead letters is one of them, too.
    fn foreign(&self, delivery: &Delivery, error: &wire::UnreadableLetter) -> DeadLetter {
        let now = self.clock.now();
        let remains = Remains::Raw {
            bytes: delivery.data.clone(),
            error: error.to_string(),
            idempotency_key: None,
            trace: None,
        };
        let id = DeadLetterId::generate(now);
        DeadLetter { id, reason: DeadLetterReason::Malformed, died_at: now, remains }
    }
}

#[async_trait]
impl Pass for RabbitPass {
    async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, QueueError> {
        loop {
            let delivery = match self.letters.next().await {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Err(queue_error(&error)),
                None => {
                    let why = "the broker ended the pass's consumer".to_owned();
                    return Err(QueueError::Unavailable(why));
                }
            };
            let Some(marker) = marker(&delivery) else {
                match wire::decode_dead_letter(&delivery.data) {
                    Err(wire::UnreadableLetter::Newer(version)) => {
                        self.leave(delivery, version).await?;
                        continue;
                    }
                    letter => return Ok(Some(self.letter(letter, delivery))),
                }
            };
            let ours = marker == self.marker;
            let acked = delivery.acker.ack(BasicAckOptions::default()).await;
            acked.map_err(|error| queue_error(&error))?;
            if ours {
                return Ok(None);
            }
        }
    }
}

fn marker(delivery: &Delivery) -> Option<String> {
    header(&delivery.properties, MARKER).and_then(text)
}

/// Settles one letter. Holds its channel: a channel without a holder is closed.
struct LetterReceipt {
    acker: Acker,
    channel: Arc<Channel>,
    tasks: TaskTracker,
}

#[async_trait]
impl Settle for LetterReceipt {
    async fn settle(self: Box<Self>) -> Result<(), QueueError> {
        let acked = self.acker.ack(BasicAckOptions::default()).await;
        acked.map(|_| ()).map_err(|error| queue_error(&error))
    }

    fn give_back(self: Box<Self>) {
        // Without a runtime the process is ending, and the broker takes everything back anyway.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let tasks = self.tasks.clone();
        let nack = async move {
            let options = BasicNackOptions { requeue: true, ..Default::default() };
            if let Err(error) = self.acker.nack(options).await {
                tracing::debug!(%error, "a message could not be given back: its channel is gone");
            }
            drop(self.channel);
        };
        drop(tasks.spawn_on(nack, &runtime));
    }
}
