//! The queue: publishing, and what all intakes share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hookfleet_domain::{Clock, Event, Timestamp};
use hookfleet_queue::{
    Archive, Depth, Found, Leases, NewerMessage, Outgoing, Pass, Queue, QueueError, QueueKind,
    RawMessage, Readiness, Search, wire,
};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use super::SqliteOptions;
use super::archive::{self, SqliteArchive};
use super::database::Database;
use super::leases::SqliteLeases;
use super::pass::SqlitePass;
use super::writer::Sureness;

/// When leased messages are due: never.
pub const LEASED_MS: i64 = i64::MAX;

/// What a row of the queue stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Event = 0,
    Delivery = 1,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Event, Self::Delivery];
}

/// One lease of a message: the n-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseId {
    pub message: i64,
    pub n: u32,
}

/// A queue in a SQLite file.
pub struct SqliteQueue {
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
    ids: AtomicI64,
    hall: Arc<Hall>,
    passing: Arc<AtomicBool>,
}

/// Where intakes wait for messages.
pub struct Hall {
    /// Are events kept after they were settled?
    pub archive: bool,
    arrivals: watch::Sender<()>,
    /// Leased messages that came back, and are not yet due again in the file.
    returned: Mutex<BTreeSet<LeaseId>>,
}

impl Hall {
    /// Something is due, or may be sooner than was known.
    pub fn ring(&self) {
        self.arrivals.send_replace(());
    }

    /// Hears it ring.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.arrivals.subscribe()
    }

    /// A leased message comes back.
    pub fn give_back(&self, lease: LeaseId) {
        self.returned().insert(lease);
        self.ring();
    }

    /// Those that came back.
    pub fn returned(&self) -> MutexGuard<'_, BTreeSet<LeaseId>> {
        // The set is whole after any panic: each change to it is one call.
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was leased when the last process ended is due again. Answers the first id that is free.
///
/// Ids are never given twice while a process lives: receipts name messages by them.
pub fn recover(connection: &Connection) -> rusqlite::Result<i64> {
    let recover = "UPDATE queue SET due_ms = 0 WHERE kind IN (0, 1) AND due_ms = ?1";
    connection.execute(recover, [LEASED_MS])?;
    let last = "SELECT max((SELECT ifnull(max(id), 0) FROM queue),
                           (SELECT ifnull(max(id), 0) FROM events),
                           (SELECT ifnull(max(id), 0) FROM deliveries_queued))";
    connection.query_row(last, [], |row| row.get::<_, i64>(0)).map(|last| last + 1)
}

impl SqliteQueue {
    pub(super) fn new(
        database: Arc<Database>,
        next_id: i64,
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let hall = Hall {
            archive: options.retention.archive.is_some(),
            arrivals: watch::Sender::new(()),
            returned: Mutex::default(),
        };
        let (ids, hall, passing) = (AtomicI64::new(next_id), Arc::new(hall), Arc::default());
        Self { database, clock, ids, hall, passing }
    }

    async fn enqueue(&self, kind: Kind, due_ms: i64, message: Stored) -> Result<(), QueueError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let work = move |db: &Connection| {
            match kind {
                Kind::Event => db
                    .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        id,
                        message.accepted_ms,
                        message.idempotency_key,
                        message.trace,
                        message.body
                    ])?,
                Kind::Delivery => db
                    .prepare_cached("INSERT INTO deliveries_queued VALUES (?1, ?2)")?
                    .execute(params![id, message.body])?,
            };
            db.prepare_cached("INSERT INTO queue (id, kind, due_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![id, kind as i64, due_ms])
        };
        let hall = Arc::clone(&self.hall);
        self.database.writer()?.write(Sureness::Promise, work, move |_| hall.ring()).await?;
        Ok(())
    }

    async fn bury(&self, letter: Vec<u8>) -> Result<(), QueueError> {
        let bury = "INSERT INTO dead (letter) VALUES (?1)";
        let work = move |db: &Connection| db.prepare_cached(bury)?.execute([&letter]);
        self.database.promise(work).await?;
        Ok(())
    }
}

/// A message's bytes and what travels beside them.
pub struct Stored {
    pub accepted_ms: i64,
    pub idempotency_key: Option<String>,
    pub trace: Option<String>,
    pub body: Vec<u8>,
}

impl Stored {
    fn event(event: &Event) -> Self {
        Self {
            accepted_ms: event.accepted_at.unix_ms(),
            idempotency_key: event.idempotency_key.as_ref().map(|key| key.as_str().to_owned()),
            trace: event.trace.as_ref().map(|trace| trace.as_str().to_owned()),
            body: wire::encode_event(event),
        }
    }

    fn newer(newer: &NewerMessage) -> (Kind, Self) {
        let body = newer.bytes.clone();
        let Some(envelope) = &newer.event else {
            return (Kind::Delivery, Self::delivery(body));
        };
        let wire::Envelope { idempotency_key, trace, accepted_at } = envelope;
        let event = Self {
            accepted_ms: accepted_at.unix_ms(),
            idempotency_key: idempotency_key.as_ref().map(|key| key.as_str().to_owned()),
            trace: trace.as_ref().map(|trace| trace.as_str().to_owned()),
            body,
        };
        (Kind::Event, event)
    }

    fn raw(raw: &RawMessage, now: Timestamp) -> Self {
        Self {
            accepted_ms: now.unix_ms(),
            idempotency_key: raw.idempotency_key.as_ref().map(|key| key.as_str().to_owned()),
            trace: raw.trace.as_ref().map(|trace| trace.as_str().to_owned()),
            body: raw.bytes.clone(),
        }
    }

    /// Reads what stands in a row from this column on.
    pub fn read(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            accepted_ms: row.get(from)?,
            idempotency_key: row.get(from + 1)?,
            trace: row.get(from + 2)?,
            body: row.get(from + 3)?,
        })
    }

    fn delivery(body: Vec<u8>) -> Self {
        Self { accepted_ms: 0, idempotency_key: None, trace: None, body }
    }
}

/// Read off an index. What came back from the process before is due at 0, and its age unknown.
fn depth(db: &Connection, kind: QueueKind, now: Timestamp) -> rusqlite::Result<Depth> {
    let due = (i64::MIN, now.unix_ms());
    let (of, (from_ms, until_ms)) = match kind {
        QueueKind::Events => (Kind::Event, due),
        QueueKind::Deliveries => (Kind::Delivery, due),
        QueueKind::Delayed => (Kind::Delivery, (now.unix_ms() + 1, LEASED_MS - 1)),
        QueueKind::Dead => {
            let count = "SELECT count(*) FROM dead";
            let messages = db.query_row(count, [], |row| row.get(0))?;
            return Ok(Depth { kind, messages, consumers: None, oldest: None });
        }
    };
    let count = "SELECT count(*), min(nullif(due_ms, 0)) FROM queue
        WHERE kind = ?1 AND due_ms BETWEEN ?2 AND ?3";
    let mut count = db.prepare_cached(count)?;
    let (messages, oldest) = count.query_row(params![of as i64, from_ms, until_ms], |row| {
        Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    let oldest = oldest.filter(|_| kind != QueueKind::Delayed).map(Timestamp::from_unix_ms);
    Ok(Depth { kind, messages, consumers: None, oldest })
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let now = self.clock.now();
        match message {
            Outgoing::Event(event) => {
                self.enqueue(Kind::Event, now.unix_ms(), Stored::event(event)).await
            }
            Outgoing::Raw(raw) => {
                self.enqueue(Kind::Event, now.unix_ms(), Stored::raw(raw, now)).await
            }
            Outgoing::Delivery(delivery, delay) => {
                let due = now.after(std::time::Duration::from(delay));
                let body = wire::encode_delivery(delivery);
                self.enqueue(Kind::Delivery, due.unix_ms(), Stored::delivery(body)).await
            }
            Outgoing::Newer(newer, delay) => {
                let due = now.after(std::time::Duration::from(delay));
                let (kind, stored) = Stored::newer(newer);
                self.enqueue(kind, due.unix_ms(), stored).await
            }
            Outgoing::DeadLetter(letter) => self.bury(wire::encode_dead_letter(letter)).await,
        }
    }

    async fn leases(&self, prefetch: u16) -> Result<Box<dyn Leases>, QueueError> {
        let parts = (Arc::clone(&self.database), Arc::clone(&self.hall), Arc::clone(&self.clock));
        Ok(Box::new(SqliteLeases::begin(parts, prefetch)))
    }

    async fn pass(&self) -> Result<Box<dyn Pass>, QueueError> {
        let pass = SqlitePass::begin(Arc::clone(&self.database), Arc::clone(&self.passing));
        Ok(Box::new(pass.await?))
    }

    async fn archive_since(&self, since: Timestamp) -> Result<Box<dyn Archive>, QueueError> {
        let database = Arc::clone(&self.database);
        Ok(Box::new(SqliteArchive::begin(database, since, self.clock.now())))
    }

    async fn search_archive(&self, search: &Search) -> Result<Found, QueueError> {
        let search = search.clone();
        Ok(self.database.read(move |db| archive::search(db, &search)).await?)
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let now = self.clock.now();
        let read = move |db: &Connection| {
            QueueKind::ALL.map(|kind| depth(db, kind, now)).into_iter().collect()
        };
        Ok(self.database.read(read).await?)
    }

    fn readiness(&self) -> Readiness {
        match self.database.fault() {
            None => Readiness::Ready,
            Some(fault) => Readiness::Blocked(fault.to_string()),
        }
    }
}
