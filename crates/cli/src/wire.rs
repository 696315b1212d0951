//! From settings to queue and store: the one place that names a backend.

use std::sync::Arc;

use hookfleet_backends::rabbitmq::{RabbitOptions, RabbitQueue};
use hookfleet_backends::redis::{RedisOptions, RedisStore};
use hookfleet_backends::sqlite::{Retention, Sqlite, SqliteOptions};
use hookfleet_backends::{BackendMetrics, Measured};
use hookfleet_domain::{Clock, Secret};
use hookfleet_queue::{Pauses, Queue, QueueError};
use hookfleet_store::{Sealer, Store, StoreError};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::config::{Backend, Config};
use crate::data_folder::DataFolder;
use crate::failure::Failure;

/// Queue and store, open.
pub struct Ports {
    pub queue: Arc<dyn Queue>,
    pub store: Arc<dyn Store>,
    behind: Behind,
}

/// What stands behind them, to be closed.
enum Behind {
    Fleet(Arc<RabbitQueue>),
    Embedded(Sqlite),
}

impl Ports {
    /// Opens them, waiting with pauses for what is out of reach. `None`: told to stop first.
    pub async fn open(
        config: &Config,
        registry: &Registry,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, Failure> {
        let metrics = BackendMetrics::register(registry).map_err(Failure::failed)?;
        let measured = metrics.clone();
        let ports = Self::open_bare(config, metrics, stop).await?;
        Ok(ports
            .map(|ports| Self { queue: Arc::new(Measured::new(ports.queue, measured)), ..ports }))
    }

    async fn open_bare(
        config: &Config,
        metrics: BackendMetrics,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, Failure> {
        match &config.backend {
            Backend::Fleet { rabbit, redis_url } => {
                let options =
                    RedisOptions { metrics: Some(metrics), ..redis_options(config, redis_url)? };
                fleet(options, rabbit, stop).await
            }
            Backend::Embedded { folder, retention } => {
                let options = sqlite_options(config, folder, *retention)?;
                let file = Sqlite::open(&options, &clock()).map_err(Failure::failed)?;
                let (queue, store) = (Arc::clone(&file.queue), Arc::clone(&file.store));
                Ok(Some(Self { queue, store, behind: Behind::Embedded(file) }))
            }
        }
    }

    /// Closes what is behind them.
    pub async fn close(self) {
        match self.behind {
            Behind::Fleet(rabbit) => rabbit.close().await,
            Behind::Embedded(file) => file.close().await,
        }
    }
}

/// The store alone, to be read beside whatever runs on it.
pub async fn store_to_read(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.backend {
        Backend::Fleet { redis_url, .. } => {
            let store = RedisStore::connect(redis_options(config, redis_url)?).await;
            Ok(Arc::new(store.map_err(Failure::out_of_reach)?))
        }
        Backend::Embedded { folder, retention } => {
            let options = sqlite_options(config, folder, *retention)?;
            Ok(Arc::new(Sqlite::open_to_read(&options, &clock()).map_err(Failure::failed)?))
        }
    }
}

/// The present, as every part is told it.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

async fn fleet(
    options: RedisOptions,
    rabbit: &RabbitOptions,
    stop: &CancellationToken,
) -> Result<Option<Ports>, Failure> {
    let connect_store = || RedisStore::connect(options.clone());
    let Some(store) = patiently("the store", stop, connect_store).await? else {
        return Ok(None);
    };
    let connect_queue = || RabbitQueue::connect(rabbit.clone(), clock());
    let Some(queue) = patiently("the broker", stop, connect_queue).await? else {
        return Ok(None);
    };
    let rabbit = Arc::new(queue);
    let (queue, store) = (Arc::<RabbitQueue>::clone(&rabbit), Arc::new(store));
    Ok(Some(Ports { queue, store, behind: Behind::Fleet(rabbit) }))
}

fn redis_options(config: &Config, url: &Secret) -> Result<RedisOptions, Failure> {
    let sealer = Sealer::new(&config.master_key).map_err(Failure::usage)?;
    let mut options = RedisOptions::new(url.clone(), sealer);
    options.dedup_ttl = config.dedup_window;
    options.status_ttl = config.event_status_kept;
    Ok(options)
}

fn sqlite_options(
    config: &Config,
    folder: &DataFolder,
    retention: Retention,
) -> Result<SqliteOptions, Failure> {
    Ok(SqliteOptions {
        folder: folder.path().to_owned(),
        sealer: Sealer::new(&config.master_key).map_err(Failure::usage)?,
        dedup_ttl: config.dedup_window,
        status_ttl: config.event_status_kept,
        retention,
    })
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
            Self::Refused(_) | Self::Corrupt { .. } | Self::Newer { .. } => false,
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
