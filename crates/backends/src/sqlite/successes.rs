//! What successes say of their endpoints: gathered in memory, and written many at a time.
//!
//! Most attempts succeed after others did, and change no more than their endpoint's counts and its log. To
//! write that with each of them would change a page of the file for each endpoint each time. Whoever reads
//! has it written first ([`super::database::Database::catch_up`]). A process that is killed loses what it
//! gathered in the last moment: lines of logs, and counts, but no delivery, and no failure.

use std::collections::{BTreeMap, HashSet};
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookfleet_domain::{EndpointId, Timestamp, limits};
use rusqlite::{Connection, params};
use tokio::time::Instant;

/// How long what was gathered waits at most, while there is not more of it than this.
const WAIT_MAX: Duration = Duration::from_millis(100);
const GATHERED_MAX: usize = 512;
/// Endpoints that are known to be well; past that, all are looked up again.
const WELL_MAX: usize = 20_000;

/// An attempt that succeeded.
#[derive(Clone)]
pub struct Success {
    pub endpoint: EndpointId,
    pub at: Timestamp,
    /// Its line in the log, and when that is forgotten.
    pub line: String,
    pub line_expires_ms: i64,
    /// When the endpoint's counts are.
    pub health_expires_ms: i64,
}

/// What is changed is changed by the writer's thread, within its transactions, and stands or falls with
/// them.
#[derive(Default)]
pub struct Successes(Mutex<State>);

#[derive(Default)]
struct State {
    /// Endpoints whose last attempt succeeded.
    well: HashSet<EndpointId>,
    gathered: Vec<Success>,
    /// So many of them, the first, are of transactions that were committed.
    sure: usize,
    /// So many of them, the first, were written by the transaction that is under way.
    written: usize,
    /// When the wait of the first one began.
    since: Option<Instant>,
}

impl Successes {
    /// Gathers a success, if its endpoint's last attempt was known to be one. Otherwise there is more to it.
    pub fn gather(&self, db: &Connection, success: &Success) -> rusqlite::Result<bool> {
        let mut state = self.lock();
        if !state.well.contains(&success.endpoint) {
            return Ok(false);
        }
        state.gathered.push(success.clone());
        if state.gathered.len() - state.written >= GATHERED_MAX {
            state.write(db)?;
        }
        Ok(true)
    }

    /// An endpoint's attempt succeeded, and all that this says of it is written.
    pub fn is_well(&self, endpoint: &EndpointId) {
        let well = &mut self.lock().well;
        if well.len() >= WELL_MAX {
            well.clear();
        }
        well.insert(endpoint.clone());
    }

    /// An endpoint's attempt failed: what was gathered came before that.
    pub fn is_not_well(&self, db: &Connection, endpoint: &EndpointId) -> rusqlite::Result<()> {
        let mut state = self.lock();
        if state.well.remove(endpoint) { state.write(db) } else { Ok(()) }
    }

    /// Writes what was gathered.
    pub fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        self.lock().write(db)
    }

    /// The transaction is over: committed, or undone.
    pub fn ended(&self, committed: bool) {
        self.lock().ended(committed);
    }

    /// How long what was gathered may still wait.
    pub fn may_wait(&self) -> Option<Duration> {
        self.lock().since.map(|since| WAIT_MAX.saturating_sub(since.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic the writer's thread is gone, and nothing is written any more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut by_endpoint = BTreeMap::<_, Vec<_>>::new();
        for success in self.gathered.iter().skip(self.written) {
            by_endpoint.entry(&success.endpoint).or_default().push(success);
        }
        for successes in by_endpoint.values() {
            write_one(db, successes)?;
        }
        self.written = self.gathered.len();
        Ok(())
    }

    fn ended(&mut self, committed: bool) {
        let written = take(&mut self.written);
        if committed {
            drop(self.gathered.drain(..written));
            self.sure = self.gathered.len();
        } else {
            self.gathered.truncate(self.sure);
            self.well.clear();
        }
        if self.gathered.is_empty() {
            self.since = None;
        } else if self.since.is_none() || !committed {
            self.since = Some(Instant::now());
        }
    }
}

/// Writes what successes of one endpoint say. Its log is a ring.
fn write_one(db: &Connection, successes: &[&Success]) -> rusqlite::Result<()> {
    let Some(last) = successes.last() else {
        return Ok(());
    };
    let count = "INSERT INTO health
          (endpoint, failing, successes, failures, success_ms, failure_ms, expires_ms)
        VALUES (?1, 0, ?2, 0, ?3, NULL, ?4)
        ON CONFLICT (endpoint) DO UPDATE SET successes = successes + ?2, success_ms = ?3, expires_ms = ?4
        RETURNING successes + failures";
    let (endpoint, many) = (last.endpoint.as_str(), successes.len());
    let values = params![endpoint, many, last.at.unix_ms(), last.health_expires_ms];
    let all: usize = db.prepare_cached(count)?.query_row(values, |row| row.get(0))?;
    let mut log =
        db.prepare_cached("INSERT OR REPLACE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let numbered = successes.iter().zip(all + 1 - many..);
    for (success, n) in numbered.skip(many.saturating_sub(limits::ATTEMPTS_KEPT_MAX)) {
        let place = n % limits::ATTEMPTS_KEPT_MAX;
        log.execute(params![endpoint, place, n, success.line_expires_ms, success.line])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn success(endpoint: &str, n: usize) -> Success {
        Success {
            endpoint: endpoint.parse().unwrap(),
            at: Timestamp::from_unix_ms(i64::try_from(n).unwrap()),
            line: n.to_string(),
            line_expires_ms: 0,
            health_expires_ms: 0,
        }
    }

    fn file() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        db
    }

    /// Gathered by a transaction of its own, which is committed.
    fn gather(successes: &Successes, db: &Connection, success: &Success) -> bool {
        let gathered = successes.gather(db, success).unwrap();
        successes.ended(true);
        gathered
    }

    /// The log of an endpoint, oldest first, and how many of its attempts succeeded.
    fn log(db: &Connection, endpoint: &str) -> (Vec<String>, usize) {
        let list = "SELECT record FROM attempts WHERE endpoint = ?1 ORDER BY n";
        let mut list = db.prepare(list).unwrap();
        let lines = list.query_map([endpoint], |row| row.get(0)).unwrap();
        let count = "SELECT ifnull(sum(successes), 0) FROM health WHERE endpoint = ?1";
        let count = db.query_row(count, [endpoint], |row| row.get(0)).unwrap();
        (lines.collect::<rusqlite::Result<_>>().unwrap(), count)
    }

    #[test]
    fn only_what_follows_a_success_is_gathered_and_nothing_stays_after_a_failure() {
        let (successes, db) = (Successes::default(), file());
        let ok = |n| gather(&successes, &db, &success("a", n));
        assert!(!ok(1), "nothing is known of it");
        successes.is_well(&success("a", 1).endpoint);
        assert!(ok(2) && ok(3));
        assert_eq!(log(&db, "a").0.len(), 0, "not yet");
        successes.is_not_well(&db, &success("a", 4).endpoint).unwrap();
        successes.ended(true);
        assert_eq!(log(&db, "a"), (vec!["2".to_owned(), "3".to_owned()], 2));
        assert!(!ok(5), "it failed");
        assert_eq!(successes.may_wait(), None);
    }

    #[test]
    fn an_undone_transaction_leaves_what_was_gathered_before() {
        let (successes, mut db) = (Successes::default(), file());
        successes.is_well(&success("a", 1).endpoint);
        assert!(gather(&successes, &db, &success("a", 1)));
        let undone = db.transaction().unwrap();
        assert!(successes.gather(&undone, &success("a", 2)).unwrap());
        successes.write(&undone).unwrap();
        undone.rollback().unwrap();
        successes.ended(false);
        assert!(!gather(&successes, &db, &success("a", 2)), "done again, in the longer way");
        assert!(successes.may_wait().is_some());
        successes.write(&db).unwrap();
        successes.ended(true);
        assert_eq!(log(&db, "a"), (vec!["1".to_owned()], 1));
    }

    #[test]
    fn a_log_keeps_the_last_and_much_is_written_without_being_asked_for() {
        let (successes, db) = (Successes::default(), file());
        let names = ["a", "b"];
        for name in names {
            successes.is_well(&success(name, 0).endpoint);
        }
        for n in 0..GATHERED_MAX / 2 + limits::ATTEMPTS_KEPT_MAX / 2 {
            for name in names {
                assert!(gather(&successes, &db, &success(name, n)));
            }
        }
        let newest =
            |until: usize| (until - limits::ATTEMPTS_KEPT_MAX..until).map(|n| n.to_string());
        let half = GATHERED_MAX / 2;
        assert_eq!(log(&db, "b"), (newest(half).collect(), half));
        successes.write(&db).unwrap();
        successes.ended(true);
        let all = half + limits::ATTEMPTS_KEPT_MAX / 2;
        assert_eq!(log(&db, "a"), (newest(all).collect(), all));
    }
}
