//! From settings to running parts: the one place that names a backend.

use std::sync::Arc;

use hookfleet_backends::rabbitmq::{RabbitOptions, RabbitQueue};
use hookfleet_backends::redis::{RedisOptions, RedisStore};
use hookfleet_backends::sqlite::{Retention, Sqlite, SqliteOptions};
use hookfleet_domain::{Clock, Secret};
use hookfleet_producer::{Producer, ProducerMetrics};
use hookfleet_queue::{Pauses, Queue, QueueError};
use hookfleet_store::{Sealer, Store, StoreError};
use hookfleet_worker::{Sender, Worker, WorkerMetrics, WorkerParts};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::config::{Backend, Config};
use crate::data_folder::DataFolder;
use crate::failure::Failure;

/// The parts that every role is made of.
pub struct Parts {
    behind: Behind,
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    pub producer: Producer,
    pub sender: Arc<Sender>,
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    /// Opens the backend, waiting with pauses for what is out of reach. `None`: told to stop first.
    pub async fn connect(
        config: &Config,
        registry: &Registry,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = match &config.backend {
            Backend::Fleet { rabbit, redis_url } => {
                fleet(config, (rabbit, redis_url), &clock, stop).await?
            }
            Backend::Embedded { folder, retention } => {
                Some(embedded(config, (folder, *retention), &clock)?)
            }
        };
        let Some((queue, store, behind)) = opened else {
            return Ok(None);
        };
        let metrics = ProducerMetrics::register(registry).map_err(Failure::failed)?;
        let parts = (Arc::clone(&queue), Arc::clone(&store), Arc::clone(&clock));
        let producer = Producer::new(parts.0, parts.1, parts.2, metrics);
        let sender = Sender::new(config.addresses.clone()).map_err(Failure::failed)?;
        Ok(Some(Self { behind, queue, store, producer, sender: Arc::new(sender), clock }))
    }

    /// Closes what is behind them.
    pub async fn close(self) {
        match self.behind {
            Behind::Fleet(rabbit) => rabbit.close().await,
            Behind::Embedded(file) => file.close().await,
        }
    }

    /// A worker of these parts.
    pub fn worker(&self, config: &Config, registry: &Registry) -> Result<Arc<Worker>, Failure> {
        let parts = WorkerParts {
            queue: Arc::clone(&self.queue),
            store: Arc::clone(&self.store),
            producer: self.producer.clone(),
            sender: Arc::clone(&self.sender),
            clock: Arc::clone(&self.clock),
            metrics: WorkerMetrics::register(registry).map_err(Failure::failed)?,
        };
        Ok(Worker::new(parts, config.worker.clone()))
    }
}

type Ports = (Arc<dyn Queue>, Arc<dyn Store>, Behind);

/// What stands behind the ports, to be closed.
enum Behind {
    Fleet(Arc<RabbitQueue>),
    Embedded(Sqlite),
}

async fn fleet(
    config: &Config,
    (rabbit, redis_url): (&RabbitOptions, &Secret),
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> Result<Option<Ports>, Failure> {
    let sealer = Sealer::new(&config.master_key).map_err(Failure::usage)?;
    let mut options = RedisOptions::new(redis_url.clone(), sealer);
    options.dedup_ttl = config.dedup_window;
    options.status_ttl = config.event_status_kept;
    let connect_store = || RedisStore::connect(options.clone());
    let Some(store) = patiently("the store", stop, connect_store).await? else {
        return Ok(None);
    };
    let connect_queue = || RabbitQueue::connect(rabbit.clone(), Arc::clone(clock));
    let Some(queue) = patiently("the broker", stop, connect_queue).await? else {
        return Ok(None);
    };
    let queue = Arc::new(queue);
    Ok(Some((Arc::<RabbitQueue>::clone(&queue), Arc::new(store), Behind::Fleet(queue))))
}

fn embedded(
    config: &Config,
    (folder, retention): (&DataFolder, Retention),
    clock: &Arc<dyn Clock>,
) -> Result<Ports, Failure> {
    let options = SqliteOptions {
        folder: folder.path().to_owned(),
        sealer: Sealer::new(&config.master_key).map_err(Failure::usage)?,
        dedup_ttl: config.dedup_window,
        status_ttl: config.event_status_kept,
        retention,
    };
    let file = Sqlite::open(&options, clock).map_err(Failure::failed)?;
    let (queue, store) = (Arc::clone(&file.queue), Arc::clone(&file.store));
    Ok((queue, store, Behind::Embedded(file)))
}

/// An error that may pass, or one that will not.
pub trait Passing: std::fmt::Display {
    /// Is waiting of any use?
    fn may_pass(&self) -> bool;
}

impl Passing for QueueError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Blocked(_) => true,
            Self::Refused(_) | Self::PassBusy => false,
        }
    }
}

impl Passing for StoreError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Corrupt { .. } => false,
        }
    }
}

/// Tries until it works, will never work, or is told to stop (`None`).
async fn patiently<T, E: Passing, F: Future<Output = Result<T, E>>>(
    what: &str,
    stop: &CancellationToken,
    connect: impl Fn() -> F,
) -> Result<Option<T>, Failure> {
    let mut pauses = Pauses::new();
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            connected = connect() => match connected {
                Ok(connected) => return Ok(Some(connected)),
                Err(error) => error,
            },
        };
        if !error.may_pass() {
            return Err(Failure::refused(format!("{what}: {error}")));
        }
        tracing::warn!(%error, "waiting for {what}");
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(pauses.next_pause()) => {}
        }
    }
}
