//! Takes an event in: validate, deduplicate, publish.
//!
//! The HTTP API, the worker (for events of plain AMQP clients) and any Rust service use this same
//! door. `Ok` means that the event is durable in the queue, and not before; after an error the event
//! may or may not be: publish it again with the same idempotency key, and it is one event.
//!
//! `examples/publish.rs` is a complete program to copy.

mod metrics;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hookfleet_domain::{Clock, Draft, Event, EventId, InvalidData, Timestamp, Tracer};
use hookfleet_queue::{Outgoing, Queue, QueueError};
use hookfleet_store::{Claim, Store, StoreError};
use tokio::time::{Instant, sleep};

pub use metrics::ProducerMetrics;
use trace::Publishing;

/// How long an event is published again after an unknown outcome.
const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);
/// Events of a batch that are under way at once.
const BATCH_IN_FLIGHT: usize = 256;

/// A door for events. Cloning it is cheap.
#[derive(Clone)]
pub struct Producer {
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: ProducerMetrics,
    tracer: Tracer,
}

/// An event that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its id.
    pub id: EventId,
    /// Its idempotency key had been published before; this id is that first event's.
    pub duplicate: bool,
}

/// Why an event was not taken in, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is no valid event: do not send it again.
    #[error(transparent)]
    Invalid(#[from] InvalidData),
    /// The fleet takes nothing in at the moment: try again in some seconds.
    #[error("the fleet takes nothing in at the moment: {0}")]
    Busy(String),
    /// Queue or store are out of reach: try again in some seconds.
    #[error("{0}")]
    Unavailable(String),
    /// Queue or store refuse us: an operator must act.
    #[error("{0}")]
    Refused(String),
}

impl From<QueueError> for PublishError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Blocked(why) => Self::Busy(why),
            QueueError::Refused(_) => Self::Refused(error.to_string()),
            QueueError::Unavailable(_) | QueueError::PassBusy => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Refused(_) | StoreError::Corrupt { .. } | StoreError::Newer { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}

impl Producer {
    /// A door to this queue, deduplicating in this store.
    pub fn new(
        queue: Arc<dyn Queue>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: ProducerMetrics,
    ) -> Self {
        Self { queue, store, clock, metrics, tracer: Tracer::default() }
    }

    /// The same door, that records what goes through it.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Publishes one event. Not cancel-safe: a dropped call may have published it.
    pub async fn publish(&self, draft: Draft) -> Result<Published, PublishError> {
        let now = self.clock.now();
        let candidate = EventId::generate(now);
        let publishing = Publishing::begin(&self.tracer, (&draft, &candidate), now);
        let result = self.try_publish(draft, candidate, now).await;
        if let Some(publishing) = publishing {
            publishing.end(&self.tracer, &result);
        }
        self.metrics.count(&result);
        result
    }

    /// Publishes many, pipelined; the results stand in the order of the drafts.
    pub async fn publish_batch(&self, drafts: Vec<Draft>) -> Vec<Result<Published, PublishError>> {
        let publish = |draft| self.publish(draft);
        stream::iter(drafts).map(publish).buffered(BATCH_IN_FLIGHT).collect().await
    }

    async fn try_publish(
        &self,
        draft: Draft,
        candidate: EventId,
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        draft.check()?;
        let id = match &draft.idempotency_key {
            None => candidate,
            Some(key) => match self.store.claim_key(&draft.tenant, key, &candidate).await? {
                Claim::Published(id) => return Ok(Published { id, duplicate: true }),
                Claim::Publish(id) => id,
            },
        };
        let event = draft.accept(id, now);
        self.make_durable(&event).await?;
        let first = match &event.idempotency_key {
            None => true,
            Some(key) => self.store.confirm_key(&event.tenant, key, &event.id).await?,
        };
        Ok(Published { id: event.id, duplicate: !first })
    }

    /// Remembers the event before it is published: whoever has its id can ask for it at once.
    async fn make_durable(&self, event: &Event) -> Result<(), PublishError> {
        self.store.remember_event(event, None).await?;
        let give_up = Instant::now() + PUBLISH_WAIT_MAX;
        loop {
            match self.queue.publish(Outgoing::Event(event)).await {
                Ok(()) => return Ok(()),
                Err(QueueError::Unavailable(why)) if Instant::now() + PAUSE < give_up => {
                    tracing::debug!(event.id = %event.id, why, "publishing the event again");
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
