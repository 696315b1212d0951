//! What is known of one delivery, and how that changes: decided here, read and written beside.

use hookfleet_domain::{Generation, Timestamp};
use hookfleet_store::{Entry, Stage};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

/// A row of `deliveries`, apart from its key, and from `owner` and `lease_until_ms`, which earlier releases
/// wrote: who makes an attempt is known in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// None: it is planned, and no worker was at its gate yet.
    pub generation: Option<Generation>,
    /// The last attempt that was settled; 0: none.
    pub attempt: u32,
    pub stage: Stage,
    pub http_status: Option<u16>,
    pub updated_ms: Option<i64>,
    pub expires_ms: i64,
    /// The time that the endpoint's rate has for it.
    pub reserved: Option<Timestamp>,
}

impl Known {
    /// A delivery that was just heard of.
    pub fn fresh(generation: Option<Generation>, expires_ms: i64) -> Self {
        Self {
            generation,
            attempt: 0,
            stage: Stage::Pending,
            http_status: None,
            updated_ms: None,
            expires_ms,
            reserved: None,
        }
    }

    /// Is there anything left to attempt?
    pub fn is_open(&self, entry: &Entry) -> bool {
        if self.generation != Some(entry.generation) {
            return self.generation < Some(entry.generation);
        }
        match self.stage {
            Stage::Delivered | Stage::Dead | Stage::Discarded => false,
            Stage::Pending | Stage::Retrying => self.attempt < entry.attempt.get(),
        }
    }

    /// Was all that this tells recorded before, or is it of an older generation?
    pub fn knows(&self, told: Told) -> bool {
        if self.generation != Some(told.generation) {
            return self.generation > Some(told.generation);
        }
        let success = told.attempt.is_some_and(|(_, success)| success);
        match self.stage {
            Stage::Delivered => true,
            // A success settles its delivery even after another worker's failure was recorded.
            Stage::Dead | Stage::Discarded => !success,
            Stage::Pending | Stage::Retrying => {
                !success && told.attempt.is_some_and(|(attempt, _)| self.attempt >= attempt)
            }
        }
    }
}

/// What a settlement tells of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    pub generation: Generation,
    /// Which attempt was made, and whether it was a success; none: it was given up without one.
    pub attempt: Option<(u32, bool)>,
}

/// Names one delivery: event and endpoint.
pub type Key<'a> = (&'a str, &'a str);

/// Was no worker at its gate yet, and is its endpoint's breaker closed? So it is with most.
pub fn is_new(db: &Connection, (event, endpoint): Key<'_>) -> rusqlite::Result<bool> {
    let is_new = "SELECT NOT EXISTS (SELECT 1 FROM deliveries
              WHERE event = ?1 AND endpoint = ?2 AND generation IS NOT NULL)
          AND NOT EXISTS (SELECT 1 FROM health WHERE endpoint = ?2 AND open_ms IS NOT NULL)";
    db.prepare_cached(is_new)?.query_row([event, endpoint], |row| row.get(0))
}

/// Settles a delivery of which no more is known than that it is to come, as most are, in one statement.
/// False: more is known.
pub fn settle_new(
    db: &Connection,
    (event, endpoint): Key<'_>,
    known: &Known,
) -> rusqlite::Result<bool> {
    let settle = "INSERT INTO deliveries (event, endpoint, generation, attempt, stage,
            http_status, updated_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (event, endpoint) DO UPDATE SET generation = excluded.generation,
            attempt = excluded.attempt, stage = excluded.stage,
            http_status = excluded.http_status, updated_ms = excluded.updated_ms,
            expires_ms = excluded.expires_ms
        WHERE generation IS NULL";
    let settled = db.prepare_cached(settle)?.execute(params![
        event,
        endpoint,
        known.generation.map(Generation::get),
        known.attempt,
        known.stage.label(),
        known.http_status,
        known.updated_ms,
        known.expires_ms,
    ])?;
    Ok(settled > 0)
}

/// Reads what is known of a delivery.
pub fn find(db: &Connection, (event, endpoint): Key<'_>) -> rusqlite::Result<Option<Known>> {
    let find = "SELECT generation, attempt, stage, http_status, updated_ms, expires_ms, reserved_ms
        FROM deliveries WHERE event = ?1 AND endpoint = ?2";
    db.prepare_cached(find)?.query_row([event, endpoint], |row| read(row, 0)).optional()
}

/// Reads what stands in a row from this column on.
pub fn read(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Known> {
    let stage: String = row.get(from + 2)?;
    let unknown = || {
        let why = format!("stage {stage:?} is unknown").into();
        rusqlite::Error::FromSqlConversionFailure(from + 2, Type::Text, why)
    };
    Ok(Known {
        generation: row.get::<_, Option<u32>>(from)?.map(Generation::new),
        attempt: row.get(from + 1)?,
        stage: Stage::from_label(&stage).ok_or_else(unknown)?,
        http_status: row.get(from + 3)?,
        updated_ms: row.get(from + 4)?,
        expires_ms: row.get(from + 5)?,
        reserved: row.get::<_, Option<i64>>(from + 6)?.map(Timestamp::from_unix_ms),
    })
}

/// Writes what is known of a delivery.
pub fn put(db: &Connection, (event, endpoint): Key<'_>, known: &Known) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO deliveries (event, endpoint, generation, attempt, stage,
            http_status, updated_ms, expires_ms, reserved_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    db.prepare_cached(put)?.execute(params![
        event,
        endpoint,
        known.generation.map(Generation::get),
        known.attempt,
        known.stage.label(),
        known.http_status,
        known.updated_ms,
        known.expires_ms,
        known.reserved.map(Timestamp::unix_ms),
    ])?;
    Ok(())
}
