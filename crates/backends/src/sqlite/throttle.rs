//! An endpoint's breaker and rate, read and written; `hookfleet_domain::Throttle` decides.

use hookfleet_domain::{Throttle, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Reads where they stand.
pub fn find(db: &Connection, endpoint: &str) -> rusqlite::Result<Throttle> {
    let find = "SELECT open_ms, openings, probe_ms, slot_ms, next_us FROM health
        WHERE endpoint = ?1";
    let time = |row: &Row<'_>, n| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(n)?.map(Timestamp::from_unix_ms))
    };
    let read = |row: &Row<'_>| {
        Ok(Throttle {
            open_until: time(row, 0)?,
            openings: row.get(1)?,
            probe_until: time(row, 2)?,
            slot: time(row, 3)?,
            next_us: row.get(4)?,
        })
    };
    let found = db.prepare_cached(find)?.query_row([endpoint], read).optional()?;
    Ok(found.unwrap_or_default())
}

/// Writes where they stand now; `held` counts one more delivery that was put off.
pub fn put(
    db: &Connection,
    endpoint: &str,
    throttle: &Throttle,
    (held, expires_ms): (u32, i64),
) -> rusqlite::Result<()> {
    let put = "INSERT INTO health
          (endpoint, failing, successes, failures, expires_ms,
           open_ms, openings, probe_ms, slot_ms, next_us, deferred)
        VALUES (?1, 0, 0, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (endpoint) DO UPDATE SET expires_ms = excluded.expires_ms,
          open_ms = excluded.open_ms, openings = excluded.openings, probe_ms = excluded.probe_ms,
          slot_ms = excluded.slot_ms, next_us = excluded.next_us,
          deferred = deferred + excluded.deferred";
    db.prepare_cached(put)?.execute(params![
        endpoint,
        expires_ms,
        throttle.open_until.map(Timestamp::unix_ms),
        throttle.openings,
        throttle.probe_until.map(Timestamp::unix_ms),
        throttle.slot.map(Timestamp::unix_ms),
        throttle.next_us,
        held,
    ])?;
    Ok(())
}
