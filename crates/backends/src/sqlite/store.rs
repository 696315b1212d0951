//! The store: what all its parts share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{Clock, TenantId, Timestamp};
use hookfleet_store::{Sealer, Store, StoreError};
use tokio::sync::broadcast;

use super::SqliteOptions;
use super::attempts::Attempts;
use super::database::Database;
use super::processes::Present;

/// Changes that a listener may be behind; past that, anything may have changed.
const CHANGES_BEHIND_MAX: usize = 1024;

/// A store in a SQLite file.
pub struct SqliteStore {
    pub(super) database: Arc<Database>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sealer: Sealer,
    pub(super) dedup_ttl: Duration,
    pub(super) status_ttl: Duration,
    pub(super) changes: broadcast::Sender<TenantId>,
    pub(super) attempts: Arc<Attempts>,
    pub(super) present: Present,
}

impl SqliteStore {
    pub(super) fn new(
        database: Arc<Database>,
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            database,
            clock,
            sealer: options.sealer.clone(),
            dedup_ttl: options.dedup_ttl,
            status_ttl: options.status_ttl,
            changes: broadcast::Sender::new(CHANGES_BEHIND_MAX),
            attempts: Arc::default(),
            present: Present::default(),
        }
    }

    /// When something that is to be remembered for `ttl` is forgotten.
    pub(super) fn expiry(&self, ttl: Duration) -> i64 {
        self.clock.now().after(ttl).unix_ms()
    }
}

#[async_trait]
impl Store for SqliteStore {
    /// A file that cannot be written is out of reach, though it could be read.
    async fn ping(&self) -> Result<(), StoreError> {
        match self.database.fault() {
            Some(fault) => Err(fault.into()),
            None => Ok(self.database.read(|db| db.query_row("SELECT 1", [], |_| Ok(()))).await?),
        }
    }
}

/// A record that cannot be read.
pub(super) fn corrupt(key: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), why: why.to_string() }
}

/// A time, if there is one.
pub(super) fn time(unix_ms: Option<i64>) -> Option<Timestamp> {
    unix_ms.map(Timestamp::from_unix_ms)
}
