//! One writer, many callers: what arrives together shares one transaction and one flush to disk.
//!
//! While a transaction is being flushed, the operations of other callers gather; the next
//! transaction takes them all. So the price of durability falls with the number of callers, and one
//! caller alone waits for nobody.
//!
//! Only a *promise* is flushed (that an event is accepted, that a retry will come). What is merely
//! *noted* (a lease, an attempt, a settlement) is committed without: it outlives the process, and is
//! flushed together with the next promise. A power cut may undo the last notes, which costs repeated
//! attempts, but never a promise, nor a note on which a promise was built.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::fault::Fault;
use super::successes::Successes;

/// Operations in one transaction. More would not cost less, but make the first one wait.
const BATCH_MAX: usize = 512;
/// Where so many notes came together, the next ones may gather for a moment: a transaction costs as much
/// as several of them. A promise ends it no sooner: whoever makes one waits for the disk anyway.
const MANY: usize = 4;
const GATHERING: Duration = Duration::from_millis(1);

/// Something to be done in a transaction.
pub trait Operation: Send {
    /// Does it. A transaction that fails is done again, one operation at a time: this may be called
    /// a second time, after everything that the first call did was undone.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// It is done as surely as it was asked for, or undone. Must not block.
    fn end(self: Box<Self>, result: Result<(), Fault>);

    /// How surely?
    fn sureness(&self) -> Sureness;
}

/// What an operation must outlive before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// The process.
    Note,
    /// A power cut.
    Promise,
}

impl Sureness {
    /// `PRAGMA synchronous`, as SQLite documents it for WAL mode.
    fn synchronous(self) -> &'static str {
        match self {
            Self::Note => "NORMAL",
            Self::Promise => "FULL",
        }
    }
}

enum Order {
    Do(Box<dyn Operation>),
    Stop,
}

/// The thread that writes.
pub struct Writer {
    // Bounded by its callers: each waits for its answer, apart from leases that are given back.
    orders: Sender<Order>,
    fault: watch::Receiver<Option<Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it on a connection of its own. What is gathered in `successes` is written before long.
    pub fn start(connection: Connection, successes: Arc<Successes>) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let (state, fault) = watch::channel(None);
        let desk = Desk { connection, successes, inbox, state, flushes: None };
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let thread = Some(thread.spawn(move || desk.work())?);
        Ok(Self { orders, fault, thread })
    }

    /// Hands an operation over.
    pub fn submit(&self, operation: Box<dyn Operation>) {
        if let Err(returned) = self.orders.send(Order::Do(operation))
            && let Order::Do(operation) = returned.0
        {
            operation.end(Err(Fault::closed()));
        }
    }

    /// Does `work`, and then, once that is done as surely as this, `after`.
    pub async fn write<T: Send + 'static>(
        &self,
        sureness: Sureness,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Call { sureness, work, after, answer: None, reply }));
        answer.await.unwrap_or_else(|_| Err(Fault::closed()))
    }

    /// Why the last change could not be written, if so.
    pub fn fault(&self) -> Option<Fault> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Some(Fault::closed());
        }
        self.fault.borrow().clone()
    }
}

impl Drop for Writer {
    /// Waits for what was handed over.
    fn drop(&mut self) {
        // An error only means that the thread has ended.
        drop(self.orders.send(Order::Stop));
        // The last one who knew of us may have been an operation: then this is that thread.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        if let Some(thread) = self.thread.take().filter(is_other) {
            drop(thread.join());
        }
    }
}

/// That of operations which are done together.
fn sureness(batch: &[Box<dyn Operation>]) -> Sureness {
    let all = batch.iter().map(|operation| operation.sureness());
    all.max().unwrap_or(Sureness::Promise)
}

struct Call<W, A, T> {
    sureness: Sureness,
    work: W,
    after: A,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<W, A, T> Operation for Call<W, A, T>
where
    W: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    A: FnOnce(&T) + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.answer = Some((self.work)(connection)?);
        Ok(())
    }

    fn end(self: Box<Self>, result: Result<(), Fault>) {
        let answer = match (result, self.answer) {
            (Ok(()), Some(answer)) => {
                (self.after)(&answer);
                Ok(answer)
            }
            (Ok(()), None) => Err(Fault::closed()),
            (Err(fault), _) => Err(fault),
        };
        // Nobody waits any more: then nobody needs the answer.
        drop(self.reply.send(answer));
    }

    fn sureness(&self) -> Sureness {
        self.sureness
    }
}

/// Writes what was gathered.
struct Gathered(Arc<Successes>);

impl Operation for Gathered {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.0.write(connection)
    }

    fn end(self: Box<Self>, result: Result<(), Fault>) {
        if let Err(error) = result {
            tracing::debug!(%error, "what successes say of their endpoints waits");
        }
    }

    fn sureness(&self) -> Sureness {
        Sureness::Note
    }
}

struct Desk {
    connection: Connection,
    successes: Arc<Successes>,
    inbox: Receiver<Order>,
    state: watch::Sender<Option<Fault>>,
    /// What commits are flushed for at the moment.
    flushes: Option<Sureness>,
}

impl Desk {
    fn work(mut self) {
        let mut stop = false;
        while !stop {
            let mut batch = Vec::new();
            match self.first_order() {
                Ok(Order::Do(operation)) => batch.push(operation),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            while batch.len() < BATCH_MAX && !stop {
                match self.inbox.try_recv() {
                    Ok(Order::Do(operation)) => batch.push(operation),
                    Ok(Order::Stop) => stop = true,
                    Err(_) => break,
                }
            }
            if stop || self.successes.may_wait().is_some_and(|wait| wait.is_zero()) {
                batch.push(Box::new(Gathered(Arc::clone(&self.successes))));
            }
            if batch.is_empty() {
                continue;
            }
            let many = batch.len() >= MANY && sureness(&batch) == Sureness::Note;
            self.write(batch);
            if many && !stop {
                thread::sleep(GATHERING);
            }
        }
    }

    /// Waits for it, but for no longer than what was gathered may.
    fn first_order(&self) -> Result<Order, RecvTimeoutError> {
        match self.successes.may_wait() {
            Some(wait) => self.inbox.recv_timeout(wait),
            None => Ok(self.inbox.recv()?),
        }
    }

    /// All of them, or, if that fails, each for itself: one that cannot be done harms no other, and
    /// on a full disk what frees room may still fit.
    fn write(&mut self, mut batch: Vec<Box<dyn Operation>>) {
        match self.commit(&mut batch) {
            Ok(()) => batch.into_iter().for_each(|operation| operation.end(Ok(()))),
            Err(error) if batch.len() == 1 => self.fail(batch, &error),
            Err(_) => {
                for operation in batch {
                    let mut alone = vec![operation];
                    match self.commit(&mut alone) {
                        Ok(()) => alone.into_iter().for_each(|operation| operation.end(Ok(()))),
                        Err(error) => self.fail(alone, &error),
                    }
                }
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Operation>]) -> rusqlite::Result<()> {
        let sureness = sureness(batch);
        if self.flushes != Some(sureness) {
            self.connection.pragma_update(None, "synchronous", sureness.synchronous())?;
            self.flushes = Some(sureness);
        }
        let changes = self.connection.total_changes();
        self.say("BEGIN")?;
        let done = batch.iter_mut().try_for_each(|operation| operation.run(&self.connection));
        let done = done.and_then(|()| self.say("COMMIT"));
        if done.is_err() && !self.connection.is_autocommit() {
            // Whatever becomes of that, it is the first error that says what failed.
            drop(self.say("ROLLBACK"));
        }
        self.successes.ended(done.is_ok());
        done?;
        // A transaction that changed nothing says nothing of the disk.
        if self.connection.total_changes() != changes {
            self.state.send_if_modified(|fault| fault.take().is_some());
        }
        Ok(())
    }

    /// A transaction's begin and end are prepared once, as everything that is said often.
    fn say(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([]).map(drop)
    }

    fn fail(&self, batch: Vec<Box<dyn Operation>>, error: &rusqlite::Error) {
        let fault = Fault::from(error);
        self.state.send_if_modified(|now| now.replace(fault.clone()).is_none());
        for operation in batch {
            operation.end(Err(fault.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE numbers (n INTEGER UNIQUE)").unwrap();
        Writer::start(connection, Arc::default()).unwrap()
    }

    /// Holds the writer, as leases do.
    struct Last {
        _writer: Arc<Writer>,
    }

    impl Operation for Last {
        fn run(&mut self, _: &Connection) -> rusqlite::Result<()> {
            Ok(())
        }

        fn end(self: Box<Self>, _: Result<(), Fault>) {}

        fn sureness(&self) -> Sureness {
            Sureness::Note
        }
    }

    #[tokio::test]
    async fn an_operation_may_be_the_last_to_know_of_it() {
        let writer = Arc::new(writer());
        let thread = writer.thread.as_ref().unwrap().thread().clone();
        for _ in 0..100 {
            writer.submit(Box::new(Last { _writer: Arc::clone(&writer) }));
        }
        insert(&writer, 1).await.unwrap();
        let last = Box::new(Last { _writer: Arc::clone(&writer) });
        let orders = writer.orders.clone();
        drop(writer);
        drop(orders.send(Order::Do(last)));
        // It ends, and does not wait for itself.
        while orders.send(Order::Stop).is_ok() {
            thread::yield_now();
        }
        assert_eq!(thread.name(), Some("sqlite-writer"));
    }

    async fn insert(writer: &Writer, n: i64) -> Result<usize, Fault> {
        let insert = move |db: &Connection| db.execute("INSERT INTO numbers VALUES (?1)", [n]);
        writer.write(Sureness::Promise, insert, |_| ()).await
    }

    async fn count(writer: &Writer) -> i64 {
        let count = |db: &Connection| {
            db.query_row("SELECT count(*) FROM numbers", [], |row| row.get::<_, i64>(0))
        };
        writer.write(Sureness::Note, count, |_| ()).await.unwrap()
    }

    #[tokio::test]
    async fn one_that_fails_harms_no_other() {
        let writer = writer();
        let results = tokio::join!(insert(&writer, 1), insert(&writer, 1), insert(&writer, 2));
        assert_eq!(results.0.unwrap(), 1);
        assert!(results.1.is_err());
        assert_eq!(results.2.unwrap(), 1);
        assert_eq!(count(&writer).await, 2);
    }

    #[tokio::test]
    async fn a_fault_is_told_until_a_change_was_written() {
        let writer = writer();
        insert(&writer, 1).await.unwrap();
        insert(&writer, 1).await.unwrap_err();
        count(&writer).await;
        assert!(writer.fault().is_some(), "reading is no proof");
        insert(&writer, 2).await.unwrap();
        assert!(writer.fault().is_none());
    }
}
