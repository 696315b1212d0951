//! Both ports' contracts, kept by SQLite, and what is peculiar to a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use hookfleet_domain::{Clock, EndpointId, Event, Generation, Secret, Timestamp};
use hookfleet_queue::{Outgoing, Queue, testing as queue};
use hookfleet_store::{
    Claim, DeliveryStore, IntakeStore, JobStore, Sealer, Settlement, Stage, StoreError,
    testing as store,
};

use super::{OpenError, Retention, Sqlite, SqliteOptions, inspect};

/// A data folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hookfleet-sqlite-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[expect(clippy::disallowed_methods, reason = "delays are kept by a clock that goes")]
fn clock() -> Arc<dyn Clock> {
    Arc::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_unix_ms(i64::try_from(now.unwrap().as_millis()).unwrap())
    })
}

fn options(folder: &Folder) -> SqliteOptions {
    let day = Duration::from_hours(24);
    SqliteOptions {
        folder: folder.0.clone(),
        sealer: Sealer::new(&Secret::new("1".repeat(64))).unwrap(),
        dedup_ttl: day,
        status_ttl: day,
        retention: Retention { archive: Some(day), bytes_max: 1 << 30 },
    }
}

fn open(folder: &Folder) -> Sqlite {
    Sqlite::open(&options(folder), &clock()).unwrap()
}

#[tokio::test]
async fn the_queue_contract() {
    let folder = Folder::new();
    let file = open(&folder);
    queue::messages_come_as_they_went(file.queue.as_ref()).await;
    queue::depths_are_told(file.queue.as_ref()).await;
    queue::what_is_newer_is_kept_as_it_is(file.queue.as_ref()).await;
    queue::what_is_not_settled_comes_again(file.queue.as_ref()).await;
    queue::one_among_many_comes_again(file.queue.as_ref()).await;
    queue::leasing_is_bounded(file.queue.as_ref()).await;
    queue::delays_are_kept(file.queue.as_ref()).await;
    queue::passes_see_everything_once(file.queue.as_ref()).await;
    queue::the_archive_keeps_events(file.queue.as_ref(), clock().now()).await;
    queue::the_archive_is_searched(file.queue.as_ref(), clock().now()).await;
    file.close().await;
}

#[tokio::test]
async fn the_store_contract() {
    let folder = Folder::new();
    let file = open(&folder);
    store::contract(file.store.as_ref(), "sqlite").await;
    file.close().await;
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = Folder::new();
    let file = open(&folder);
    let second = Sqlite::open(&options(&folder), &clock()).err();
    let process = std::process::id().to_string();
    assert!(matches!(&second, Some(OpenError::InUse { process: p, .. }) if *p == process));
    file.close().await;
    drop(file);
    open(&folder).close().await;
}

/// A clock that only goes when it is told to.
fn stopped_clock() -> (Arc<AtomicI64>, Arc<dyn Clock>) {
    let now_ms = Arc::new(AtomicI64::new(1_767_225_600_000));
    let clock = Arc::clone(&now_ms);
    (now_ms, Arc::new(move || Timestamp::from_unix_ms(clock.load(Ordering::Relaxed))))
}

fn event(n: usize, now: Timestamp) -> Event {
    let data = format!(r#"{{"n": {n}, "padding": "{}"}}"#, "x".repeat(1000));
    Event {
        // They sort by time, as those that are made by us do.
        id: format!("ev-{n:08}").parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "order.paid".parse().unwrap(),
        project: None,
        timestamp: now,
        accepted_at: now,
        idempotency_key: None,
        trace: None,
        data: serde_json::value::RawValue::from_string(data).unwrap().into(),
    }
}

fn endpoint() -> EndpointId {
    "ep_1".parse().unwrap()
}

/// Publishes an event; if `settled`, delivers it, too.
async fn pass_through(file: &Sqlite, event: Event, settled: bool) {
    file.store.remember_event(&event, Some(&[endpoint()])).await.unwrap();
    file.queue.publish(Outgoing::Event(&event)).await.unwrap();
    if settled {
        let settlement = Settlement {
            event: &event,
            endpoint: &endpoint(),
            generation: Generation::FIRST,
            attempt: None,
            stage: Stage::Delivered,
            now: event.accepted_at,
        };
        file.store.record(&settlement).await.unwrap();
    }
}

/// Leases so many messages and settles them.
async fn settle(file: &Sqlite, count: usize) {
    let mut leases = file.queue.leases(100).await.unwrap();
    for _ in 0..count {
        leases.next().await.unwrap().settle().await.unwrap();
    }
    leases.close().await;
}

async fn count(folder: &Folder, what: &str) -> u64 {
    let found = inspect(&folder.0).await.unwrap();
    assert_eq!(found.damage, None);
    found.counts.iter().find(|(name, _)| *name == what).unwrap().1
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(tokio::time::Instant::now() < end, "not in a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_leased_when_the_process_died_comes_again_and_says_so() {
    let folder = Folder::new();
    let file = open(&folder);
    file.queue.publish(Outgoing::Event(&event(1, clock().now()))).await.unwrap();
    let mut leases = file.queue.leases(10).await.unwrap();
    assert_eq!(leases.next().await.unwrap().redeliveries, 0);
    leases.close().await;
    for died in 1..=3 {
        // A copy of the files is what a process that died leaves behind.
        let mut leases = file.queue.leases(10).await.unwrap();
        let held = leases.next().await.unwrap();
        assert_eq!(held.redeliveries, died);
        let left = Folder::new();
        std::fs::create_dir_all(&left.0).unwrap();
        for name in ["hookfleet.db", "hookfleet.db-wal"] {
            std::fs::copy(folder.0.join(name), left.0.join(name)).unwrap();
        }
        let again = open(&left);
        let mut leases_again = again.queue.leases(10).await.unwrap();
        assert_eq!(leases_again.next().await.unwrap().redeliveries, died + 1);
        drop(held);
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_in_time() {
    let folder = Folder::new();
    let (now_ms, clock) = stopped_clock();
    let file = Sqlite::open(&options(&folder), &clock).unwrap();
    let (old, key) = (event(0, clock.now()), "key-1".parse().unwrap());
    let tenant = old.tenant.clone();
    pass_through(&file, old.clone(), true).await;
    settle(&file, 1).await;
    let waiting = event(1, clock.now());
    pass_through(&file, waiting.clone(), false).await;
    file.store.claim_key(&tenant, &key, &old.id).await.unwrap();
    file.store.confirm_key(&tenant, &key, &old.id).await.unwrap();
    assert_eq!(count(&folder, "events kept").await, 2);

    now_ms.fetch_add(Duration::from_hours(25).as_millis().try_into().unwrap(), Ordering::Relaxed);
    let claim = file.store.claim_key(&tenant, &key, &waiting.id).await.unwrap();
    assert_eq!(claim, Claim::Publish(waiting.id.clone()), "its window is over");
    until("the old event is forgotten", async || {
        file.store.event_status(&tenant, &old.id).await.unwrap().is_none()
            && count(&folder, "events kept").await == 1
    })
    .await;
    // What waits is not archived, however old.
    settle(&file, 1).await;
    until("the archive is empty", async || count(&folder, "events kept").await == 0).await;
    file.close().await;
}

#[tokio::test]
async fn the_file_does_not_grow_under_a_steady_load() {
    const ROUND: usize = 1500;
    const BYTES_MAX: u64 = 1 << 20;
    let folder = Folder::new();
    let (_, clock) = stopped_clock();
    let mut options = options(&folder);
    options.retention.bytes_max = BYTES_MAX;
    let file = Sqlite::open(&options, &clock).unwrap();
    let first = event(0, clock.now());
    for round in 0..6 {
        let events = (round * ROUND..(round + 1) * ROUND).map(|n| event(n, clock.now()));
        join_all(events.map(|event| pass_through(&file, event, true))).await;
        settle(&file, ROUND).await;
        until("it is small again", async || count(&folder, "bytes in use").await <= BYTES_MAX)
            .await;
    }
    assert!(count(&folder, "bytes").await < 6 * BYTES_MAX, "freed pages are used again");
    let forgotten = file.store.event_status(&first.tenant, &first.id).await.unwrap();
    assert_eq!(forgotten, None, "the oldest went first");
    file.close().await;
}

#[tokio::test]
async fn a_job_of_a_later_release_is_left_to_it() {
    let folder = Folder::new();
    let file = open(&folder);
    file.close().await;
    drop(file);
    let later = r#"{"v":2,"what":"a job"}"#;
    let database = rusqlite::Connection::open(folder.0.join("hookfleet.db")).unwrap();
    let add = "INSERT INTO jobs VALUES ('job_1', 1, 0, ?1)";
    database.execute(add, [later]).unwrap();
    drop(database);
    let file = open(&folder);
    let (worker, now) = ("w".parse().unwrap(), clock().now());
    let claimed = file.store.claim_job(&worker, now, now.after(Duration::from_secs(9))).await;
    assert_eq!(claimed.unwrap(), None);
    let asked = file.store.job(&"job_1".parse().unwrap()).await;
    assert!(matches!(asked, Err(StoreError::Newer { version: 2, .. })), "{asked:?}");
    file.close().await;
}
