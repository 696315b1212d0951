//! What is known of one delivery, and how that changes: decided here, read and written beside.

use hookfleet_domain::{Generation, Timestamp};
use hookfleet_store::{Entry, Stage};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

/// A row of `deliveries`, apart from its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// None: it is planned, and no worker was at its gate yet.
    pub generation: Option<Generation>,
    /// The last attempt that was settled; 0: none.
    pub attempt: u32,
    pub stage: Stage,
    pub http_status: Option<u16>,
    pub lease: Option<Lease>,
    pub updated_ms: Option<i64>,
    pub expires_ms: i64,
    /// The time that the endpoint's rate has for it.
    pub reserved: Option<Timestamp>,
}

/// Who makes an attempt, and until when it will have made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub owner: String,
    pub until: Timestamp,
}

/// What the gate says of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    Go,
    Skip,
    Leased(Lease),
}

impl Known {
    /// A delivery that was just heard of.
    pub fn fresh(generation: Option<Generation>, expires_ms: i64) -> Self {
        Self {
            generation,
            attempt: 0,
            stage: Stage::Pending,
            http_status: None,
            lease: None,
            updated_ms: None,
            expires_ms,
            reserved: None,
        }
    }

    /// May this attempt be made? An owner's own lease counts, too: the attempt is still being made
    /// in that process.
    pub fn gate(&self, entry: &Entry, now: Timestamp, is_alive: impl Fn(&str) -> bool) -> Gate {
        if self.generation > Some(entry.generation) {
            return Gate::Skip;
        }
        if self.generation < Some(entry.generation) {
            return Gate::Go;
        }
        match self.stage {
            Stage::Delivered | Stage::Dead | Stage::Discarded => return Gate::Skip,
            Stage::Pending | Stage::Retrying => {}
        }
        if self.attempt >= entry.attempt.get() {
            return Gate::Skip;
        }
        match &self.lease {
            Some(lease) if lease.until > now && is_alive(&lease.owner) => {
                Gate::Leased(lease.clone())
            }
            Some(_) | None => Gate::Go,
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

/// Leases a delivery that is only planned, as most are when they come, in one statement. False: it is not.
pub fn lease_planned(
    db: &Connection,
    (event, endpoint): Key<'_>,
    known: &Known,
) -> rusqlite::Result<bool> {
    let lease =
        "UPDATE deliveries SET generation = ?3, stage = ?4, owner = ?5, lease_until_ms = ?6,
            updated_ms = ?7, expires_ms = ?8
        WHERE event = ?1 AND endpoint = ?2 AND generation IS NULL";
    let leased = db.prepare_cached(lease)?.execute(params![
        event,
        endpoint,
        known.generation.map(Generation::get),
        known.stage.label(),
        known.lease.as_ref().map(|lease| lease.owner.as_str()),
        known.lease.as_ref().map(|lease| lease.until.unix_ms()),
        known.updated_ms,
        known.expires_ms,
    ])?;
    Ok(leased > 0)
}

/// Settles a delivery that was leased and no more, as most were, in one statement. False: it was not.
pub fn settle_leased(
    db: &Connection,
    (event, endpoint): Key<'_>,
    known: &Known,
) -> rusqlite::Result<bool> {
    let settle = "UPDATE deliveries SET attempt = ?4, stage = ?5, http_status = ?6, owner = NULL,
            lease_until_ms = NULL, updated_ms = ?7, expires_ms = ?8, reserved_ms = NULL
        WHERE event = ?1 AND endpoint = ?2 AND generation = ?3 AND attempt = 0 AND stage = ?9";
    let settled = db.prepare_cached(settle)?.execute(params![
        event,
        endpoint,
        known.generation.map(Generation::get),
        known.attempt,
        known.stage.label(),
        known.http_status,
        known.updated_ms,
        known.expires_ms,
        Stage::Pending.label(),
    ])?;
    Ok(settled > 0)
}

/// Reads what is known of a delivery.
pub fn find(db: &Connection, (event, endpoint): Key<'_>) -> rusqlite::Result<Option<Known>> {
    let find = "SELECT generation, attempt, stage, http_status, owner, lease_until_ms, updated_ms,
            expires_ms, reserved_ms
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
    let lease = match (row.get(from + 4)?, row.get(from + 5)?) {
        (Some(owner), Some(until)) => Some(Lease { owner, until: Timestamp::from_unix_ms(until) }),
        (None::<String>, _) | (_, None::<i64>) => None,
    };
    Ok(Known {
        generation: row.get::<_, Option<u32>>(from)?.map(Generation::new),
        attempt: row.get(from + 1)?,
        stage: Stage::from_label(&stage).ok_or_else(unknown)?,
        http_status: row.get(from + 3)?,
        lease,
        updated_ms: row.get(from + 6)?,
        expires_ms: row.get(from + 7)?,
        reserved: row.get::<_, Option<i64>>(from + 8)?.map(Timestamp::from_unix_ms),
    })
}

/// Writes what is known of a delivery.
pub fn put(db: &Connection, (event, endpoint): Key<'_>, known: &Known) -> rusqlite::Result<()> {
    let put =
        "INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    db.prepare_cached(put)?.execute(params![
        event,
        endpoint,
        known.generation.map(Generation::get),
        known.attempt,
        known.stage.label(),
        known.http_status,
        known.lease.as_ref().map(|lease| lease.owner.as_str()),
        known.lease.as_ref().map(|lease| lease.until.unix_ms()),
        known.updated_ms,
        known.expires_ms,
        known.reserved.map(Timestamp::unix_ms),
    ])?;
    Ok(())
}
