//! What SQLite and client allow together: a straight loop that takes messages out of a file in
//! batches, signs, sends and removes, and nothing else. A cycle is one transaction, flushed to disk,
//! that removes what was sent and leases what comes next; meanwhile the batch before is sent.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, params};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::floor::Deliverer;
use super::process::Usage;
use super::receiver::Receiver;
use super::report::Floor;
use crate::args::BenchArgs;
use crate::failure::Failure;

/// Messages that are leased at once.
const BATCH: u32 = 256;

/// Runs it over a file of its own, in a folder that is removed again. Each message goes out so many
/// times.
pub async fn run(
    (receiver, fan_out): (&Receiver, u64),
    arguments: &BenchArgs,
) -> Result<Floor, Failure> {
    let folder = arguments.floor_dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("hookfleet-bench-{:08x}", rand::random::<u32>()));
    let made = std::fs::create_dir_all(&folder);
    made.map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    // However it ends.
    let folder = Folder(folder);
    let messages = (arguments.backlog / fan_out).max(1);
    let (file, body_bytes) = (folder.0.join("floor.db"), arguments.body_bytes);
    let filled = spawn_blocking(move || Queue::filled(&file, messages, body_bytes)).await;
    let queue = filled.map_err(Failure::failed)?.map_err(Failure::failed)?;
    let sending = Sending {
        deliverer: Arc::new(Deliverer::new((receiver, fan_out), arguments, None)?),
        slots: Arc::new(Semaphore::new(arguments.in_flight)),
    };
    let usage = Usage::of(&arguments.processes);
    let begun = Instant::now();
    let sent = sending.all_of(queue).await?;
    if sent != messages {
        return Err(Failure::failed(format!("{sent} of {messages} messages came out of the file")));
    }
    let (deliveries, took) = (messages * fan_out, begun.elapsed());
    Ok(Floor::new(deliveries, took, usage.until_now(&arguments.processes, deliveries)))
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

type Message = (i64, Bytes);

/// The file.
struct Queue(Connection);

impl Queue {
    fn filled(file: &Path, messages: u64, body_bytes: usize) -> rusqlite::Result<Self> {
        let mut db = Connection::open(file)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE queue (id INTEGER PRIMARY KEY, due INTEGER NOT NULL, body BLOB NOT NULL);
             CREATE INDEX queue_due ON queue (due, id);",
        )?;
        let filling = db.transaction()?;
        let body = "x".repeat(body_bytes);
        for _ in 0..messages {
            filling
                .prepare_cached("INSERT INTO queue (due, body) VALUES (0, ?1)")?
                .execute([body.as_bytes()])?;
        }
        filling.commit()?;
        Ok(Self(db))
    }

    /// Removes these, leases the next.
    fn cycle(&mut self, done: &[i64]) -> rusqlite::Result<Vec<Message>> {
        let cycle = self.0.transaction()?;
        for id in done {
            cycle.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([id])?;
        }
        let leased = {
            let mut due = cycle
                .prepare_cached("SELECT id, body FROM queue WHERE due = 0 ORDER BY id LIMIT ?1")?;
            let message =
                |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Bytes::from(row.get::<_, Vec<u8>>(1)?)));
            due.query_map([BATCH], message)?.collect::<rusqlite::Result<Vec<_>>>()?
        };
        for (id, _) in &leased {
            cycle.prepare_cached("UPDATE queue SET due = 1 WHERE id = ?1")?.execute(params![id])?;
        }
        cycle.commit()?;
        Ok(leased)
    }
}

/// Sends batches.
struct Sending {
    deliverer: Arc<Deliverer>,
    slots: Arc<Semaphore>,
}

impl Sending {
    /// Two batches are under way, so that there is always something to send: how many messages were
    /// sent in all.
    async fn all_of(&self, mut queue: Queue) -> Result<u64, Failure> {
        let (mut sent, mut done) = (0, Vec::new());
        let mut before = JoinSet::new();
        loop {
            let cycled = spawn_blocking(move || {
                let leased = queue.cycle(&done);
                (queue, leased)
            });
            let (back, leased) = cycled.await.map_err(Failure::failed)?;
            let leased = leased.map_err(Failure::failed)?;
            queue = back;
            let under_way = self.begin(leased);
            done = ended(std::mem::replace(&mut before, under_way)).await?;
            sent += done.len() as u64;
            if done.is_empty() && before.is_empty() {
                return Ok(sent);
            }
        }
    }

    fn begin(&self, batch: Vec<Message>) -> JoinSet<Result<i64, Failure>> {
        let mut tasks = JoinSet::new();
        for (id, body) in batch {
            let (deliverer, slots) = (Arc::clone(&self.deliverer), Arc::clone(&self.slots));
            tasks.spawn(async move {
                let slots = slots.acquire_many(deliverer.slots()).await;
                let _slots = slots.map_err(Failure::failed)?;
                deliverer.deliver(id.unsigned_abs(), body).await?;
                Ok(id)
            });
        }
        tasks
    }
}

async fn ended(mut batch: JoinSet<Result<i64, Failure>>) -> Result<Vec<i64>, Failure> {
    let mut done = Vec::with_capacity(batch.len());
    while let Some(sent) = batch.join_next().await {
        done.push(sent.map_err(Failure::failed)??);
    }
    Ok(done)
}
