//! The tables, and how an older file becomes a newer one.

use rusqlite::Connection;

/// What was done to the schema, in order. The file's `user_version` tells the last one that it has
/// seen. One that was released is never changed; another is added.
const MIGRATIONS: [(i64, &str); 4] = [
    (1, include_str!("schema/001_first.sql")),
    (2, include_str!("schema/002_broken.sql")),
    (3, include_str!("schema/003_stats.sql")),
    (4, include_str!("schema/004_begun.sql")),
];
const NEWEST: i64 = {
    let [.., (version, _)] = MIGRATIONS;
    version
};

/// Marks a file as ours (`PRAGMA application_id`): "hkfl".
const APPLICATION_ID: i64 = 0x686b_666c;

/// Why a file's schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Some other program's.
    #[error("it is another program's database")]
    Foreign,
    /// Of a release that is newer than this one.
    #[error(
        "its schema has version {0}, and this release knows {known}: run the newer release",
        known = NEWEST
    )]
    Newer(i64),
    /// It cannot be read or written.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Checks that a file can be used as it is.
pub fn check(connection: &Connection) -> Result<(), SchemaError> {
    match (pragma(connection, "application_id")?, pragma(connection, "user_version")?) {
        (APPLICATION_ID, version) if version > NEWEST => Err(SchemaError::Newer(version)),
        (APPLICATION_ID, _) => Ok(()),
        _ => Err(SchemaError::Foreign),
    }
}

/// Brings a file, new or old, up to this release.
pub fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
        // Both have to be said before the first table is made.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    check(connection)?;
    let seen = pragma(connection, "user_version")?;
    for (version, migration) in MIGRATIONS.iter().filter(|(version, _)| *version > seen) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn migrates_once() {
        let mut connection = open();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(pragma(&connection, "user_version").unwrap(), NEWEST);
    }

    #[test]
    fn foreign_and_newer_files_are_left_alone() {
        let mut foreign = open();
        foreign.execute_batch("CREATE TABLE accounts (id)").unwrap();
        assert!(matches!(migrate(&mut foreign), Err(SchemaError::Foreign)));

        let mut newer = open();
        migrate(&mut newer).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut newer), Err(SchemaError::Newer(99))));
    }
}
