//! Leasing: messages are taken in small bunches, as many as there is room for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{Clock, Timestamp};
use hookfleet_queue::{Lease, Leases, Message, QueueError, Receipt, Settle, wire};
use rusqlite::{CachedStatement, Connection, params};
use tokio::sync::{Notify, oneshot, watch};

use super::database::Database;
use super::fault::Fault;
use super::queue::{Hall, Kind, LEASED_MS, LeaseId, Stored};
use super::writer::{Operation, Sureness};

/// Messages of a kind that are taken at once.
const BUNCH: u32 = 64;
/// How long an intake sleeps at most: a clock may be set.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What an intake and its leases share.
struct Intake {
    database: Arc<Database>,
    hall: Arc<Hall>,
    /// Leased and not settled, of each kind.
    unsettled: [AtomicU32; 2],
    room: Notify,
}

/// A message that this process has leased. It comes back unless it is settled.
struct Held {
    lease: LeaseId,
    kind: Kind,
    settled: bool,
    intake: Arc<Intake>,
}

impl Intake {
    fn unsettled(&self, kind: Kind) -> &AtomicU32 {
        let [events, deliveries] = &self.unsettled;
        match kind {
            Kind::Event => events,
            Kind::Delivery => deliveries,
        }
    }
}

impl Held {
    fn new(intake: &Arc<Intake>, kind: Kind, lease: LeaseId) -> Self {
        intake.unsettled(kind).fetch_add(1, Ordering::Relaxed);
        Self { lease, kind, settled: false, intake: Arc::clone(intake) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.intake.unsettled(self.kind).fetch_sub(1, Ordering::Relaxed);
        self.intake.room.notify_one();
        if !self.settled {
            self.intake.hall.give_back(self.lease);
        }
    }
}

#[async_trait]
impl Settle for Held {
    async fn settle(self: Box<Self>) -> Result<(), QueueError> {
        let intake = Arc::clone(&self.intake);
        intake.database.writer()?.submit(Box::new(Settled(*self)));
        Ok(())
    }

    fn give_back(self: Box<Self>) {
        // Dropping it does.
    }
}

/// Removes a message. If that fails, it comes back.
struct Settled(Held);

impl Operation for Settled {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Self(Held { lease, kind, intake, .. }) = self;
        db.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([lease.message])?;
        let bytes = match kind {
            Kind::Event if intake.hall.archive => return Ok(()),
            Kind::Event => "DELETE FROM events WHERE id = ?1",
            Kind::Delivery => "DELETE FROM deliveries_queued WHERE id = ?1",
        };
        db.prepare_cached(bytes)?.execute([lease.message])?;
        Ok(())
    }

    fn end(mut self: Box<Self>, result: Result<(), Fault>) {
        self.0.settled = result.is_ok();
    }

    fn sureness(&self) -> Sureness {
        Sureness::Note
    }
}

/// An intake.
pub struct SqliteLeases {
    intake: Arc<Intake>,
    prefetch: u32,
    clock: Arc<dyn Clock>,
    arrivals: watch::Receiver<()>,
    fetching: Option<oneshot::Receiver<Result<Bunch, Fault>>>,
    fetched: VecDeque<(Held, Stored)>,
}

/// What one fetch found.
struct Bunch {
    messages: Vec<(Held, Stored)>,
    /// When the next one is due, if one waits.
    next_due: Option<Timestamp>,
}

impl SqliteLeases {
    pub fn begin(
        (database, hall, clock): (Arc<Database>, Arc<Hall>, Arc<dyn Clock>),
        prefetch: u16,
    ) -> Self {
        let arrivals = hall.listen();
        let intake =
            Intake { database, hall, unsettled: Default::default(), room: Notify::default() };
        Self {
            intake: Arc::new(intake),
            prefetch: prefetch.max(1).into(),
            clock,
            arrivals,
            fetching: None,
            fetched: VecDeque::new(),
        }
    }

    /// How many of each kind may be leased now.
    fn room(&self) -> [u32; 2] {
        Kind::ALL.map(|kind| {
            let unsettled = self.intake.unsettled(kind).load(Ordering::Relaxed);
            self.prefetch.saturating_sub(unsettled).min(BUNCH)
        })
    }

    /// Until something may be due that there is room for. Cancel-safe.
    async fn sleep(&mut self, room: [u32; 2], next_due: Option<Timestamp>) {
        let sleep = next_due.map(|due| due.since(self.clock.now()));
        let sleep = sleep.unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
        let is_full = room.contains(&0);
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            // The queue lives as long as we do.
            _ = self.arrivals.changed() => {}
            () = self.intake.room.notified(), if is_full => {}
        }
    }

    /// Cancel-safe: what a fetch finds after its caller went away waits for the next call.
    async fn fetch(&mut self, room: [u32; 2]) -> Result<Bunch, QueueError> {
        if self.fetching.is_none() {
            // What arrives from now on may be missed by this fetch.
            self.arrivals.mark_unchanged();
            let (reply, answer) = oneshot::channel();
            let intake = Arc::clone(&self.intake);
            let fetch =
                Fetch { intake, room, now: self.clock.now(), found: Found::default(), reply };
            self.intake.database.writer()?.submit(Box::new(fetch));
            self.fetching = Some(answer);
        }
        let fetched = match &mut self.fetching {
            Some(answer) => answer.await.unwrap_or_else(|_| Err(Fault::closed())),
            None => Err(Fault::closed()),
        };
        self.fetching = None;
        Ok(fetched?)
    }
}

fn read_message(held: Held, stored: Stored) -> Lease {
    let message = match held.kind {
        Kind::Delivery => wire::decode_delivery(stored.body),
        Kind::Event => read_event(stored),
    };
    Lease { message, redeliveries: held.lease.n - 1, receipt: Receipt::new(held) }
}

/// An event, with what was stored beside it.
pub fn read_event(stored: Stored) -> Message {
    let envelope = wire::Envelope {
        idempotency_key: stored.idempotency_key.and_then(|key| key.parse().ok()),
        trace: stored.trace.and_then(|trace| trace.parse().ok()),
        accepted_at: Timestamp::from_unix_ms(stored.accepted_ms),
    };
    wire::decode_event(stored.body, envelope)
}

#[async_trait]
impl Leases for SqliteLeases {
    async fn next(&mut self) -> Result<Lease, QueueError> {
        loop {
            if let Some((held, stored)) = self.fetched.pop_front() {
                return Ok(read_message(held, stored));
            }
            let room = self.room();
            if self.fetching.is_none() && room == [0, 0] {
                self.intake.room.notified().await;
                continue;
            }
            let bunch = self.fetch(room).await?;
            self.fetched.extend(bunch.messages);
            if self.fetched.is_empty() {
                self.sleep(room, bunch.next_due).await;
            }
        }
    }

    async fn close(self: Box<Self>) {
        // Dropping what was fetched gives it back.
    }
}

/// Leases what is due.
struct Fetch {
    intake: Arc<Intake>,
    room: [u32; 2],
    now: Timestamp,
    found: Found,
    reply: oneshot::Sender<Result<Bunch, Fault>>,
}

#[derive(Default)]
struct Found {
    messages: Vec<(Kind, LeaseId, Stored)>,
    next_due_ms: Option<i64>,
    /// Leases whose messages came back, and are due again.
    returned: BTreeSet<LeaseId>,
}

impl Operation for Fetch {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.found = Found::default();
        let returned = self.intake.hall.returned().clone();
        for lease in &returned {
            // Unless another fetch in this transaction did that, and leased it again.
            db.prepare_cached("UPDATE queue SET due_ms = 0 WHERE id = ?1 AND leases = ?2")?
                .execute(params![lease.message, lease.n])?;
        }
        self.found.returned = returned;
        for (kind, room) in Kind::ALL.into_iter().zip(self.room) {
            self.found.lease(db, (kind, room), self.now)?;
        }
        Ok(())
    }

    fn end(self: Box<Self>, result: Result<(), Fault>) {
        let Self { intake, found, reply, .. } = *self;
        let bunch = result.map(|()| {
            intake.hall.returned().retain(|lease| !found.returned.contains(lease));
            let hold = |(kind, lease, stored)| (Held::new(&intake, kind, lease), stored);
            Bunch {
                messages: found.messages.into_iter().map(hold).collect(),
                next_due: found.next_due_ms.map(Timestamp::from_unix_ms),
            }
        });
        // If the intake is gone, dropping the messages gives them back.
        drop(reply.send(bunch));
    }

    fn sureness(&self) -> Sureness {
        Sureness::Note
    }
}

const DUE_EVENTS: &str = "SELECT queue.id, leases, accepted_ms, idempotency_key, trace, body
    FROM queue JOIN events ON events.id = queue.id
    WHERE kind = 0 AND due_ms <= ?1 ORDER BY due_ms, queue.id LIMIT ?2";
const DUE_DELIVERIES: &str = "SELECT queue.id, leases, 0, NULL, NULL, body
    FROM queue JOIN deliveries_queued ON deliveries_queued.id = queue.id
    WHERE kind = 1 AND due_ms <= ?1 ORDER BY due_ms, queue.id LIMIT ?2";
const NEXT_DUE: &str = "SELECT due_ms FROM queue WHERE kind = ?1 AND due_ms > ?2
    ORDER BY due_ms LIMIT 1";

impl Found {
    fn lease(
        &mut self,
        db: &Connection,
        (kind, room): (Kind, u32),
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        if room == 0 {
            return Ok(());
        }
        let due = match kind {
            Kind::Event => DUE_EVENTS,
            Kind::Delivery => DUE_DELIVERIES,
        };
        let found = read(&mut db.prepare_cached(due)?, now, room)?;
        if found.is_empty() {
            let next = db.prepare_cached(NEXT_DUE)?;
            self.next_due_ms = earliest(next, kind, now)?.into_iter().chain(self.next_due_ms).min();
        }
        let mut lease =
            db.prepare_cached("UPDATE queue SET due_ms = ?2, leases = leases + 1 WHERE id = ?1")?;
        for (id, stored) in found {
            lease.execute(params![id.message, LEASED_MS])?;
            self.messages.push((kind, id, stored));
        }
        Ok(())
    }
}

type Row = (LeaseId, Stored);

fn read(due: &mut CachedStatement<'_>, now: Timestamp, room: u32) -> rusqlite::Result<Vec<Row>> {
    let row = |row: &rusqlite::Row<'_>| {
        let stored = Stored::read(row, 2)?;
        Ok((LeaseId { message: row.get(0)?, n: row.get::<_, u32>(1)? + 1 }, stored))
    };
    due.query_map(params![now.unix_ms(), room], row)?.collect()
}

fn earliest(
    mut next: CachedStatement<'_>,
    kind: Kind,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    use rusqlite::OptionalExtension;
    let due_ms =
        next.query_row(params![kind as i64, now.unix_ms()], |row| row.get(0)).optional()?;
    Ok(due_ms.filter(|due_ms| *due_ms != LEASED_MS))
}
