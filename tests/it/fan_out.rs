//! One event for many endpoints.

use e2e::SOON;
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use serde_json::json;

use crate::BINARY;

/// More than one worker delivers by itself.
const MANY: usize = 40;

#[tokio::test]
async fn every_endpoint_that_wants_it_gets_it_once() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver = Receiver::answering(200).await;
    for n in 0..MANY {
        // The first three want it alone, so that one event goes inline and one is split.
        let events = if n < 3 { json!(["test.*", "few.event"]) } else { json!(["test.event"]) };
        let url = format!("{}/{n}", receiver.url);
        fleet.client.endpoint(&json!({"url": url, "events": events})).await;
    }
    fleet.client.endpoint(&json!({"url": receiver.url, "events": ["other.*"]})).await;
    fleet.client.endpoint(&json!({"url": receiver.url, "active": false})).await;
    let worker = fleet.start_worker(&["--concurrency", "2"]).await;
    fleet.client.event(&json!(1)).await;
    let mut paths: Vec<String> = receiver
        .wait_for(MANY, SOON)
        .await
        .iter()
        .map(|request| request.line().to_owned())
        .collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), MANY);

    let few = json!({"type": "few.event", "data": 1});
    assert_eq!(fleet.client.post("/v1/tenants/acme/events", &few).await.0, 202);
    receiver.wait_for(MANY + 3, SOON).await;
    assert!(fleet.process(worker).terminate().await.success());
    assert_eq!(receiver.requests().len(), MANY + 3);
}
