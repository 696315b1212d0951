//! The store port over Redis 7 (and what speaks like it).
//!
//! Every key of one endpoint carries its id as a hash tag, so that one script reaches them all on a
//! cluster, too. Each delivery costs two round trips, the gate before and the record after; what is
//! asked of one endpoint at the same time is one call of a script (`batches.rs`).

mod batches;
mod broken;
mod changes;
mod dead_letters;
mod deliveries;
mod endpoints;
mod intake;
mod jobs;
mod keys;
mod link;
mod processes;
mod scripts;
mod stats;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;

use std::time::Duration;

use async_trait::async_trait;
use batches::Batches;
use hookfleet_domain::{Secret, Timestamp};
use hookfleet_store::{Sealer, Store, StoreError};
use link::Link;
use redis::aio::ConnectionManagerConfig;
use redis::{Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError};

use crate::BackendMetrics;

/// A store that does not answer in this time is out of reach.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where the store is and how long it remembers.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `redis://user:password@host:6379/0`, or `rediss`.
    pub url: Secret,
    /// Seals secrets.
    pub sealer: Sealer,
    /// How long an idempotency key is remembered: 24 h.
    pub dedup_ttl: Duration,
    /// How long it is remembered what became of an event, after it was last heard of: 24 h.
    pub status_ttl: Duration,
    /// What is counted; none: nothing.
    pub metrics: Option<BackendMetrics>,
}

impl RedisOptions {
    /// Options with the usual times.
    pub fn new(url: Secret, sealer: Sealer) -> Self {
        let day = Duration::from_hours(24);
        Self { url, sealer, dedup_ttl: day, status_ttl: day, metrics: None }
    }
}

/// A store on Redis.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    connection: Link,
    batches: Batches,
    sealer: Sealer,
    dedup_ttl: Duration,
    status_ttl: Duration,
}

impl RedisStore {
    /// Connects once, and then stays connected. An error of this first time is the caller's to
    /// handle: wait and call again, or, if it is [`StoreError::Refused`], give up.
    pub async fn connect(options: RedisOptions) -> Result<Self, StoreError> {
        // The URL may hold a password, and so may an error about it.
        let invalid = |_| StoreError::Refused("the Redis URL is invalid".to_owned());
        let client = Client::open(options.url.expose()).map_err(invalid)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_max_delay(ANSWER_WAIT_MAX)
            .set_connection_timeout(Some(ANSWER_WAIT_MAX))
            .set_response_timeout(Some(ANSWER_WAIT_MAX));
        let connected = Link::connect(client.clone(), config, options.metrics).await;
        let connection = connected.map_err(|error| store_error(&error))?;
        let store = Self {
            client,
            batches: Batches::over(connection.clone()),
            connection,
            sealer: options.sealer,
            dedup_ttl: options.dedup_ttl,
            status_ttl: options.status_ttl,
        };
        store.ping().await?;
        Ok(store)
    }

    /// The server's own time.
    pub async fn server_time(&self) -> Result<Timestamp, StoreError> {
        let (seconds, micros): (i64, i64) = self.ask(&redis::cmd("TIME")).await?;
        Ok(Timestamp::from_unix_ms(seconds * 1000 + micros / 1000))
    }

    /// The server's version.
    pub async fn version(&self) -> Result<String, StoreError> {
        let info: String = self.ask(redis::cmd("INFO").arg("server")).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let unknown = || corrupt("INFO server", "it tells no redis_version");
        version.map(|version| version.trim().to_owned()).ok_or_else(unknown)
    }

    /// Does what it holds outlive a restart (append-only file)?
    pub async fn is_persistent(&self) -> Result<bool, StoreError> {
        let info: String = self.ask(redis::cmd("INFO").arg("persistence")).await?;
        Ok(info.contains("aof_enabled:1"))
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let answer = command.query_async(&mut self.connection()).await;
        answer.map_err(|error| store_error(&error))
    }

    async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        let answer = commands.query_async(&mut self.connection()).await;
        answer.map_err(|error| store_error(&error))
    }

    fn connection(&self) -> Link {
        self.connection.clone()
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.ask(&redis::cmd("PING")).await
    }
}

/// Passwords and permissions need a person; everything else may pass.
fn store_error(error: &RedisError) -> StoreError {
    let refused = error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    if refused {
        return StoreError::Refused(error.to_string());
    }
    StoreError::Unavailable(error.to_string())
}

fn corrupt(key: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), why: why.to_string() }
}

/// Whole milliseconds, for expiries.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
