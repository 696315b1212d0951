//! What follows from an attempt: where its delivery stands, its endpoint's counts, log and breaker.

use hookfleet_domain::{
    AttemptRecord, AttemptSummary, EndpointId, EventId, Generation, Timestamp, limits,
};
use hookfleet_store::{Recorded, Settlement, Stage, StoreError, kept};
use rusqlite::{Connection, OptionalExtension, params};

use super::attempts::Key;
use super::events;
use super::known::{self, Known};
use super::store::{SqliteStore, corrupt};
use super::successes::{Success, Successes};
use super::throttle;

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
pub struct Told {
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
    pub fn of(settlement: &Settlement<'_>, store: &SqliteStore) -> Result<Self, StoreError> {
        let unwritable = |error| corrupt("attempts", error);
        let kept = kept::delivery(settlement.stage, store.status_ttl);
        Ok(Self {
            event: settlement.event.id.clone(),
            endpoint: settlement.endpoint.clone(),
            generation: settlement.generation,
            made: settlement.attempt.map(Made::of),
            line: settlement.attempt.map(serde_json::to_string).transpose().map_err(unwritable)?,
            stage: settlement.stage,
            now: settlement.now,
            expires_ms: store.expiry(kept),
            event_too: kept > store.status_ttl,
            attempt_expires_ms: store.expiry(kept::ATTEMPTS),
            health_expires_ms: store.expiry(kept::HEALTH),
        })
    }

    pub fn key(&self) -> Key {
        (self.event.clone(), self.endpoint.clone(), self.generation)
    }

    /// Writes all that follows from it, but what may be gathered.
    pub fn record(&self, db: &Connection, successes: &Successes) -> rusqlite::Result<Recorded> {
        if !self.settle(db)? {
            return Ok(Recorded { first: false, failure_count: self.failing(db)? });
        }
        if self.event_too {
            events::keep(db, &self.event, self.expires_ms)?;
        }
        let failure_count = match &self.line {
            Some(line) => self.count(db, successes, line)?,
            None => self.failing(db)?,
        };
        Ok(Recorded { first: true, failure_count })
    }

    /// Where the delivery stands now; false: all of this was known before.
    fn settle(&self, db: &Connection) -> rusqlite::Result<bool> {
        let key = (self.event.as_str(), self.endpoint.as_str());
        let fresh = Known::fresh(Some(self.generation), 0);
        if self.made.is_some_and(|made| made.success)
            && known::settle_new(db, key, &self.settled(&fresh))?
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
    fn count(&self, db: &Connection, successes: &Successes, line: &str) -> rusqlite::Result<u64> {
        let success = self.made.is_some_and(|made| made.success);
        if !success {
            successes.is_not_well(db, &self.endpoint)?;
        } else if successes.gather(db, &self.success(line))? {
            return Ok(0);
        }
        let failures = self.turns(db)?;
        let log = "INSERT OR REPLACE INTO attempts
            SELECT endpoint, (successes + failures) % ?2, successes + failures, ?3, ?4
            FROM health WHERE endpoint = ?1";
        let kept = limits::ATTEMPTS_KEPT_MAX as u64;
        let values = params![self.endpoint.as_str(), kept, self.attempt_expires_ms, line];
        db.prepare_cached(log)?.execute(values)?;
        if success {
            successes.is_well(&self.endpoint);
        }
        Ok(failures)
    }

    fn success(&self, line: &str) -> Success {
        Success {
            endpoint: self.endpoint.clone(),
            at: self.now,
            line: line.to_owned(),
            line_expires_ms: self.attempt_expires_ms,
            health_expires_ms: self.health_expires_ms,
        }
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
