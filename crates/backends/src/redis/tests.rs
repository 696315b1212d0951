//! The store's contract over a real Redis, and what is peculiar to Redis.
//!
//! All of it happens in a database of its own, beside those that programs use; or in the one that the
//! URL names, when that is not the first.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterReason, Endpoint, EndpointPatch, EndpointPolicy,
    Remains, Secret, TenantId, Timestamp, limits,
};
use hookfleet_store::{
    Change, Changes, DeadLetterStore, EndpointStore, Job, JobKind, JobState, JobStore, PageRequest,
    Sealer, Store, StoreError, Written, testing,
};
use redis::AsyncCommands;

use super::dead_letters::LOOKED_AT_MAX;
use super::scripts::ADD_ENDPOINT;
use super::{RedisOptions, RedisStore, keys};

/// The database that these tests use.
const DATABASE: u8 = 15;
/// What comes back by itself comes back within this time.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
fn server() -> String {
    std::env::var("HOOKFLEET_REDIS_URL").expect(
        "HOOKFLEET_REDIS_URL is not set: run these tests by `make test`, which starts a Redis",
    )
}

fn options(url: &str) -> RedisOptions {
    let sealer = Sealer::new(&Secret::new("1".repeat(64))).unwrap();
    RedisOptions::new(Secret::new(url), sealer)
}

/// A store on the tests' own database, and a prefix for ids that no other test and no earlier run
/// uses; `name` is the test's.
async fn store(name: &str) -> (RedisStore, String) {
    let server = server();
    let url = match server.strip_suffix("/0") {
        Some(server) => format!("{server}/{DATABASE}"),
        None => server,
    };
    let store = RedisStore::connect(options(&url)).await;
    let store = store.expect("HOOKFLEET_REDIS_URL names a Redis that answers");
    let now = store.server_time().await.unwrap();
    (store, format!("{name}{}", now.unix_ms()))
}

fn endpoint(tenant: &str) -> Endpoint {
    let patch = r#"{"url":"https://receiver.example/","secret":"hush-secret",
        "auth":{"type":"query","token":"hush-token"}}"#;
    let patch: EndpointPatch = serde_json::from_str(patch).unwrap();
    let policy = &EndpointPolicy::default();
    let now = Timestamp::from_unix_ms(0);
    let tenant: TenantId = tenant.parse().unwrap();
    patch.create(tenant, now, policy, |_| unreachable!("it has a secret")).unwrap()
}

/// A test for each thing that a store has only once, so that tests can run side by side.
mod contract {
    use super::*;

    #[tokio::test]
    async fn intake() {
        let (store, prefix) = store("intake").await;
        testing::intake(&store, &prefix).await;
    }

    #[tokio::test]
    async fn gate() {
        let (store, prefix) = store("gate").await;
        testing::gate(&store, &prefix).await;
    }

    #[tokio::test]
    async fn record() {
        let (store, prefix) = store("record").await;
        testing::record(&store, &prefix).await;
    }

    #[tokio::test]
    async fn throttle() {
        let (store, prefix) = store("throttle").await;
        testing::throttle(&store, &prefix).await;
    }

    #[tokio::test]
    async fn attempts() {
        let (store, prefix) = store("attempts").await;
        testing::attempts(&store, &prefix).await;
    }

    #[tokio::test]
    async fn status() {
        let (store, prefix) = store("status").await;
        testing::status(&store, &prefix).await;
    }

    #[tokio::test]
    async fn endpoints() {
        let (store, prefix) = store("endpoints").await;
        testing::endpoints(&store, &prefix).await;
    }

    #[tokio::test]
    async fn tokens() {
        let (store, prefix) = store("tokens").await;
        testing::tokens(&store, &prefix).await;
    }

    #[tokio::test]
    async fn processes() {
        let (store, prefix) = store("processes").await;
        testing::processes(&store, &prefix).await;
    }

    #[tokio::test]
    async fn stats() {
        let (store, prefix) = store("stats").await;
        testing::stats(&store, &prefix).await;
    }

    #[tokio::test]
    async fn changes() {
        let (store, prefix) = store("changes").await;
        testing::changes(&store, &prefix).await;
        a_broken_subscription_comes_back_and_says_so(&store, &prefix).await;
    }

    #[tokio::test]
    async fn dead_letters() {
        let (store, prefix) = store("dead").await;
        testing::dead_letters(&store, &prefix).await;
        many_letters_of_one_moment(&store, &prefix).await;
    }

    #[tokio::test]
    async fn jobs() {
        let (store, prefix) = store("jobs").await;
        let leftovers = [keys::JOBS, keys::JOBS_OPEN, keys::JOBS_ENDED, keys::JOB_CLAIM];
        store.connection().del::<_, ()>(&leftovers).await.unwrap();
        testing::jobs(&store, &prefix).await;
        the_newest_ended_jobs_are_kept(&store, &prefix).await;
    }
}

#[tokio::test]
async fn secrets_lie_sealed() {
    let (store, tenant) = store("sealed").await;
    let endpoint = endpoint(&tenant);
    let added = store.add_endpoint(&endpoint).await.unwrap();
    assert_eq!(added, Written::Yes);
    let record: Vec<u8> = store
        .connection()
        .hget(keys::endpoints(&endpoint.tenant), endpoint.id.as_str())
        .await
        .unwrap();
    let record = String::from_utf8(record).unwrap();
    assert!(record.contains("receiver.example"), "{record}");
    assert!(!record.contains("hush"), "{record}");
}

#[tokio::test]
async fn a_tenant_has_no_more_endpoints_than_it_may() {
    let (store, tenant) = store("full").await;
    let [one, two] = [endpoint(&tenant), endpoint(&tenant)];
    let add = async |endpoint| store.write(&ADD_ENDPOINT, endpoint, 1).await.unwrap();
    assert_eq!(add(&one).await, Written::Yes);
    assert_eq!(add(&two).await, Written::Full);
    assert_eq!(add(&one).await, Written::Yes, "a repeated write");
}

/// After the contract, not beside it: a store has only one list of jobs.
async fn the_newest_ended_jobs_are_kept(store: &RedisStore, prefix: &str) {
    let begin = store.server_time().await.unwrap();
    let job = |n: u64| Job {
        id: format!("{prefix}-{n}").parse().unwrap(),
        kind: JobKind::Reindex,
        state: JobState::Done,
        created_by: "tests".to_owned(),
        tenant: None,
        created_at: begin.after(Duration::from_millis(n)),
        dry_run: false,
        matched: 0,
        seen: 0,
        done: 0,
        finished_at: Some(begin),
        error: None,
    };
    let jobs: Vec<Job> = (0..=1000).map(job).collect();
    try_join_all(jobs.iter().map(|job| store.put_job(job))).await.unwrap();
    let (oldest, newest) = (store.job(&jobs[0].id), store.job(&jobs[1000].id));
    assert_eq!(oldest.await.unwrap(), None);
    assert_eq!(newest.await.unwrap().as_ref(), jobs.last());
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let (store, tenant) = store("scripts").await;
    store.ask::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await.unwrap();
    let added = store.add_endpoint(&endpoint(&tenant)).await.unwrap();
    assert_eq!(added, Written::Yes);
}

/// Asks until the store answers again.
async fn recovers(store: &RedisStore) {
    let answer = async {
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(RECOVERY_MAX, answer).await;
    answer.expect("it connects again by itself");
}

#[tokio::test]
async fn a_broken_connection_comes_back() {
    let (store, _) = store("broken").await;
    for _ in 0..3 {
        let id: u64 = store.ask(redis::cmd("CLIENT").arg("ID")).await.unwrap();
        let (killer, _) = self::store("broken").await;
        let mut kill = redis::cmd("CLIENT");
        killer.ask::<()>(kill.arg("KILL").arg("ID").arg(id)).await.unwrap();
        recovers(&store).await;
    }
}

/// After the contract, not beside it: it breaks the subscriptions of all.
async fn a_broken_subscription_comes_back_and_says_so(store: &RedisStore, prefix: &str) {
    let mut changes = store.changes().await.unwrap();
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("TYPE").arg("pubsub");
    store.ask::<()>(&kill).await.unwrap();
    hear(changes.as_mut(), &Change::Anything).await;

    let endpoint = endpoint(prefix);
    store.add_endpoint(&endpoint).await.unwrap();
    hear(changes.as_mut(), &Change::Tenant(endpoint.tenant)).await;
}

/// Switches a user of Redis itself on or off, and cuts its connections.
async fn switch(admin: &RedisStore, user: &str, state: &str) {
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg(user).arg(state);
    acl.arg(">word").arg("~*").arg("&*").arg("+@all");
    admin.ask::<()>(&acl).await.unwrap();
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("USER").arg(user);
    admin.ask::<()>(&kill).await.unwrap();
}

#[tokio::test]
async fn a_refused_login_is_tried_again() {
    let (admin, user) = store("refused").await;
    switch(&admin, &user, "on").await;
    let url = server().replacen("://", &format!("://{user}:word@"), 1);
    let store = RedisStore::connect(options(&url)).await.unwrap();

    switch(&admin, &user, "off").await;
    let refused = tokio::time::timeout(RECOVERY_MAX, async {
        while !matches!(store.ping().await, Err(StoreError::Refused(_))) {
            tokio::task::yield_now().await;
        }
    });
    assert!(refused.await.is_ok(), "it says that it is refused");

    switch(&admin, &user, "on").await;
    recovers(&store).await;
    let mut acl = redis::cmd("ACL");
    admin.ask::<()>(acl.arg("DELUSER").arg(&user)).await.unwrap();
}

async fn hear(changes: &mut dyn Changes, expected: &Change) {
    let heard =
        tokio::time::timeout(RECOVERY_MAX, async { while changes.next().await != *expected {} });
    assert!(heard.await.is_ok(), "{expected:?} is heard");
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let connect = async |url: &str| RedisStore::connect(options(url)).await.err();
    let unreachable = connect("redis://127.0.0.1:1").await;
    assert!(matches!(unreachable, Some(StoreError::Unavailable(_))), "{unreachable:?}");

    let wrong = server().replacen("://", "://nobody:hush-word@", 1);
    let wrong = connect(&wrong).await;
    assert!(matches!(wrong, Some(StoreError::Refused(_))), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("hush"), "{wrong:?}");

    let no_url = connect("redis//:hush-word@").await;
    assert!(matches!(no_url, Some(StoreError::Refused(_))), "{no_url:?}");
    assert!(!format!("{no_url:?}").contains("hush"), "{no_url:?}");
}

/// More letters than one call looks at, all of the same millisecond.
async fn many_letters_of_one_moment(store: &RedisStore, prefix: &str) {
    let letter = |n: usize| DeadLetter {
        id: format!("{prefix}-{n}").parse().unwrap(),
        reason: DeadLetterReason::Malformed,
        died_at: Timestamp::from_unix_ms(1_000),
        remains: Remains::Raw {
            bytes: Vec::new(),
            error: String::new(),
            idempotency_key: None,
            trace: None,
        },
    };
    let letters: Vec<DeadLetter> = (0..=LOOKED_AT_MAX).map(letter).collect();
    try_join_all(letters.iter().map(|letter| store.show_dead_letter(letter))).await.unwrap();

    let page = async |filter: &DeadLetterFilter, limit, cursor| {
        let request = PageRequest { limit, cursor };
        store.dead_letters(filter, &request).await.unwrap()
    };
    let all = DeadLetterFilter::default();
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = page(&all, 3_000, cursor).await;
        ids.extend(page.items.into_iter().map(|letter| letter.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(ids.len(), letters.len(), "each once");

    let none = DeadLetterFilter { reason: Some(DeadLetterReason::Gone), ..all.clone() };
    let first = page(&none, 10, None).await;
    assert!(first.items.is_empty() && first.next_cursor.is_some(), "it stops looking");
    let second = page(&none, 10, first.next_cursor).await;
    assert!(second.items.is_empty() && second.next_cursor.is_none(), "and goes on");
    let malformed = DeadLetterFilter { reason: Some(DeadLetterReason::Malformed), ..all };
    let count = store.count_dead_letters(&malformed).await.unwrap();
    assert_eq!(count, letters.len() as u64, "counted to the end");
    store.clear_dead_letters().await.unwrap();
}

/// Nothing but endpoints, letters and jobs stays for ever.
#[tokio::test]
async fn what_is_remembered_expires() {
    let (store, prefix) = store("expires").await;
    testing::intake(&store, &prefix).await;
    testing::gate(&store, &prefix).await;
    testing::record(&store, &prefix).await;
    testing::throttle(&store, &prefix).await;
    testing::attempts(&store, &prefix).await;
    testing::status(&store, &prefix).await;
    let keys: Vec<String> = store.connection().keys(format!("*{prefix}*")).await.unwrap();
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        let left_ms: i64 = store.connection().pttl(&key).await.unwrap();
        assert!(left_ms > 0, "{key} stays for ever");
    }
    let log = keys::attempts(&format!("{prefix}-log-ep").parse().unwrap());
    let lines: usize = store.connection().llen(log).await.unwrap();
    let kept = limits::ATTEMPTS_KEPT_MAX;
    assert!((kept..=kept + kept / 4).contains(&lines), "the log is bounded: {lines}");
}

/// An event whose delivery is tried again is not forgotten before its last attempt.
#[tokio::test]
async fn an_event_is_remembered_as_long_as_its_deliveries() {
    let (store, prefix) = store("kept").await;
    testing::status(&store, &prefix).await;
    let left = async |event: &str| -> i64 {
        let event = format!("{prefix}-st-{event}").parse().unwrap();
        let left_ms = store.connection().pttl(keys::event(&event)).await;
        left_ms.unwrap()
    };
    let day_ms = 24 * 3_600_000;
    assert!(left("fan").await <= day_ms, "nothing failed");
    assert!(left("go").await > 6 * day_ms, "an attempt failed");
}
