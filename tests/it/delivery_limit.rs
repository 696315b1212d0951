//! A message that comes back again and again is never dropped by the broker; the worker gives it up
//! as poison, among the dead letters.

use e2e::amqp::Amqp;
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use serde_json::json;

use crate::BINARY;

const RETURNS: usize = 30;

/// Takes five messages and closes the connection without settling them.
async fn take_and_return(url: &str) {
    let amqp = Amqp::connect(url).await;
    amqp.channel.basic_qos(5, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let queue = "hookfleet.events.0".into();
    let subscribed = amqp.channel.basic_consume(queue, "".into(), options, FieldTable::default());
    let mut consumer = subscribed.await.unwrap();
    for _ in 0..5 {
        consumer.next().await.unwrap().unwrap();
    }
    amqp.connection.close(200, "bye".into()).await.unwrap();
}

#[tokio::test]
async fn what_came_back_thirty_times_is_still_there() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let events: Vec<_> = (0..5).map(|n| json!({"n": n})).collect();
    let mut ids = fleet.client.batch(&events).await;
    for _ in 0..RETURNS {
        take_and_return(&fleet.services().unwrap().amqp_url).await;
    }
    fleet.start_worker(&[]).await;
    let letters = fleet.client.dead_letters(5).await;
    let mut found: Vec<_> =
        letters.iter().map(|letter| e2e::client::text(letter, "event_id")).collect();
    ids.sort();
    found.sort();
    assert_eq!(found, ids);
    assert!(letters.iter().all(|letter| letter["reason"] == "poison"), "{letters:?}");
    // And an operator can have them delivered after all.
    fleet.client.pass("replay", &json!({"filter": {}})).await;
    receiver.wait_for(5, e2e::SOON).await;
}
