//! A second worker gets its share of a backlog at once.

use std::time::Duration;

use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver};
use e2e::{SOON, eventually};

use crate::BINARY;
use crate::crash::{publish, subscribe};

#[tokio::test]
async fn a_second_worker_gets_its_share() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver =
        Receiver::new(|_| Answer { after: Duration::from_millis(100), ..200.into() }).await;
    subscribe(&fleet, &receiver).await;
    publish(&fleet, 1000).await;
    let first = fleet.start_worker(&["--concurrency", "10"]).await;
    receiver.wait_for(30, SOON).await;
    let second = fleet.start_worker(&["--concurrency", "10"]).await;
    eventually("the second one works, while the first still does", SOON, || async {
        (receiver.requests().len() >= 300).then_some(())
    })
    .await;
    let taken = [
        fleet.process(first).metric("hookfleet_leases_total").await,
        fleet.process(second).metric("hookfleet_leases_total").await,
    ];
    assert!(taken[1] >= 60.0, "leases taken by each: {taken:?}");
}
