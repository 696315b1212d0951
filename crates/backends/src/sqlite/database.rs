//! The file: who may use it, how it is opened, how it is read and written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::schema::{self, SchemaError};
use super::successes::Successes;
use super::writer::{Operation, Sureness, Writer};

const FILE: &str = "hookfleet.db";
const LOCK: &str = "hookfleet.lock";
/// Threads that read at once.
const READERS: usize = 4;
/// Pages of the log after which they are carried over into the file: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;
/// What is left of the log after that, at most.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Memory for pages, in KiB: of the writer, and of each reader.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 128;
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error(
        "data folder {folder} is in use by process {process}: stop that one, or give this one another --data-dir"
    )]
    InUse {
        /// The folder.
        folder: String,
        /// The id of the process, as it left it there.
        process: String,
    },
    /// The operating system does not let us.
    #[error("data folder {folder} cannot be used: {source}")]
    Io {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// The file is none that we can use.
    #[error("database file {file} cannot be used: {source}")]
    Schema {
        /// The file.
        file: String,
        /// Why.
        source: SchemaError,
    },
}

/// A database file, opened.
pub struct Database {
    path: PathBuf,
    // Before the lock: what is still to be written is written under it.
    writer: Option<Writer>,
    /// What is written some time after it was done.
    pub successes: Arc<Successes>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
    _lock: Option<File>,
}

impl Database {
    /// Opens the file in this folder, to be written by this process alone; makes both if they are
    /// missing. `begin` is done before anything else.
    pub fn open<T>(
        folder: &Path,
        begin: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Self, T), OpenError> {
        let io = |source| OpenError::Io { folder: folder.display().to_string(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        // SQLite gives its log the mode of the file.
        private().open(&path).map_err(io)?;
        let wrong = |source| OpenError::Schema { file: path.display().to_string(), source };
        let connection = connect(&path).and_then(to_write).map_err(wrong)?;
        let answer = begin(&connection).map_err(|error| wrong(error.into()))?;
        let mut database = Self { _lock: Some(lock), ..Self::without_writer(path) };
        let successes = Arc::clone(&database.successes);
        database.writer = Some(Writer::start(connection, successes).map_err(io)?);
        Ok((database, answer))
    }

    /// Opens the file for reading, beside a process that writes it or alone.
    pub fn open_to_read(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        let missing = io::Error::new(io::ErrorKind::NotFound, format!("no {FILE} in it"));
        if !path.exists() {
            return Err(OpenError::Io { folder: folder.display().to_string(), source: missing });
        }
        let wrong = |source| OpenError::Schema { file: path.display().to_string(), source };
        let checked = connect(&path).and_then(|connection| schema::check(&connection));
        checked.map_err(wrong)?;
        Ok(Self::without_writer(path))
    }

    fn without_writer(path: PathBuf) -> Self {
        let turns = Arc::new(Semaphore::new(READERS));
        let (successes, idle) = (Arc::default(), Arc::default());
        Self { path, writer: None, successes, idle, turns, _lock: None }
    }

    /// The thread that writes.
    pub fn writer(&self) -> Result<&Writer, Fault> {
        self.writer.as_ref().ok_or_else(Fault::closed)
    }

    /// Does `work` so that it outlives a power cut, sharing a transaction with whatever else is to
    /// be done.
    pub async fn promise<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        self.writer()?.write(Sureness::Promise, work, |_| ()).await
    }

    /// Does `work` so that it outlives the process; a power cut may undo it, unless a promise was
    /// made since.
    pub async fn note<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        self.writer()?.write(Sureness::Note, work, |_| ()).await
    }

    /// [`Self::note`], for which nobody waits: it is done before whatever is asked for later.
    pub fn note_meanwhile(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), Fault> {
        self.writer()?.submit(Box::new(Meanwhile(work)));
        Ok(())
    }

    /// Waits until all that was asked for before is done and can be read.
    pub async fn catch_up(&self) -> Result<(), Fault> {
        if self.writer.is_none() {
            return Ok(());
        }
        let successes = Arc::clone(&self.successes);
        self.note(move |db| successes.write(db)).await
    }

    /// Reads what is durable, beside the writer.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        // A turn first: there are never more threads than connections.
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Fault::closed())?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let read = move || {
            let _turn = turn;
            let connection = match pop(&idle) {
                Some(connection) => connection,
                None => connect_to_read(&path)?,
            };
            let result = work(&connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result.map_err(Fault::from)
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err(Fault::closed()))
    }

    /// Why the last change could not be written, if so.
    pub fn fault(&self) -> Option<Fault> {
        self.writer.as_ref().and_then(Writer::fault)
    }
}

/// A note whose caller went on.
struct Meanwhile<W>(W);

impl<W: FnMut(&Connection) -> rusqlite::Result<()> + Send> Operation for Meanwhile<W> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        (self.0)(connection)
    }

    fn end(self: Box<Self>, result: Result<(), Fault>) {
        if let Err(error) = result {
            tracing::debug!(%error, "a note was not taken");
        }
    }

    fn sureness(&self) -> Sureness {
        Sureness::Note
    }
}

fn pop(idle: &Mutex<Vec<Connection>>) -> Option<Connection> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Only one process writes. The lock goes with the process, however it ends.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io { folder: folder.display().to_string(), source };
    let mut file = private().open(folder.join(LOCK)).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            file.take(20).read_to_string(&mut process).map_err(io)?;
            let process = process.trim().to_owned();
            return Err(OpenError::InUse { folder: folder.display().to_string(), process });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

fn connect(path: &Path) -> Result<Connection, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement is prepared anew whenever its parameters might make for another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn to_write(mut connection: Connection) -> Result<Connection, SchemaError> {
    schema::migrate(&mut connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    Ok(connection)
}

fn connect_to_read(path: &Path) -> Result<Connection, Fault> {
    let connection = match connect(path) {
        Ok(connection) => connection,
        Err(SchemaError::Sqlite(error)) => return Err(error.into()),
        Err(SchemaError::Foreign | SchemaError::Newer(_)) => return Err(Fault::closed()),
    };
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}
