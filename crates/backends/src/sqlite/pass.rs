//! A pass over the dead letters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use hookfleet_domain::DeadLetter;
use hookfleet_queue::{Pass, QueueError, Receipt, Settle, wire};
use rusqlite::{Connection, params};

use super::database::Database;

/// Letters read at once.
const CHUNK: u32 = 200;

/// A pass that holds the lock.
pub struct SqlitePass {
    database: Arc<Database>,
    /// Letters up to here were seen.
    seen: i64,
    /// The last letter that was there when the pass began.
    last: i64,
    chunk: VecDeque<(i64, Vec<u8>)>,
    _lock: Lock,
}

/// There is one process, and in it one pass.
struct Lock(Arc<AtomicBool>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl SqlitePass {
    pub async fn begin(
        database: Arc<Database>,
        passing: Arc<AtomicBool>,
    ) -> Result<Self, QueueError> {
        if passing.swap(true, Ordering::Acquire) {
            return Err(QueueError::PassBusy);
        }
        let lock = Lock(passing);
        let last = |db: &Connection| {
            db.query_row("SELECT ifnull(max(id), 0) FROM dead", [], |row| row.get(0))
        };
        let last = database.read(last).await?;
        Ok(Self { database, seen: 0, last, chunk: VecDeque::new(), _lock: lock })
    }

    async fn read_on(&mut self) -> Result<(), QueueError> {
        let (seen, last) = (self.seen, self.last);
        let letters = "SELECT id, letter FROM dead WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
        let read = move |db: &Connection| {
            let mut letters = db.prepare_cached(letters)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            letters.query_map(params![seen, last, CHUNK], row)?.collect()
        };
        self.chunk = self.database.read(read).await?;
        Ok(())
    }
}

#[async_trait]
impl Pass for SqlitePass {
    async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, QueueError> {
        loop {
            if self.chunk.is_empty() {
                self.read_on().await?;
            }
            let Some((id, bytes)) = self.chunk.pop_front() else {
                return Ok(None);
            };
            self.seen = id;
            match wire::decode_dead_letter(&bytes) {
                Ok(letter) => {
                    let found = Found { id, database: Arc::clone(&self.database) };
                    return Ok(Some((letter, Receipt::new(found))));
                }
                // It stays; whoever can read it will.
                Err(error) => tracing::error!(%error, "row {id} of table dead was passed over"),
            }
        }
    }
}

/// A letter in the hands of a pass; it stays where it is unless it is settled.
struct Found {
    id: i64,
    database: Arc<Database>,
}

#[async_trait]
impl Settle for Found {
    async fn settle(self: Box<Self>) -> Result<(), QueueError> {
        let id = self.id;
        let remove = move |db: &Connection| {
            db.prepare_cached("DELETE FROM dead WHERE id = ?1")?.execute([id])
        };
        self.database.note(remove).await?;
        Ok(())
    }

    fn give_back(self: Box<Self>) {
        // It never left.
    }
}
