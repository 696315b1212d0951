//! A worker that dies in the middle: nothing is lost, and duplicates are only what was in flight.

use std::time::Duration;

use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver};
use e2e::{IN_A_WHILE, SOON, eventually};
use serde_json::{Value, json};

use crate::BINARY;

pub const EVENTS: usize = 10_000;
const CONCURRENCY: &str = "64";

/// A fifth of all first deliveries fails; whatever comes again succeeds. Takes a little while over
/// each, so that the work lasts.
pub async fn flaky_receiver() -> Receiver {
    Receiver::new(|_| {
        let status = if rand::random_ratio(1, 5) { 500 } else { 200 };
        Answer { after: Duration::from_millis(5), ..status.into() }
    })
    .await
}

/// Publishes so many events in batches, and answers their ids.
pub async fn publish(fleet: &Fleet, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let events: Vec<Value> = (0..count).map(|n| json!({"n": n})).collect();
    for chunk in events.chunks(1000) {
        ids.extend(fleet.client.batch(chunk).await);
    }
    assert_eq!(ids.len(), count);
    ids
}

/// Registers a receiver whose failures are retried soon and for long.
pub async fn subscribe(fleet: &Fleet, receiver: &Receiver) {
    let schedule = vec!["1s"; 25];
    let fields = json!({"url": receiver.url, "retry": {"schedule": schedule}, "timeout": "10s"});
    fleet.client.endpoint(&fields).await;
}

/// Waits until the store says of each event that it was delivered: how many requests were more than
/// needed.
pub async fn all_delivered(fleet: &Fleet, receiver: &Receiver, ids: &[String]) -> usize {
    for id in ids {
        eventually(&format!("event {id} is delivered"), IN_A_WHILE, || async {
            let (_, event) = fleet.client.get(&format!("/v1/tenants/acme/events/{id}")).await;
            (event["deliveries"][0]["status"] == "delivered").then_some(())
        })
        .await;
    }
    let tally = receiver.succeeded();
    for id in ids {
        assert!(tally.contains_key(id), "event {id} never arrived");
    }
    tally.values().map(|times| times - 1).sum()
}

#[tokio::test]
async fn a_killed_worker_loses_nothing() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver = flaky_receiver().await;
    subscribe(&fleet, &receiver).await;
    let doomed = fleet.start_worker(&["--concurrency", CONCURRENCY]).await;
    fleet.start_worker(&["--concurrency", CONCURRENCY]).await;
    let ids = publish(&fleet, EVENTS).await;
    receiver.wait_for(EVENTS / 2, IN_A_WHILE).await;
    fleet.process(doomed).kill().await;
    let duplicates = all_delivered(&fleet, &receiver, &ids).await;
    println!("{EVENTS} events delivered, {duplicates} of them twice after SIGKILL");
    let in_flight: usize = CONCURRENCY.parse().unwrap();
    assert!(duplicates <= in_flight, "{duplicates} duplicates, {in_flight} were in flight");
    let (_, letters) = fleet.client.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "nothing was given up");
}

#[tokio::test]
async fn a_rolling_restart_loses_nothing_and_repeats_nothing() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver =
        Receiver::new(|_| Answer { after: Duration::from_millis(50), ..200.into() }).await;
    subscribe(&fleet, &receiver).await;
    let mut old = fleet.start_worker(&["--concurrency", CONCURRENCY]).await;
    let ids = publish(&fleet, 3000).await;
    for round in 1..=3 {
        receiver.wait_for(round * 500, SOON).await;
        let new = fleet.start_worker(&["--concurrency", CONCURRENCY]).await;
        let status = fleet.process(old).terminate().await;
        assert!(status.success(), "{status}");
        old = new;
    }
    let duplicates = all_delivered(&fleet, &receiver, &ids).await;
    assert_eq!(duplicates, 0);
}

#[tokio::test]
async fn scaling_in_under_load_loses_nothing_and_repeats_nothing() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver =
        Receiver::new(|_| Answer { after: Duration::from_millis(50), ..200.into() }).await;
    subscribe(&fleet, &receiver).await;
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(fleet.start_worker(&["--concurrency", "16"]).await);
    }
    let ids = publish(&fleet, 2000).await;
    for (gone, worker) in workers.drain(1..).enumerate() {
        receiver.wait_for((gone + 1) * 400, IN_A_WHILE).await;
        let status = fleet.process(worker).terminate().await;
        assert!(status.success(), "{status}");
    }
    assert!(receiver.requests().len() < ids.len(), "there was load to the end");
    assert_eq!(all_delivered(&fleet, &receiver, &ids).await, 0);
}
