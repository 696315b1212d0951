//! Broker and store go away in the middle of a load and come back. (Tests whose names hold "outage"
//! run alone: all tests share one broker and one store.)

use std::time::Duration;

use e2e::IN_A_WHILE;
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use serde_json::json;
use tokio::time::sleep;

use crate::BINARY;
use crate::crash::{EVENTS, all_delivered, flaky_receiver, publish, subscribe};

/// An API and two workers, a third into a load.
async fn under_load() -> (Fleet, Receiver, Vec<String>) {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver = flaky_receiver().await;
    subscribe(&fleet, &receiver).await;
    for _ in 0..2 {
        fleet.start_worker(&["--concurrency", "64"]).await;
    }
    let ids = publish(&fleet, EVENTS).await;
    receiver.wait_for(EVENTS / 3, IN_A_WHILE).await;
    (fleet, receiver, ids)
}

/// Long enough for messages to go round, if they did. (`make chaos` has one of a minute.)
const STORE_OUTAGE: Duration = Duration::from_secs(15);

/// An event is refused, and its publisher is told when to come again.
async fn refuses(fleet: &Fleet) -> bool {
    let request = fleet.client.request(reqwest::Method::POST, "/v1/tenants/acme/events");
    let request = request.header("content-type", "application/json");
    let answer = request.body(r#"{"type":"a.b","data":1}"#).send().await.unwrap();
    let later = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let later = later.and_then(|seconds| seconds.parse::<u64>().ok());
    answer.status() == 503 && later.is_some_and(|seconds| seconds > 0)
}

#[tokio::test]
async fn broker_outage_loses_nothing() {
    let (fleet, receiver, ids) = under_load().await;
    fleet.services().unwrap().kill_broker().await;
    assert!(refuses(&fleet).await);
    fleet.services().unwrap().start_broker().await;
    // Publishers come back by themselves, too.
    let late = eventually("publishing works again", SOON, || async {
        let event = json!({"type": "late.event", "data": 1});
        let (status, published) = fleet.client.post("/v1/tenants/acme/events", &event).await;
        (status == 202).then(|| e2e::client::text(&published, "id"))
    })
    .await;
    let ids: Vec<String> = ids.into_iter().chain([late]).collect();
    let duplicates = all_delivered(&fleet, &receiver, &ids).await;
    println!(
        "{} events delivered, {duplicates} of them twice after the broker's SIGKILL",
        ids.len()
    );
    let (_, letters) = fleet.client.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "nothing was given up");
}

#[tokio::test]
async fn store_outage_pauses_workers_and_loses_nothing() {
    let (mut fleet, receiver, ids) = under_load().await;
    fleet.services().unwrap().kill_store().await;
    assert!(refuses(&fleet).await, "the API refuses writes");
    sleep(STORE_OUTAGE).await;
    assert!(refuses(&fleet).await, "and goes on to do so");
    // What was in flight when it stopped has come to an end; after that, nothing is sent.
    let before = receiver.requests().len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(receiver.requests().len(), before, "the workers pause");
    for worker in 1..=2 {
        let redeliveries = fleet.process(worker).metric("hookfleet_redeliveries_total").await;
        assert!(redeliveries < 1.0, "messages went round: {redeliveries}");
    }
    fleet.services().unwrap().start_store().await;
    all_delivered(&fleet, &receiver, &ids).await;
    let (_, letters) = fleet.client.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "nothing was given up");
}

#[tokio::test]
async fn alarm_outage_is_back_pressure() {
    let fleet = Fleet::started(BINARY, 1).await;
    let event = json!({"type": "a.b", "data": 1});
    fleet.services().unwrap().rabbitmqctl(&["set_vm_memory_high_watermark", "0.000001"]).await;
    eventually("the API says 503", SOON, || async { refuses(&fleet).await.then_some(()) }).await;
    fleet.services().unwrap().rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    eventually("the API takes events in again", SOON, || async {
        let (status, _) = fleet.client.post("/v1/tenants/acme/events", &event).await;
        (status == 202).then_some(())
    })
    .await;
}
