//! Reading the archive, and searching it. Its only index is that of time: another one would cost each
//! event more than all the searching.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use hookfleet_domain::{Event, Timestamp};
use hookfleet_queue::search::{LOOKED_AT_BYTES_MAX, LOOKED_AT_MAX};
use hookfleet_queue::{Archive, Found, FoundEvent, Message, Position, QueueError, Search};
use rusqlite::{Connection, params};

use super::database::Database;
use super::leases::read_event;
use super::queue::Stored;

/// Events read at once.
const CHUNK: u32 = 200;

/// A reader that goes on from the event that it read last.
pub struct SqliteArchive {
    database: Arc<Database>,
    /// Time and row of the last one.
    seen: (i64, i64),
    until: Timestamp,
    chunk: VecDeque<(i64, Stored)>,
}

impl SqliteArchive {
    pub fn begin(database: Arc<Database>, since: Timestamp, until: Timestamp) -> Self {
        let seen = (since.unix_ms(), i64::MIN);
        Self { database, seen, until, chunk: VecDeque::new() }
    }

    async fn read_on(&mut self) -> Result<(), QueueError> {
        let ((seen_ms, seen_id), until_ms) = (self.seen, self.until.unix_ms());
        let events = "SELECT id, accepted_ms, idempotency_key, trace, body FROM events
            WHERE (accepted_ms, id) > (?1, ?2) AND accepted_ms <= ?3
            ORDER BY accepted_ms, id LIMIT ?4";
        let read = move |db: &Connection| {
            let mut events = db.prepare_cached(events)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Stored::read(row, 1)?));
            events.query_map(params![seen_ms, seen_id, until_ms, CHUNK], row)?.collect()
        };
        self.chunk = self.database.read(read).await?;
        Ok(())
    }
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn next(&mut self) -> Result<Option<Event>, QueueError> {
        loop {
            if self.chunk.is_empty() {
                self.read_on().await?;
            }
            let Some((id, stored)) = self.chunk.pop_front() else {
                return Ok(None);
            };
            self.seen = (stored.accepted_ms, id);
            if let Message::Event(event) = read_event(stored) {
                return Ok(Some(event));
            }
        }
    }
}

/// Looks at the newest events first, at so many of them and no more.
pub fn search(db: &Connection, search: &Search) -> rusqlite::Result<Found> {
    let events = "SELECT id, accepted_ms, idempotency_key, trace, body FROM events
        WHERE (accepted_ms, id) < (?1, ?2) AND accepted_ms >= ?3
        ORDER BY accepted_ms DESC, id DESC LIMIT ?4";
    let since_ms = search.since.map_or(i64::MIN, Timestamp::unix_ms);
    let before = (search.before.accepted_at.unix_ms(), search.before.n);
    let (mut found, mut bytes) = (Found::NOTHING, 0);
    let mut events = db.prepare_cached(events)?;
    let mut rows = events.query(params![before.0, before.1, since_ms, LOOKED_AT_MAX + 1])?;
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        if looked_at >= LOOKED_AT_MAX || bytes > LOOKED_AT_BYTES_MAX {
            return Ok(found);
        }
        let (id, stored) = (row.get(0)?, Stored::read(row, 1)?);
        (looked_at, bytes) = (looked_at + 1, bytes + stored.body.len());
        let accepted_at = Timestamp::from_unix_ms(stored.accepted_ms);
        found.next = Some(Position { accepted_at, n: id });
        if let Message::Event(event) = read_event(stored)
            && search.matches(&event)
        {
            found.events.push(FoundEvent::from(&event));
        }
        if found.events.len() >= search.limit {
            return Ok(found);
        }
    }
    Ok(Found { next: None, ..found })
}
