//! One endpoint gets only so many requests at once, and does not take every slot of a worker.

use std::time::Duration;

use e2e::SOON;
use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver};
use serde_json::{Value, json};

use crate::BINARY;

crate::on_both_backends!(in_flight_is_bounded_for_each_endpoint);

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
