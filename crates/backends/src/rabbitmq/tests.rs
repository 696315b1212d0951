//! The queue's contract, kept by RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{Clock, Draft, EventId, Secret, Timestamp};
use hookfleet_queue::{Outgoing, Queue, testing};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{Archive, RabbitOptions, RabbitQueue};

#[expect(clippy::disallowed_methods, reason = "the services script tells by the environment")]
fn amqp_url() -> Secret {
    let url = std::env::var("HOOKFLEET_AMQP_URL");
    Secret::new(url.expect("HOOKFLEET_AMQP_URL is not set: run the tests with `make test`"))
}

/// The broker's own clock says where the archive begins.
#[expect(clippy::disallowed_methods, reason = "the archive goes by the time of day")]
fn clock() -> Arc<dyn Clock> {
    Arc::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_unix_ms(i64::try_from(now.unwrap().as_millis()).unwrap())
    })
}

async fn queue(partitions: u16) -> RabbitQueue {
    let (url, name) = (amqp_url(), "contract".to_owned());
    let archive = Archive { max_age: "1h".to_owned(), bytes_max: 100_000_000 };
    let options = RabbitOptions { url, partitions, archive: Some(archive), name };
    RabbitQueue::connect(options, clock()).await.unwrap()
}

/// One test for all: they share the broker's default virtual host.
#[tokio::test]
async fn contract() {
    for partitions in [1, 2] {
        let queue = queue(partitions).await;
        testing::messages_come_as_they_went(&queue).await;
        testing::depths_are_told(&queue).await;
        testing::what_is_newer_is_kept_as_it_is(&queue).await;
        testing::what_is_not_settled_comes_again(&queue).await;
        testing::delays_are_kept(&queue).await;
        testing::passes_see_everything_once(&queue).await;
        testing::the_archive_keeps_events(&queue, clock().now()).await;
        testing::the_archive_is_searched(&queue, clock().now()).await;
        if partitions == 1 {
            // Prefetch counts for each partition.
            testing::one_among_many_comes_again(&queue).await;
            testing::leasing_is_bounded(&queue).await;
        }
        what_is_in_hand_at_the_end_goes_back(&queue).await;
        queue.close().await;
    }
}

async fn what_is_in_hand_at_the_end_goes_back(queue: &RabbitQueue) {
    let now = clock().now();
    let draft = Draft {
        tenant: "acme".parse().unwrap(),
        event_type: "in.hand".parse().unwrap(),
        project: None,
        timestamp: None,
        data: RawValue::from_string("1".to_owned()).unwrap().into(),
        idempotency_key: None,
        trace: None,
    };
    let event = draft.accept(EventId::generate(now), now);
    queue.publish(Outgoing::Event(&event)).await.unwrap();
    let mut leases = queue.leases(8).await.unwrap();
    let in_hand = leases.next().await.unwrap();
    leases.close().await;
    let mut others = queue.leases(8).await.unwrap();
    let again = timeout(Duration::from_secs(20), others.next()).await.expect("it comes again");
    let again = again.unwrap();
    assert!(again.redeliveries > 0, "it is the same");
    again.receipt.settle().await.unwrap();
    in_hand.receipt.settle().await.unwrap_err();
    others.close().await;
}
