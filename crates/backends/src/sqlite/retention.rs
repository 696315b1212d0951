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
/// Rows of a table looked at in one transaction: a few milliseconds, for others wait meanwhile.
const ROWS: u32 = 200;
/// Stretches of each table that are looked at each second.
const STRETCHES: usize = 20;
/// Transactions in a row: still there is time for others.
const ROUNDS_MAX: usize = 160;
/// What is forgotten each second of a file that is too large, at least: this, or that part of the limit. And
/// half as much again as came in since the last time. So it does not go on growing, and deliveries that
/// are under way do not pay for a rush that is over.
const FORGOTTEN_BYTES_MIN: u64 = 8 * 1024 * 1024;
const FORGOTTEN_PART: u64 = 100;
/// Pages given back to the file system in one transaction, while more than this part is free.
const PAGES_GIVEN_BACK: i64 = 100;
const FREE_PART_MAX: i64 = 4;

/// A table to be swept.
struct Table {
    name: &'static str,
    /// The first column of its key.
    key: &'static str,
    /// What is over, expired or not.
    over: Option<&'static str>,
}

const TABLES: [Table; 5] = [
    Table {
        name: "known_events",
        key: "event",
        // Those that it was begun for have no rows before somebody was at their gate or settled them.
        over: Some(
            "fanned_out
             AND (SELECT count(*) FROM deliveries WHERE deliveries.event = known_events.event)
               >= ifnull(length(endpoints) - length(replace(endpoints, ' ', '')) + (endpoints <> ''), 0)
             AND NOT EXISTS
             (SELECT 1 FROM deliveries WHERE deliveries.event = known_events.event
                AND stage NOT IN ('delivered', 'discarded'))",
        ),
    },
    Table {
        name: "deliveries",
        key: "event",
        over: Some(
            "stage IN ('delivered', 'discarded') AND NOT EXISTS
             (SELECT 1 FROM known_events WHERE known_events.event = deliveries.event)",
        ),
    },
    Table { name: "idempotency_keys", key: "key", over: None },
    Table { name: "attempts", key: "endpoint", over: None },
    Table { name: "health", key: "endpoint", over: None },
];
/// Greater than every key, all of which are ASCII.
const END: &str = "\u{10FFFF}";

/// Which rows of a table are deleted.
#[derive(Clone, Copy)]
enum Which {
    Expired,
    Over,
}

impl Which {
    fn of(self, table: &Table, now: Timestamp) -> Option<String> {
        match self {
            Self::Expired => Some(format!("expires_ms < {}", now.unix_ms())),
            Self::Over => table.over.map(str::to_owned),
        }
    }
}

/// The oldest events that are not in the queue.
const ARCHIVED: &str = "DELETE FROM events WHERE id IN (
      SELECT id FROM events WHERE accepted_ms < ?1 ORDER BY accepted_ms LIMIT ?2)
    AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.id = events.id)";

/// Counts over time, which expire in the order in which they were begun.
const COUNTED: [&str; 2] = [
    "DELETE FROM tallies WHERE (tenant, step_ms, at_ms) IN
       (SELECT tenant, step_ms, at_ms FROM tallies WHERE expires_ms < ?1 LIMIT ?2)",
    "DELETE FROM endpoint_tallies WHERE (tenant, at_ms, endpoint) IN
       (SELECT tenant, at_ms, endpoint FROM endpoint_tallies WHERE expires_ms < ?1 LIMIT ?2)",
];

/// Keeps a file small.
pub struct Keeper {
    database: Arc<Database>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    /// Where the sweeps of each table go on: that of what has expired, and that of what is over.
    places: [[String; 2]; TABLES.len()],
    /// Bytes in use when it was last looked whether they are too many.
    size_before: u64,
}

impl Keeper {
    pub fn new(database: Arc<Database>, retention: Retention, clock: Arc<dyn Clock>) -> Self {
        Self { database, retention, clock, places: Default::default(), size_before: 0 }
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
            for _ in 0..STRETCHES {
                if self.sweep(n, Which::Expired).await? {
                    break;
                }
            }
        }
        self.forget_counts().await?;
        let now = self.clock.now();
        let oldest = self.retention.archive.map_or(now, |kept| now.before(kept));
        self.prune_archive(oldest).await?;
        self.shrink().await
    }

    /// Is there room again? Nobody else may be trying to write.
    async fn probe(&self) -> Result<(), Fault> {
        let at_ms = self.clock.now().unix_ms();
        let probe = "INSERT OR REPLACE INTO probe VALUES (1, ?1)";
        self.database.promise(move |db| db.execute(probe, [at_ms])).await?;
        Ok(())
    }

    /// One stretch of a table; `true`: the last one.
    async fn sweep(&mut self, n: usize, which: Which) -> Result<bool, Fault> {
        let (Some(table), Some([expired, over])) = (TABLES.get(n), self.places.get_mut(n)) else {
            return Ok(true);
        };
        let place = match which {
            Which::Expired => expired,
            Which::Over => over,
        };
        let Some(rows) = which.of(table, self.clock.now()) else {
            return Ok(true);
        };
        let Table { name, key, .. } = table;
        let end = format!(
            "SELECT {key} FROM {name} WHERE {key} > ?1 ORDER BY {key} LIMIT 1 OFFSET {ROWS}"
        );
        let delete = format!("DELETE FROM {name} WHERE {key} > ?1 AND {key} <= ?2 AND {rows}");
        let from = place.clone();
        let sweep = move |db: &Connection| {
            let end = db.query_row(&end, [&from], |row| row.get::<_, String>(0)).optional()?;
            db.execute(&delete, [from.as_str(), end.as_deref().unwrap_or(END)])?;
            Ok(end)
        };
        *place = self.database.note(sweep).await?.unwrap_or_default();
        Ok(place.is_empty())
    }

    async fn forget_counts(&self) -> Result<(), Fault> {
        let now_ms = self.clock.now().unix_ms();
        for expired in COUNTED {
            for _ in 0..ROUNDS_MAX {
                let forget = move |db: &Connection| {
                    db.prepare_cached(expired)?.execute(params![now_ms, ROWS])
                };
                if self.database.note(forget).await? < ROWS as usize {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn prune_archive(&self, older_than: Timestamp) -> Result<(), Fault> {
        let before_ms = older_than.unix_ms();
        for _ in 0..ROUNDS_MAX {
            let prune = move |db: &Connection| {
                db.prepare_cached(ARCHIVED)?.execute(params![before_ms, ROWS])
            };
            if self.database.note(prune).await? < ROWS as usize {
                break;
            }
        }
        Ok(())
    }

    /// Too large? Then the oldest of what is over goes, expired or not: the archive first, then what
    /// is known of settled events.
    async fn shrink(&mut self) -> Result<(), Fault> {
        let size = self.database.note(give_back_pages).await?;
        let enough = enough([self.size_before, size], self.retention.bytes_max);
        for _ in 0..ROUNDS_MAX {
            let size = self.database.note(give_back_pages).await?;
            self.size_before = size;
            if size <= enough {
                return Ok(());
            }
            let prune =
                |db: &Connection| db.prepare_cached(ARCHIVED)?.execute(params![i64::MAX, ROWS]);
            let pruned = self.database.note(prune).await?;
            if pruned > 0 {
                continue;
            }
            let mut ended = true;
            for n in 0..TABLES.len() {
                ended &= self.sweep(n, Which::Over).await?;
            }
            if ended {
                tracing::debug!("{size} bytes are in use, and all of them are needed");
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Down to where a file is shrunk this time, by its size the last time and now.
fn enough([before, now]: [u64; 2], bytes_max: u64) -> u64 {
    let came = now.saturating_sub(before);
    let least = FORGOTTEN_BYTES_MIN.max(bytes_max / FORGOTTEN_PART);
    now.saturating_sub(came + came / 2 + least).max(bytes_max)
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_file_that_is_too_large_shrinks_by_more_than_it_grew() {
        let limit = 1000 * MIB;
        assert_eq!(enough([1100 * MIB, 1100 * MIB], limit), 1090 * MIB, "what came in a rush");
        assert_eq!(enough([1100 * MIB, 1140 * MIB], limit), 1070 * MIB, "while more comes");
        assert_eq!(enough([990 * MIB, 1001 * MIB], limit), limit, "never below the limit");
        assert_eq!(enough([0, 1500 * MIB], limit), limit, "what an earlier process left");
    }
}
