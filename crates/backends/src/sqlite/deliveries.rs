//! The gate, the record, and what became of events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{
    AttemptRecord, AttemptSummary, EndpointId, Event, EventId, Generation, Held, Passing, TenantId,
    Throttle, Timestamp, WorkerId, limits,
};
use hookfleet_store::{
    DeliveryStore, Entry, EventStatus, PageRequest, Passage, Recorded, Settlement, Stage,
    StoreError, WaitReason, kept,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::attempts::Key;
use super::events;
use super::known::{self, Known};
use super::store::{SqliteStore, corrupt};
use super::throttle;
use super::writer::Sureness;

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn remember_event(
        &self,
        event: &Event,
        endpoints: Option<&[EndpointId]>,
    ) -> Result<(), StoreError> {
        let remembered = events::Remembered::new(event, endpoints, self.expiry(self.status_ttl));
        Ok(self.database.note_meanwhile(move |db| remembered.write(db))?)
    }

    async fn event_page(
        &self,
        tenant: &TenantId,
        id: &EventId,
        page: &PageRequest,
    ) -> Result<Option<(EventStatus, Option<String>)>, StoreError> {
        // What was just remembered is known at once.
        self.database.catch_up().await?;
        let (tenant, id, page) = (tenant.clone(), id.clone(), page.clone());
        let read = move |db: &Connection| events::status(db, (&tenant, &id), &page);
        let found = self.database.read(read).await?;
        found.transpose().map_err(|error| corrupt("known_events", error))
    }

    async fn enter(&self, entry: &Entry, now: Timestamp) -> Result<Passage, StoreError> {
        let leased = match self.attempts.lease(entry, now) {
            Ok(leased) => leased,
            Err(until) => {
                let until = until.min(now.after(kept::LOOK_AGAIN));
                return Ok(Passage::Wait { until, reason: WaitReason::Leased });
            }
        };
        let (entry, expires_ms) =
            (entry.clone(), self.expiry(entry.lease_until.since(now) + self.status_ttl));
        let passage = self.database.note(move |db| enter(db, &entry, now, expires_ms)).await?;
        if passage == Passage::Go {
            leased.keep();
        }
        Ok(passage)
    }

    async fn record(&self, settlement: &Settlement<'_>) -> Result<Recorded, StoreError> {
        let told = Told {
            event: settlement.event.id.clone(),
            endpoint: settlement.endpoint.clone(),
            generation: settlement.generation,
            made: settlement.attempt.map(Made::of),
            line: settlement.attempt.map(serde_json::to_string).transpose().map_err(unwritable)?,
            stage: settlement.stage,
            now: settlement.now,
            expires_ms: self.expiry(kept::delivery(settlement.stage, self.status_ttl)),
            event_too: kept::delivery(settlement.stage, self.status_ttl) > self.status_ttl,
            attempt_expires_ms: self.expiry(kept::ATTEMPTS),
            health_expires_ms: self.expiry(kept::HEALTH),
        };
        let (attempts, attempt) = (Arc::clone(&self.attempts), told.key());
        let record = move |db: &Connection| told.record(db);
        let ended = move |recorded: &Recorded| {
            // Or somebody else is making it.
            if recorded.first {
                attempts.ended(&attempt);
            }
        };
        Ok(self.database.writer()?.write(Sureness::Note, record, ended).await?)
    }

    async fn reopen(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError> {
        self.restage((event, endpoint), generation, Stage::Pending).await
    }

    async fn discard(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError> {
        self.restage((event, endpoint), generation, Stage::Discarded).await
    }

    async fn broken_endpoints(
        &self,
        max: usize,
    ) -> Result<Vec<(EndpointId, Timestamp)>, StoreError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let read = move |db: &Connection| {
            let list = "SELECT endpoint, open_ms FROM health WHERE open_ms IS NOT NULL
                ORDER BY failure_ms DESC LIMIT ?1";
            let mut list = db.prepare_cached(list)?;
            let rows = list.query_map([max], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()
        };
        // What was just recorded is known at once.
        self.database.catch_up().await?;
        let broken = self.database.read(read).await?.into_iter().map(|(id, until)| {
            let id = id.parse().map_err(|error| corrupt("health", error))?;
            Ok((id, Timestamp::from_unix_ms(until)))
        });
        broken.collect()
    }

    async fn still_alive(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.attempts.sign(worker);
        Ok(())
    }
}

fn unwritable(error: serde_json::Error) -> StoreError {
    corrupt("attempts", error)
}

impl SqliteStore {
    async fn restage(
        &self,
        (event, endpoint): (&EventId, &EndpointId),
        generation: Generation,
        stage: Stage,
    ) -> Result<(), StoreError> {
        let (event, endpoint) = (event.clone(), endpoint.clone());
        let expires_ms = self.expiry(kept::DEAD);
        let restage = move |db: &Connection| {
            let key = (event.as_str(), endpoint.as_str());
            let before = known::find(db, key)?;
            if before.as_ref().is_some_and(|known| known.generation > Some(generation)) {
                return Ok(());
            }
            let known = before.filter(|known| known.generation == Some(generation));
            // Its worker was quicker; or a success came after it was given up, and stays.
            let settled = known
                .as_ref()
                .is_some_and(|known| stage == Stage::Pending || known.stage == Stage::Delivered);
            if settled {
                return Ok(());
            }
            let known = known.unwrap_or_else(|| Known::fresh(Some(generation), expires_ms));
            known::put(db, key, &Known { stage, expires_ms, ..known })
        };
        Ok(self.database.note(restage).await?)
    }
}

/// Of one that nobody was at the gate with before, nothing need be written.
fn enter(
    db: &Connection,
    entry: &Entry,
    now: Timestamp,
    expires_ms: i64,
) -> rusqlite::Result<Passage> {
    let key = (entry.event.as_str(), entry.endpoint.as_str());
    let first = entry.generation == Generation::FIRST && entry.attempt.index() == 0;
    if first && entry.rate.is_none() && known::is_new(db, key)? {
        return Ok(Passage::Go);
    }
    let known = known::find(db, key)?;
    if known.as_ref().is_some_and(|known| !known.is_open(entry)) {
        return Ok(Passage::Skip);
    }
    let known = known.filter(|known| known.generation == Some(entry.generation));
    let fresh = || Known::fresh(Some(entry.generation), expires_ms);
    let known = known.map_or_else(fresh, |known| Known { expires_ms, ..known });
    let held = hold(db, entry, known.reserved, now)?;
    known::put(db, key, &entered(&known, entry, now, held))?;
    Ok(match held {
        None => Passage::Go,
        Some(Held::Breaker(until)) => Passage::Wait { until, reason: WaitReason::Breaker },
        Some(Held::Rate(until)) => Passage::Wait { until, reason: WaitReason::Rate },
    })
}

/// A delivery that was at the gate: let through, or held.
fn entered(known: &Known, entry: &Entry, now: Timestamp, held: Option<Held>) -> Known {
    let first = entry.attempt.index() == 0;
    let (waits, reserved) = match held {
        None => (Duration::ZERO, None),
        Some(Held::Breaker(until)) => (until.since(now), None),
        Some(Held::Rate(until)) => (until.since(now), Some(until)),
    };
    Known {
        generation: known.generation,
        attempt: known.attempt,
        stage: if first { Stage::Pending } else { Stage::Retrying },
        http_status: known.http_status,
        updated_ms: Some(now.unix_ms()),
        expires_ms: known.expires_ms.saturating_add(i64::try_from(waits.as_millis()).unwrap_or(0)),
        reserved,
    }
}

/// The breaker and the rate that it may be held by; who asks for neither costs nothing here.
fn throttle_of(db: &Connection, entry: &Entry) -> rusqlite::Result<Throttle> {
    if entry.rate.is_none() && entry.patient_until.is_none() {
        return Ok(Throttle::default());
    }
    throttle::find(db, entry.endpoint.as_str())
}

/// Do breaker and rate hold it?
fn hold(
    db: &Connection,
    entry: &Entry,
    reserved: Option<Timestamp>,
    now: Timestamp,
) -> rusqlite::Result<Option<Held>> {
    let Entry { rate, patient_until, lease_until, .. } = *entry;
    let before = throttle_of(db, entry)?;
    let mut after = before;
    let held = after.pass(&Passing { rate, reserved, patient_until, lease_until }, now).err();
    if after != before || held.is_some() {
        let expires_ms = now.after(kept::HEALTH).unix_ms();
        let counted = (held.is_some().into(), expires_ms);
        throttle::put(db, entry.endpoint.as_str(), &after, counted)?;
    }
    Ok(held)
}

/// What of an attempt is written beside its line in the log.
#[derive(Clone, Copy)]
struct Made {
    attempt: u32,
    success: bool,
    http_status: Option<u16>,
}

impl Made {
    fn of(record: &AttemptRecord) -> Self {
        let AttemptSummary { attempt, http_status, .. } = &record.summary;
        Self { attempt: attempt.get(), success: record.success, http_status: *http_status }
    }
}

/// A settlement that can be sent to the writer.
struct Told {
    event: EventId,
    endpoint: EndpointId,
    generation: Generation,
    made: Option<Made>,
    line: Option<String>,
    stage: Stage,
    now: Timestamp,
    expires_ms: i64,
    /// The event must be remembered for as long as its delivery is.
    event_too: bool,
    attempt_expires_ms: i64,
    health_expires_ms: i64,
}

impl Told {
    fn key(&self) -> Key {
        (self.event.clone(), self.endpoint.clone(), self.generation)
    }

    fn record(&self, db: &Connection) -> rusqlite::Result<Recorded> {
        if !self.settle(db)? {
            return Ok(Recorded { first: false, failure_count: self.failing(db)? });
        }
        if self.event_too {
            events::keep(db, &self.event, self.expires_ms)?;
        }
        let failure_count = match &self.line {
            Some(line) => self.count(db, line)?,
            None => self.failing(db)?,
        };
        Ok(Recorded { first: true, failure_count })
    }

    /// Where the delivery stands now; false: all of this was known before.
    fn settle(&self, db: &Connection) -> rusqlite::Result<bool> {
        let key = (self.event.as_str(), self.endpoint.as_str());
        let fresh = Known::fresh(Some(self.generation), 0);
        if self.made.is_some_and(|made| made.success)
            && known::settle_planned(db, key, &self.settled(&fresh))?
        {
            return Ok(true);
        }
        let known = known::find(db, key)?;
        let told = known::Told {
            generation: self.generation,
            attempt: self.made.map(|made| (made.attempt, made.success)),
        };
        if known.as_ref().is_some_and(|known| known.knows(told)) {
            return Ok(false);
        }
        let known = known.filter(|known| known.generation == Some(self.generation));
        known::put(db, key, &self.settled(&known.unwrap_or(fresh)))?;
        Ok(true)
    }

    fn settled(&self, known: &Known) -> Known {
        Known {
            generation: known.generation,
            attempt: self.made.map_or(known.attempt, |made| known.attempt.max(made.attempt)),
            stage: self.stage,
            http_status: self.made.map_or(known.http_status, |made| made.http_status),
            reserved: None,
            updated_ms: Some(self.now.unix_ms()),
            expires_ms: self.expires_ms,
        }
    }

    fn failing(&self, db: &Connection) -> rusqlite::Result<u64> {
        let failing = "SELECT failing FROM health WHERE endpoint = ?1";
        let failing =
            db.prepare_cached(failing)?.query_row([self.endpoint.as_str()], |row| row.get(0));
        Ok(failing.optional()?.unwrap_or(0))
    }

    /// Counts the attempt, and writes it into the endpoint's log.
    fn count(&self, db: &Connection, line: &str) -> rusqlite::Result<u64> {
        let failures = if self.goes_on(db)? { 0 } else { self.turns(db)? };
        let log = "INSERT OR REPLACE INTO attempts
            SELECT endpoint, (successes + failures) % ?2, successes + failures, ?3, ?4
            FROM health WHERE endpoint = ?1";
        let kept = limits::ATTEMPTS_KEPT_MAX as u64;
        let values = params![self.endpoint.as_str(), kept, self.attempt_expires_ms, line];
        db.prepare_cached(log)?.execute(values)?;
        Ok(failures)
    }

    /// A success after a success, as most are, in one statement. False: it is none.
    fn goes_on(&self, db: &Connection) -> rusqlite::Result<bool> {
        if !self.made.is_some_and(|made| made.success) {
            return Ok(false);
        }
        let count = "UPDATE health SET successes = successes + 1, success_ms = ?2, expires_ms = ?3
            WHERE endpoint = ?1 AND failing = 0";
        let values = params![self.endpoint.as_str(), self.now.unix_ms(), self.health_expires_ms];
        Ok(db.prepare_cached(count)?.execute(values)? > 0)
    }

    /// A first attempt, a failure, or a success after failures, and what it means to the breaker.
    fn turns(&self, db: &Connection) -> rusqlite::Result<u64> {
        let success = self.made.is_some_and(|made| made.success);
        let endpoint = self.endpoint.as_str();
        let failing_before = self.failing(db)?;
        let failing = if success { 0 } else { failing_before + 1 };
        let count = if success {
            "INSERT INTO health
               (endpoint, failing, successes, failures, success_ms, failure_ms, expires_ms)
             VALUES (?1, ?4, 1, 0, ?2, NULL, ?3)
             ON CONFLICT (endpoint) DO UPDATE SET failing = ?4, successes = successes + 1,
               success_ms = excluded.success_ms, expires_ms = excluded.expires_ms"
        } else {
            "INSERT INTO health
               (endpoint, failing, successes, failures, success_ms, failure_ms, expires_ms)
             VALUES (?1, ?4, 0, 1, NULL, ?2, ?3)
             ON CONFLICT (endpoint) DO UPDATE SET failing = ?4, failures = failures + 1,
               failure_ms = excluded.failure_ms, expires_ms = excluded.expires_ms"
        };
        let values = params![endpoint, self.now.unix_ms(), self.health_expires_ms, failing];
        db.prepare_cached(count)?.execute(values)?;
        let before = throttle::find(db, endpoint)?;
        let mut after = before;
        if success {
            after.succeeded();
        } else {
            after.failed(failing, self.now);
        }
        if after != before {
            throttle::put(db, endpoint, &after, (0, self.health_expires_ms))?;
        }
        Ok(if success { failing_before } else { failing })
    }
}
