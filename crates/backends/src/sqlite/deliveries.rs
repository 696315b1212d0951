//! The gate, the record, and what became of events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{
    EndpointId, Event, EventId, Generation, Held, Passing, TenantId, Throttle, Timestamp, WorkerId,
};
use hookfleet_store::{
    Beginning, DeliveryStore, Entry, EventStatus, PageRequest, Passage, Planned, Recorded,
    Settlement, Stage, StoreError, WaitReason, kept,
};
use rusqlite::Connection;

use super::attempts::{Lease, Leased};
use super::events;
use super::known::{self, Known};
use super::record::Told;
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

    async fn begin(&self, beginning: &Beginning<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let Beginning { event, deliveries, owner, lease_until } = *beginning;
        let ready = deliveries.iter().filter(|delivery| delivery.ready);
        let key = |to: &Planned| (event.id.clone(), to.endpoint.clone(), Generation::FIRST);
        let lease = Lease { owner: owner.clone(), until: lease_until };
        let leased = self.attempts.lease(ready.map(key).collect(), &lease, now);
        let endpoints: Vec<_> = deliveries.iter().map(|to| to.endpoint.clone()).collect();
        let expires_ms = self.expiry(self.status_ttl);
        let remembered = events::Remembered::new(event, Some(&endpoints), expires_ms);
        let first = self.database.note(move |db| remembered.begin(db)).await?;
        let leased = leased.ok().filter(|_| first);
        Ok(leased.map(Leased::keep).is_some())
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
        let key = (entry.event.clone(), entry.endpoint.clone(), entry.generation);
        let lease = Lease { owner: entry.owner.clone(), until: entry.lease_until };
        let leased = match self.attempts.lease(vec![key], &lease, now) {
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
        let told = Told::of(settlement, self)?;
        let (attempts, attempt) = (Arc::clone(&self.attempts), told.key());
        let successes = Arc::clone(&self.database.successes);
        let record = move |db: &Connection| told.record(db, &successes);
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
