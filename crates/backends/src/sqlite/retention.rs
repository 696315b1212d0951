//! Keeping the file small: what has expired is forgotten, and what is over first when it grows too
//! large. Messages that are queued or leased, dead letters, endpoints and idempotency keys within
//! their window are never touched.
//!
//! Tables are swept in the order of their keys, some rows each second. Ids of events sort by time, so
//! the rows that expire first are together, and no index is needed to find them.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{Clock, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::fault::Fault;

/// What is kept of what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long settled events stay in the archive; none: not at all.
    pub archive: Option<Duration>,
    /// Bytes in use past which the oldest of the archive and of the history are forgotten early.
    pub bytes_max: u64,
}

const EVERY: Duration = Duration::from_secs(1);
/// Rows of a table looked at in one transaction: some milliseconds.
const ROWS: u32 = 4000;
/// Transactions in a row while the file is too large.
const ROUNDS_MAX: usize = 50;
/// Pages given back to the file system in one transaction, while more than this part is free.
const PAGES_GIVEN_BACK: i64 = 1000;
const FREE_PART_MAX: i64 = 4;

/// A table to be swept: where a stretch of it ends, and what is deleted in it.
struct Table {
    stretch: &'static str,
    expired: &'static str,
    /// What is over, expired or not.
    over: Option<&'static str>,
}

macro_rules! table {
    ($table:literal, $key:literal, $over:expr) => {
        Table {
            stretch: concat!(
                "SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE ",
                $key,
                " > ?1 ORDER BY ",
                $key,
                " LIMIT 1 OFFSET ?2"
            ),
            expired: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $key,
                " > ?1 AND (?2 IS NULL OR ",
                $key,
                " <= ?2) AND expires_ms < ?3"
            ),
            over: $over,
        }
    };
}

const TABLES: [Table; 5] = [
    table!(
        "deliveries",
        "event",
        Some(
            "DELETE FROM deliveries WHERE event > ?1 AND (?2 IS NULL OR event <= ?2)
             AND stage IN ('delivered', 'discarded') AND ?3 > 0"
        )
    ),
    table!(
        "known_events",
        "event",
        Some(
            "DELETE FROM known_events WHERE event > ?1 AND (?2 IS NULL OR event <= ?2)
             AND fanned_out AND ?3 > 0
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = known_events.event)"
        )
    ),
    table!("idempotency_keys", "key", None),
    table!("attempts", "endpoint", None),
    table!("health", "endpoint", None),
];

/// The oldest events that are not in the queue.
const ARCHIVED: &str = "DELETE FROM events WHERE id IN (
      SELECT id FROM events WHERE accepted_ms < ?1 ORDER BY accepted_ms LIMIT ?2)
    AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.id = events.id)";

/// Keeps a file small.
pub struct Keeper {
    database: Arc<Database>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    /// Where the sweep of each table goes on.
    places: [String; TABLES.len()],
}

impl Keeper {
    pub fn new(database: Arc<Database>, retention: Retention, clock: Arc<dyn Clock>) -> Self {
        Self { database, retention, clock, places: Default::default() }
    }

    /// Until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(fault) = self.keep().await {
                tracing::debug!(error = %fault, "the file was not swept");
            }
        }
    }

    async fn keep(&mut self) -> Result<(), Fault> {
        if self.database.fault().is_some() {
            self.probe().await?;
        }
        for n in 0..TABLES.len() {
            self.sweep(n, |table| Some(table.expired)).await?;
        }
        let now = self.clock.now();
        let oldest = self.retention.archive.map_or(now, |kept| now.before(kept));
        self.prune_archive(oldest).await?;
        self.shrink().await
    }

    /// Is there room again? Nobody else may be trying to write.
    async fn probe(&self) -> Result<(), Fault> {
        let at_ms = self.clock.now().unix_ms();
        let probe = "INSERT OR REPLACE INTO probe VALUES (1, ?1)";
        self.database.write(move |db| db.execute(probe, [at_ms])).await?;
        Ok(())
    }

    /// One stretch of a table; `true`: the last one.
    async fn sweep(
        &mut self,
        n: usize,
        delete: impl Fn(&Table) -> Option<&'static str>,
    ) -> Result<bool, Fault> {
        let (Some(table), Some(place)) = (TABLES.get(n), self.places.get_mut(n)) else {
            return Ok(true);
        };
        let Some(delete) = delete(table) else {
            return Ok(true);
        };
        let (stretch, from, now_ms) = (table.stretch, place.clone(), self.clock.now().unix_ms());
        let sweep = move |db: &Connection| {
            let to = db.prepare_cached(stretch)?.query_row(params![from, ROWS], |row| row.get(0));
            let to: Option<String> = to.optional()?;
            db.prepare_cached(delete)?.execute(params![from, to, now_ms])?;
            Ok(to)
        };
        let to = self.database.write(sweep).await?;
        *place = to.unwrap_or_default();
        Ok(place.is_empty())
    }

    async fn prune_archive(&self, older_than: Timestamp) -> Result<(), Fault> {
        let before_ms = older_than.unix_ms();
        for _ in 0..ROUNDS_MAX {
            let prune = move |db: &Connection| {
                db.prepare_cached(ARCHIVED)?.execute(params![before_ms, ROWS])
            };
            if self.database.write(prune).await? < ROWS as usize {
                break;
            }
        }
        Ok(())
    }

    /// Too large? Then the oldest of what is over goes, expired or not.
    async fn shrink(&mut self) -> Result<(), Fault> {
        for _ in 0..ROUNDS_MAX {
            let size = self.database.write(give_back_pages).await?;
            if size <= self.retention.bytes_max {
                return Ok(());
            }
            let prune =
                |db: &Connection| db.prepare_cached(ARCHIVED)?.execute(params![i64::MAX, ROWS]);
            let pruned = self.database.write(prune).await?;
            let mut ended = pruned == 0;
            for n in 0..TABLES.len() {
                ended &= self.sweep(n, |table| table.over).await?;
            }
            if ended {
                tracing::debug!("{size} bytes are in use, and all of them are needed");
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Bytes in use. If much more is free, some of it goes back to the file system.
fn give_back_pages(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (pragma("page_count")?, pragma("freelist_count")?);
    if free > PAGES_GIVEN_BACK && free > pages / FREE_PART_MAX {
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(u64::try_from((pages - free) * pragma("page_size")?).unwrap_or(0))
}
