//! Events that are known, and what became of them.

use std::collections::BTreeMap;

use hookfleet_domain::{EndpointId, Event, EventId, Generation, InvalidName, TenantId, Timestamp};
use hookfleet_store::{EventStatus, Page, PageRequest, Progress};
use rusqlite::{Connection, OptionalExtension, params};

use super::known;
use super::store::time;

/// Remembers an event, in addition to what was remembered before.
const REMEMBER: &str = "INSERT INTO known_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (event) DO UPDATE SET fanned_out = max(fanned_out, excluded.fanned_out),
      expires_ms = max(expires_ms, excluded.expires_ms)";
/// Remembers an event and whom it is for, unless the latter was known.
const BEGIN: &str = "INSERT INTO known_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (event) DO UPDATE SET fanned_out = 1, endpoints = excluded.endpoints,
      expires_ms = max(expires_ms, excluded.expires_ms)
    WHERE fanned_out = 0";

/// An event to be remembered.
pub struct Remembered {
    id: EventId,
    tenant: String,
    event_type: String,
    project: Option<String>,
    times_ms: [i64; 3],
    endpoints: Option<Vec<EndpointId>>,
}

impl Remembered {
    pub fn new(event: &Event, endpoints: Option<&[EndpointId]>, expires_ms: i64) -> Self {
        Self {
            id: event.id.clone(),
            tenant: event.tenant.as_str().to_owned(),
            event_type: event.event_type.as_str().to_owned(),
            project: event.project.as_ref().map(|project| project.as_str().to_owned()),
            times_ms: [event.timestamp.unix_ms(), event.accepted_at.unix_ms(), expires_ms],
            endpoints: endpoints.map(<[_]>::to_vec),
        }
    }

    /// Remembers it, and those that it is for in addition to those remembered before.
    pub fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        self.insert(db, REMEMBER, (self.endpoints.is_some(), None))?;
        let mut plan = db.prepare_cached(
            "INSERT OR IGNORE INTO deliveries (event, endpoint, expires_ms) VALUES (?1, ?2, ?3)",
        )?;
        let [.., expires_ms] = self.times_ms;
        for endpoint in self.endpoints.iter().flatten() {
            plan.execute(params![self.id.as_str(), endpoint.as_str(), expires_ms])?;
        }
        Ok(())
    }

    /// Remembers whom it is for, all in one row, unless that was known. Was it not?
    pub fn begin(&self, db: &Connection) -> rusqlite::Result<bool> {
        let ids: Vec<_> = self.endpoints.iter().flatten().map(EndpointId::as_str).collect();
        if self.insert(db, BEGIN, (true, Some(ids.join(" "))))? > 0 {
            return Ok(true);
        }
        self.write(db).map(|()| false)
    }

    fn insert(
        &self,
        db: &Connection,
        statement: &str,
        (fanned_out, endpoints): (bool, Option<String>),
    ) -> rusqlite::Result<usize> {
        let [timestamp_ms, accepted_ms, expires_ms] = self.times_ms;
        db.prepare_cached(statement)?.execute(params![
            self.id.as_str(),
            self.tenant,
            self.event_type,
            self.project,
            timestamp_ms,
            accepted_ms,
            fanned_out,
            expires_ms,
            endpoints
        ])
    }
}

/// An event must be remembered for as long as its deliveries are.
pub fn keep(db: &Connection, id: &EventId, expires_ms: i64) -> rusqlite::Result<()> {
    let keep = "UPDATE known_events SET expires_ms = ?2 WHERE event = ?1 AND expires_ms < ?2";
    db.prepare_cached(keep)?.execute(params![id.as_str(), expires_ms])?;
    Ok(())
}

/// A row of `known_events`.
struct Row {
    event_type: String,
    project: Option<String>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    fanned_out: bool,
    /// Whom it is for, as it was begun.
    endpoints: Option<String>,
}

/// What became of an event, and where its next deliveries begin.
pub type Status = (EventStatus, Option<String>);

/// What became of an event of this tenant; the inner error: a name in the file is invalid.
pub fn status(
    db: &Connection,
    (tenant, id): (&TenantId, &EventId),
    page: &PageRequest,
) -> rusqlite::Result<Option<Result<Status, InvalidName>>> {
    let find = "SELECT type, project, timestamp_ms, accepted_ms, fanned_out, endpoints
        FROM known_events WHERE event = ?1 AND tenant = ?2";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            event_type: row.get(0)?,
            project: row.get(1)?,
            timestamp: Timestamp::from_unix_ms(row.get(2)?),
            accepted_at: Timestamp::from_unix_ms(row.get(3)?),
            fanned_out: row.get(4)?,
            endpoints: row.get(5)?,
        })
    };
    let names = [id.as_str(), tenant.as_str()];
    let Some(found) = db.prepare_cached(find)?.query_row(names, read).optional()? else {
        return Ok(None);
    };
    let deliveries = deliveries(db, (id, found.endpoints.as_deref()), page)?;
    let Page { items: deliveries, next_cursor } =
        Page::of_found(deliveries, page.limit, |(endpoint, _)| endpoint.clone());
    let status = || {
        let status = EventStatus {
            id: id.clone(),
            tenant: tenant.clone(),
            event_type: found.event_type.parse()?,
            project: found.project.map(|project| project.parse()).transpose()?,
            timestamp: found.timestamp,
            accepted_at: found.accepted_at,
            fanned_out: found.fanned_out,
            deliveries: deliveries.into_iter().map(progress).collect::<Result<_, _>>()?,
        };
        Ok((status, next_cursor))
    };
    Ok(Some(status()))
}

type Delivery = (String, known::Known);

/// Those of a page, and one more, to see whether there is a next page.
fn deliveries(
    db: &Connection,
    (id, begun): (&EventId, Option<&str>),
    page: &PageRequest,
) -> rusqlite::Result<Vec<Delivery>> {
    let list = "SELECT endpoint, generation, attempt, stage, http_status, updated_ms, expires_ms,
            reserved_ms
        FROM deliveries WHERE event = ?1 AND endpoint > ?2 ORDER BY endpoint LIMIT ?3";
    let after = page.cursor.as_deref().unwrap_or_default();
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX).saturating_add(1);
    let begun = begun.unwrap_or_default().split_terminator(' ').filter(|to| *to > after);
    let mut all: BTreeMap<_, _> =
        begun.map(|to| (to.to_owned(), known::Known::fresh(None, 0))).collect();
    let mut list = db.prepare_cached(list)?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, known::read(row, 1)?));
    for known in list.query_map(params![id.as_str(), after, limit], read)? {
        all.extend([known?]);
    }
    Ok(all.into_iter().take(page.limit.saturating_add(1)).collect())
}

fn progress((endpoint, known): Delivery) -> Result<Progress, InvalidName> {
    Ok(Progress {
        endpoint: endpoint.parse()?,
        stage: known.stage,
        attempts: known.attempt,
        http_status: known.http_status,
        generation: known.generation.unwrap_or(Generation::FIRST),
        updated_at: time(known.updated_ms),
    })
}
