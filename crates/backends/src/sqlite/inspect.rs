//! What a person wants to know of a file.

use std::path::Path;

use rusqlite::Connection;

use super::OpenError;
use super::database::Database;

/// What a file holds, and whether it is sound.
#[derive(Debug)]
pub struct Inspection {
    /// What SQLite's own check found; none: nothing.
    pub damage: Option<String>,
    /// What is in it, and how much of that.
    pub counts: Vec<(&'static str, u64)>,
}

const COUNTS: [(&str, &str); 6] = [
    ("events and deliveries waiting", "SELECT count(*) FROM queue"),
    ("dead letters", "SELECT count(*) FROM dead"),
    ("endpoints", "SELECT count(*) FROM endpoints"),
    ("events kept", "SELECT count(*) FROM events"),
    ("bytes", "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
    (
        "bytes in use",
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    ),
];

/// SQLite's own version.
pub fn version() -> &'static str {
    rusqlite::version()
}

/// Reads the file in this folder, beside a process that writes it or alone. Takes as long as
/// reading all of it does.
pub async fn inspect(folder: &Path) -> Result<Inspection, OpenError> {
    let check = |db: &Connection| {
        let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((found != "ok").then_some(found))
    };
    inspected(folder, check).await
}

/// The same without looking for damage, which takes long.
pub async fn inspect_quickly(folder: &Path) -> Result<Inspection, OpenError> {
    inspected(folder, |_| Ok(None)).await
}

async fn inspected(
    folder: &Path,
    check: impl FnOnce(&Connection) -> rusqlite::Result<Option<String>> + Send + 'static,
) -> Result<Inspection, OpenError> {
    let database = Database::open_to_read(folder)?;
    let read = |db: &Connection| {
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0));
        let counts = COUNTS.iter().map(|(name, sql)| Ok((*name, number(sql)?)));
        let counts = counts.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Inspection { damage: check(db)?, counts })
    };
    let unreadable = |fault: super::fault::Fault| Inspection {
        damage: Some(fault.to_string()),
        counts: Vec::new(),
    };
    Ok(database.read(read).await.unwrap_or_else(unreadable))
}
