//! The worker: lease, fan out, gate, sign, send, judge, settle.
//!
//! ```text
//! intake ─▶ handle ─┬─ event ────▶ fan_out ─┐
//!                   ├─ delivery ────────────┴─▶ deliver: lane ─▶ gate ─▶ request ─▶ send ─▶ judge ─▶ settle
//!                   ├─ draft ────▶ producer (a plain client's event gets its id)
//!                   └─ malformed ▶ dead letters
//! ```
//!
//! Workers keep nothing: a message is settled only after everything that follows from it is durable
//! (the next step published and confirmed, then the attempt recorded), so a worker that dies at any
//! point costs a repeated attempt at most. They do not know the API; both meet in queue and store.

mod clients;
mod deliver;
mod endpoints;
mod fan_out;
mod guard;
mod handle;
mod hold;
mod intake;
mod lanes;
mod metrics;
mod newer;
mod notify;
mod pace;
mod pass;
mod preview;
mod recover;
mod request;
mod send;
mod settle;
mod shares;
mod signer;
mod tallies;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookfleet_domain::{Clock, Tracer, WorkerId};
use hookfleet_producer::Producer;
use hookfleet_queue::Queue;
use hookfleet_store::Store;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use endpoints::EndpointCache;
use hold::StoreHealth;
use lanes::Lanes;
use shares::Shares;
use tallies::Tallies;

pub use clients::{ClientError, Egress};
pub use metrics::WorkerMetrics;
pub use preview::PreviewedRequest;
pub use send::Sender;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Deliveries under way at once.
    pub concurrency: u16,
    /// An event for more endpoints than this is split into messages of their own.
    pub fan_out_inline: usize,
    /// A message that came back more often than this is given up as poison.
    pub delivery_limit: u32,
    /// How long deliveries under way may take once the worker is told to stop.
    pub drain_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 512,
            fan_out_inline: 128,
            delivery_limit: 10,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// What a worker works with.
pub struct WorkerParts {
    /// Where work comes from and goes to.
    pub queue: Arc<dyn Queue>,
    /// What the fleet remembers.
    pub store: Arc<dyn Store>,
    /// The door for events of plain clients.
    pub producer: Producer,
    /// What sends.
    pub sender: Arc<Sender>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// What is recorded.
    pub tracer: Tracer,
}

/// A worker.
pub struct Worker {
    id: WorkerId,
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
    producer: Producer,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
    metrics: WorkerMetrics,
    tracer: Tracer,
    options: WorkerOptions,
    endpoints: EndpointCache,
    lanes: Lanes,
    shares: Shares,
    slots: Arc<Semaphore>,
    /// Slots that are held for a message that has not come yet.
    expecting: AtomicUsize,
    /// Deliveries that wait for the next moments of a rate with a slot in hand.
    dozers: Semaphore,
    /// Room for messages that events are being split into.
    splitting: Semaphore,
    health: StoreHealth,
    tallies: Tallies,
    /// Cancelled when even what is under way must end.
    abandon: CancellationToken,
}

/// One slot in so many may be held by a delivery that waits for the next moments of a rate.
const DOZERS_SHARE: usize = 8;
/// How often a worker gives its sign of life.
const LIFE_SIGN_EVERY: Duration = Duration::from_secs(1);

impl Worker {
    /// A worker that has not begun yet.
    pub fn new(parts: WorkerParts, options: WorkerOptions) -> Arc<Self> {
        Arc::new(Self {
            id: WorkerId::generate(parts.clock.now()),
            queue: parts.queue,
            store: Arc::clone(&parts.store),
            producer: parts.producer,
            sender: parts.sender,
            clock: parts.clock,
            metrics: parts.metrics,
            tracer: parts.tracer,
            endpoints: EndpointCache::new(parts.store),
            lanes: Lanes::default(),
            shares: Shares::of(options.concurrency),
            slots: Arc::new(Semaphore::new(options.concurrency.max(1).into())),
            expecting: AtomicUsize::new(0),
            dozers: Semaphore::new(usize::from(options.concurrency) / DOZERS_SHARE),
            splitting: Semaphore::new(fan_out::PUBLISHED_AT_ONCE),
            health: StoreHealth::new(),
            tallies: Tallies::default(),
            abandon: CancellationToken::new(),
            options,
        })
    }

    /// Its id.
    pub fn id(&self) -> &WorkerId {
        &self.id
    }

    /// Deliveries in hand, and how many can be.
    pub fn in_hand(&self) -> (usize, usize) {
        let slots = usize::from(self.options.concurrency);
        let free = self.slots.available_permits() + self.expecting.load(Ordering::Relaxed);
        (slots.saturating_sub(free), slots)
    }

    /// Works until `stop`; then finishes what is under way, for as long as `drain_timeout`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tracing::info!(worker.id = %self.id, "worker {} works", self.id);
        let mut helpers = JoinSet::new();
        helpers.spawn(Arc::clone(&self).give_life_signs());
        helpers.spawn(Arc::clone(&self).hear_changes());
        helpers.spawn(Arc::clone(&self).add_tallies());
        helpers.spawn(Arc::clone(&self).run_jobs(stop.clone()));
        let under_way = TaskTracker::new();
        intake::run(&self, &under_way, &stop).await;
        under_way.close();
        let in_hand = under_way.len();
        let drained = tokio::time::timeout(self.options.drain_timeout, under_way.wait());
        let left = if drained.await.is_ok() { 0 } else { under_way.len() };
        self.metrics.drained(in_hand.saturating_sub(left), left);
        if left > 0 {
            tracing::warn!("{left} messages were still under way; they go back to the queue");
            self.abandon.cancel();
            under_way.wait().await;
        }
        helpers.shutdown().await;
        self.add_last_tallies().await;
        tracing::info!(worker.id = %self.id, "worker {} stopped", self.id);
    }

    async fn give_life_signs(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LIFE_SIGN_EVERY);
        loop {
            ticks.tick().await;
            let (in_hand, slots) = self.in_hand();
            self.metrics.slots(in_hand, slots);
            if let Err(error) = self.store.still_alive(&self.id).await {
                tracing::debug!(%error, "no sign of life given");
            }
        }
    }

    async fn hear_changes(self: Arc<Self>) {
        let mut pauses = hookfleet_queue::Pauses::new();
        loop {
            match self.store.changes().await {
                Ok(changes) => self.endpoints.follow(changes).await,
                Err(error) => {
                    tracing::warn!(%error, "changes of endpoints are not heard, trying again");
                    self.endpoints.forget_all();
                    tokio::time::sleep(pauses.next_pause()).await;
                }
            }
        }
    }
}
