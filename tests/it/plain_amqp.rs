//! Any AMQP client can publish; what is no event lies among the dead letters.

use e2e::amqp::Amqp;
use e2e::client::text;
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::BINARY;

#[tokio::test]
async fn a_plain_client_publishes() {
    let fleet = Fleet::started(BINARY, 1).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url, "profile": "content-engine"})).await;
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let body = r#"{"tenant":"acme","type":"content.created","data":{"b": 1.50}}"#;
    amqp.publish("acme.content.created", Some("key-1"), body).await;
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("idempotency-key"), Some("key-1"));
    assert!(requests[0].text().ends_with(r#""data":{"b": 1.50}}"#));

    // The same key again is the same event; without a key, each message is an event.
    amqp.publish("acme.content.created", Some("key-1"), body).await;
    amqp.publish("acme.content.created", None, body).await;
    amqp.publish("acme.content.created", None, body).await;
    let with_id = r#"{"tenant":"acme","type":"content.created","id":"my-id-1","data":1}"#;
    amqp.publish("acme.content.created", None, with_id).await;
    receiver.wait_for(4, SOON).await;
    eventually("the event with an id of its own is known by it", SOON, || async {
        let (_, event) = fleet.client.get("/v1/tenants/acme/events/my-id-1").await;
        (event["deliveries"][0]["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(receiver.requests().len(), 4);
}

/// Headers come in one frame, as large as the broker lets the publisher's be.
#[tokio::test]
async fn large_headers_do_no_harm() {
    let fleet = Fleet::started(BINARY, 1).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let mut headers = FieldTable::default();
    headers.insert("large".into(), AMQPValue::LongString("x".repeat(100_000).into()));
    let body = r#"{"tenant":"acme","type":"content.created","data":1}"#;
    let properties = BasicProperties::default().with_headers(headers);
    amqp.publish_with("acme.content.created", properties, body).await;
    amqp.publish("acme.content.created", None, body).await;
    receiver.wait_for(2, SOON).await;
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn what_is_no_event_is_kept_raw() {
    let fleet = Fleet::started(BINARY, 1).await;
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    amqp.publish("acme.a.b", None, "this is no JSON").await;
    let letters = fleet.client.dead_letters(1).await;
    assert_eq!(letters[0]["reason"], "malformed");
    let path = format!("/v1/dead-letters/{}", text(&letters[0], "id"));
    let (_, letter) = fleet.client.get(&path).await;
    assert_eq!(letter["payload"]["raw_base64"], "dGhpcyBpcyBubyBKU09O");
    assert!(letter["payload"]["error"].as_str().unwrap().contains("line 1"));

    // The queue is the truth: the letter lies there, once.
    assert_eq!(amqp.drain("hookfleet.dead").await.len(), 1);
}
