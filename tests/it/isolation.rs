//! One endpoint gets only so many requests at once, and does not take every slot of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use e2e::client::text;
use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver};
use e2e::{IN_A_WHILE, SOON, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::BINARY;

crate::on_both_backends!(
    in_flight_is_bounded_for_each_endpoint,
    a_rate_is_kept_by_all_workers,
    a_breaker_puts_off_what_can_wait,
);

async fn in_flight_is_bounded_for_each_endpoint(fleet: Fleet) {
    let receiver =
        Receiver::new(|_| Answer { after: Duration::from_millis(200), ..200.into() }).await;
    fleet.client.endpoint(&json!({"url": receiver.url, "max_in_flight": 3})).await;
    let events: Vec<Value> = (0..30).map(|n| json!(n)).collect();
    let ids = fleet.client.batch(&events).await;
    receiver.wait_for(ids.len(), SOON).await;
    assert_eq!(receiver.busiest(), 3);
    assert_eq!(receiver.requests().len(), ids.len(), "being deferred is not an attempt");
}

async fn a_rate_is_kept_by_all_workers(fleet: Fleet) {
    let mut fleet = fleet;
    if fleet.services().is_some() {
        fleet.start_worker(&[]).await;
    }
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url, "rate_limit": "20/s"})).await;
    let begun = Instant::now();
    let events: Vec<Value> = (0..60).map(|n| json!(n)).collect();
    fleet.client.batch(&events).await;
    let mut requests = receiver.wait_for(60, SOON).await;
    requests.sort_by_key(|request| request.at);
    for (n, request) in (0..).zip(&requests) {
        // Each has a time of its own, and none comes before it.
        let earliest = Duration::from_millis(50) * n;
        assert!(request.at - begun >= earliest, "request {n} after {:?}", request.at - begun);
    }
    assert_eq!(receiver.requests().len(), 60, "being deferred is not an attempt");
}

async fn a_breaker_puts_off_what_can_wait(fleet: Fleet) {
    let status = Arc::new(AtomicU16::new(500));
    let answers = Arc::clone(&status);
    let receiver = Receiver::new(move |_| Answer::from(answers.load(Ordering::SeqCst))).await;
    let fields = json!({"url": receiver.url, "retry": {"schedule": ["1h"]}});
    let id = text(&fleet.client.endpoint(&fields).await, "id");
    let path = format!("/v1/tenants/acme/endpoints/{id}");
    let events: Vec<Value> = (0..60).map(|n| json!(n)).collect();
    fleet.client.batch(&events).await;
    let open = eventually("all failed or were put off", SOON, || async {
        let (_, shown) = fleet.client.get(&path).await;
        let (failures, deferred) = (shown["failures"].as_u64()?, shown["deferred"].as_u64()?);
        (failures + deferred == 60).then_some(shown)
    })
    .await;
    assert_eq!(open["breaker"], "open");
    assert!(open["next_attempt_at"].is_string());
    let (failed, deferred) =
        (open["failures"].as_u64().unwrap(), open["deferred"].as_u64().unwrap());
    // Ten opened it; as many as a new lane is wide may have been under way.
    assert!((10..=18).contains(&failed), "{failed} attempts were made");

    status.store(200, Ordering::SeqCst);
    let delivered = eventually("what was put off is delivered", IN_A_WHILE, || async {
        let (_, shown) = fleet.client.get(&path).await;
        (shown["successes"] == deferred).then_some(shown)
    })
    .await;
    assert_eq!(
        (&delivered["breaker"], &delivered["next_attempt_at"]),
        (&json!("closed"), &Value::Null)
    );
    assert_eq!(receiver.requests().len() as u64, failed + deferred, "each was tried once");
    let again = delivered["deferred"].as_u64().unwrap();
    assert!(again <= deferred + 5, "{again} times, for {deferred} deliveries");
}

#[tokio::test]
async fn an_endpoint_that_hangs_leaves_slots_to_the_others() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let hanging = Receiver::new(|_| Answer { after: Duration::from_mins(5), ..200.into() }).await;
    let healthy = Receiver::answering(200).await;
    let fields = json!({"url": hanging.url, "timeout": "60s", "max_in_flight": 4});
    fleet.client.endpoint(&fields).await;
    let events: Vec<Value> = (0..100).map(|n| json!(n)).collect();
    fleet.client.batch(&events).await;
    fleet.start_worker(&["--concurrency", "8"]).await;
    hanging.wait_for(4, SOON).await;
    fleet.client.endpoint(&json!({"url": healthy.url, "events": ["late.event"]})).await;
    let late = json!({"type": "late.event", "data": 1});
    assert_eq!(fleet.client.post("/v1/tenants/acme/events", &late).await.0, 202);
    healthy.wait_for(1, SOON).await;
    assert_eq!(hanging.busiest(), 4);
}
