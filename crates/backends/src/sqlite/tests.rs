//! Both ports' contracts, kept by SQLite, and what is peculiar to a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookfleet_domain::{Clock, Secret, Timestamp};
use hookfleet_queue::testing as queue;
use hookfleet_store::{Sealer, testing as store};

use super::{OpenError, Retention, Sqlite, SqliteOptions};

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
    queue::what_is_not_settled_comes_again(file.queue.as_ref()).await;
    queue::leasing_is_bounded(file.queue.as_ref()).await;
    queue::delays_are_kept(file.queue.as_ref()).await;
    queue::passes_see_everything_once(file.queue.as_ref()).await;
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
