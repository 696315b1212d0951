//! Both ports over one SQLite file: the backend of a single machine.
//!
//! The file is written by one thread of one process (`writer.rs`), in transactions that many callers
//! share. What was promised is flushed to disk before anybody is answered (`synchronous=FULL`): that
//! an event is accepted, that a retry will come, that a letter is kept. Readers stand beside it. Since no other process works on the file, leases live as long as the process: when the file is
//! opened, everything that was leased is due again.
//!
//! What happens once in the process is announced in memory: a message to those who lease, a changed
//! endpoint to those who cache.

mod archive;
mod attempts;
mod changes;
mod database;
mod dead_letters;
mod deliveries;
mod endpoints;
mod events;
mod fault;
mod inspect;
mod intake;
mod jobs;
mod known;
mod leases;
mod pass;
mod processes;
mod queue;
mod record;
mod retention;
mod schema;
mod stats;
mod store;
mod successes;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::Clock;
use hookfleet_store::Sealer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use database::Database;

pub use database::OpenError;
pub use inspect::{Inspection, inspect, inspect_quickly, version};
pub use queue::SqliteQueue;
pub use retention::Retention;
pub use store::SqliteStore;

/// Where the file is and how long it remembers.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The data folder.
    pub folder: PathBuf,
    /// Seals secrets.
    pub sealer: Sealer,
    /// How long an idempotency key is remembered.
    pub dedup_ttl: Duration,
    /// How long it is remembered what became of an event, after it was last heard of.
    pub status_ttl: Duration,
    /// What is kept of what is over.
    pub retention: Retention,
}

/// The two ports of one file.
pub struct Sqlite {
    /// The queue.
    pub queue: Arc<SqliteQueue>,
    /// The store.
    pub store: Arc<SqliteStore>,
    database: Arc<Database>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sqlite {
    /// Opens the file, and begins to keep it small. Needs a runtime.
    pub fn open(options: &SqliteOptions, clock: &Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (database, next_id) = Database::open(&options.folder, queue::recover)?;
        let database = Arc::new(database);
        let queue = SqliteQueue::new(Arc::clone(&database), next_id, options, Arc::clone(clock));
        let store = SqliteStore::new(Arc::clone(&database), options, Arc::clone(clock));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let keeper =
            retention::Keeper::new(Arc::clone(&database), options.retention, Arc::clone(clock));
        tasks.spawn(keeper.run(stop.clone()));
        Ok(Self { queue: Arc::new(queue), store: Arc::new(store), database, tasks, stop })
    }

    /// A store on the file that can be read, beside a process that writes it or alone.
    pub fn open_to_read(
        options: &SqliteOptions,
        clock: &Arc<dyn Clock>,
    ) -> Result<SqliteStore, OpenError> {
        let database = Arc::new(Database::open_to_read(&options.folder)?);
        Ok(SqliteStore::new(database, options, Arc::clone(clock)))
    }

    /// Ends what runs in the background, and waits until everything is written down. The file is
    /// closed when the last port is dropped.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(fault) = self.database.catch_up().await {
            tracing::warn!(error = %fault, "what was settled last will be done again");
        }
    }
}
