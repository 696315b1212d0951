//! What is counted of broker and store: how long they take to answer, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::Timestamp;
use hookfleet_queue::{
    Archive, Depth, Found, Leases, Outgoing, Pass, Queue, QueueError, Readiness, Search,
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, core::Collector,
};
use redis::{ErrorKind, RedisError};
use tokio::time::Instant;

/// From a broker beside us to one that is about to be given up.
const SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];
const MESSAGES: [&str; 5] = ["event", "delivery", "dead_letter", "raw", "newer"];
const OPERATIONS: [&str; 5] = ["publish", "lease", "pass", "archive", "depths"];
const QUEUE_ERRORS: [&str; 3] = ["unavailable", "blocked", "refused"];
const REDIS_ERRORS: [&str; 4] = ["timeout", "connection", "refused", "other"];

/// Counters and histograms of broker and store. The default ones are not registered anywhere.
#[derive(Debug, Clone)]
pub struct BackendMetrics {
    publish_seconds: HistogramVec,
    queue_errors: IntCounterVec,
    redis_seconds: Histogram,
    redis_errors: IntCounterVec,
}

impl BackendMetrics {
    fn new() -> prometheus::Result<Self> {
        let seconds = |name, help| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let publish_seconds = HistogramVec::new(
            seconds(
                "hookfleet_queue_publish_duration_seconds",
                "From handing a message to the queue until it is confirmed durable, by message.",
            ),
            &["message"],
        )?;
        let queue_errors = IntCounterVec::new(
            Opts::new("hookfleet_queue_errors_total", "What the queue refused, by operation."),
            &["operation", "error"],
        )?;
        let redis_seconds = Histogram::with_opts(seconds(
            "hookfleet_redis_request_duration_seconds",
            "How long Redis took to answer a request of one or more commands.",
        ))?;
        let redis_errors = IntCounterVec::new(
            Opts::new("hookfleet_redis_errors_total", "Requests that Redis failed, by error."),
            &["error"],
        )?;
        for message in MESSAGES {
            publish_seconds.with_label_values(&[message]);
        }
        for (operation, error) in
            OPERATIONS.iter().flat_map(|operation| QUEUE_ERRORS.map(|error| (operation, error)))
        {
            queue_errors.with_label_values(&[*operation, error]);
        }
        for error in REDIS_ERRORS {
            redis_errors.with_label_values(&[error]);
        }
        Ok(Self { publish_seconds, queue_errors, redis_seconds, redis_errors })
    }

    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        let all: [Box<dyn Collector>; 4] = [
            Box::new(metrics.publish_seconds.clone()),
            Box::new(metrics.queue_errors.clone()),
            Box::new(metrics.redis_seconds.clone()),
            Box::new(metrics.redis_errors.clone()),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    pub(crate) fn redis_answered<T>(&self, answer: &Result<T, RedisError>, took: Duration) {
        self.redis_seconds.observe(took.as_secs_f64());
        if let Err(error) = answer {
            self.redis_errors.with_label_values(&[redis_label(error)]).inc();
        }
    }

    fn queue_answered<T>(&self, operation: &str, answer: &Result<T, QueueError>) {
        let error = match answer {
            // Somebody else's pass is no error.
            Ok(_) | Err(QueueError::PassBusy) => return,
            Err(QueueError::Unavailable(_)) => "unavailable",
            Err(QueueError::Blocked(_)) => "blocked",
            Err(QueueError::Refused(_)) => "refused",
        };
        self.queue_errors.with_label_values(&[operation, error]).inc();
    }
}

fn redis_label(error: &RedisError) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_io_error() || error.is_connection_dropped() {
        "connection"
    } else if error.kind() == ErrorKind::AuthenticationFailed {
        "refused"
    } else {
        "other"
    }
}

/// A queue that is counted.
pub struct Measured {
    queue: Arc<dyn Queue>,
    metrics: BackendMetrics,
}

impl Measured {
    /// Counts what this one does.
    pub fn new(queue: Arc<dyn Queue>, metrics: BackendMetrics) -> Self {
        Self { queue, metrics }
    }
}

#[async_trait]
impl Queue for Measured {
    async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let label = match message {
            Outgoing::Event(_) => "event",
            Outgoing::Delivery(..) => "delivery",
            Outgoing::DeadLetter(_) => "dead_letter",
            Outgoing::Raw(_) => "raw",
            Outgoing::Newer(..) => "newer",
        };
        let begun = Instant::now();
        let published = self.queue.publish(message).await;
        let took = begun.elapsed().as_secs_f64();
        self.metrics.publish_seconds.with_label_values(&[label]).observe(took);
        self.metrics.queue_answered("publish", &published);
        published
    }

    async fn leases(&self, prefetch: u16) -> Result<Box<dyn Leases>, QueueError> {
        let leases = self.queue.leases(prefetch).await;
        self.metrics.queue_answered("lease", &leases);
        leases
    }

    async fn pass(&self) -> Result<Box<dyn Pass>, QueueError> {
        let pass = self.queue.pass().await;
        self.metrics.queue_answered("pass", &pass);
        pass
    }

    async fn archive_since(&self, since: Timestamp) -> Result<Box<dyn Archive>, QueueError> {
        let archive = self.queue.archive_since(since).await;
        self.metrics.queue_answered("archive", &archive);
        archive
    }

    async fn search_archive(&self, search: &Search) -> Result<Found, QueueError> {
        let found = self.queue.search_archive(search).await;
        self.metrics.queue_answered("archive", &found);
        found
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let depths = self.queue.depths().await;
        self.metrics.queue_answered("depths", &depths);
        depths
    }

    fn readiness(&self) -> Readiness {
        self.queue.readiness()
    }
}
