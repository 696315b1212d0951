//! Messages of other versions: what the first version wrote is read for good, and what a later one
//! writes is left to it.
//!
//! `tests/samples/v1` is what version 1 wrote, recorded. A file there is never changed.

use e2e::amqp::Amqp;
use e2e::client::text;
use e2e::fleet::{Fleet, MASTER_KEY};
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use hookfleet_domain::{Secret, Timestamp};
use hookfleet_queue::{Message, wire};
use hookfleet_store::{Sealer, wire as records};
use serde_json::json;

use crate::BINARY;

const EVENT: &[u8] = include_bytes!("../samples/v1/event.json");
const DELIVERY: &[u8] = include_bytes!("../samples/v1/delivery.json");
const DEAD_LETTERS: [&[u8]; 3] = [
    include_bytes!("../samples/v1/dead_delivery.json"),
    include_bytes!("../samples/v1/dead_event.json"),
    include_bytes!("../samples/v1/dead_message.json"),
];
const ENDPOINT: &[u8] = include_bytes!("../samples/v1/endpoint.json");

#[test]
fn what_version_1_wrote_is_read() {
    let accepted_at = Timestamp::from_unix_ms(1_700_000_000_123);
    let envelope = wire::Envelope { idempotency_key: None, trace: None, accepted_at };
    let Message::Event(event) = wire::decode_event(EVENT.to_vec(), envelope) else {
        panic!("the event is not read")
    };
    assert_eq!(wire::encode_event(&event), EVENT);
    let Message::Delivery(delivery) = wire::decode_delivery(DELIVERY.to_vec()) else {
        panic!("the delivery is not read")
    };
    assert_eq!(wire::encode_delivery(&delivery), DELIVERY);
    for bytes in DEAD_LETTERS {
        let letter = wire::decode_dead_letter(bytes).unwrap();
        assert_eq!(wire::encode_dead_letter(&letter), bytes);
    }
    let sealer = Sealer::new(&Secret::new(MASTER_KEY)).unwrap();
    let endpoint = records::decode_endpoint(&sealer, "a record", ENDPOINT).unwrap();
    assert_eq!(endpoint.secret, Some(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")));
    // Fields of a later version do not hinder this one.
    let later = String::from_utf8(ENDPOINT.to_vec()).unwrap();
    let later = later.replacen('{', r#"{"colour":"blue","#, 1);
    records::decode_endpoint(&sealer, "a record", later.as_bytes()).unwrap();
}

async fn put(amqp: &Amqp, exchange: &str, key: &str, body: &[u8]) {
    let options = lapin::options::BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = lapin::BasicProperties::default().with_delivery_mode(2);
    let sent = amqp.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    sent.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn what_a_later_version_wrote_is_left_to_it() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let worker = fleet.start_worker(&[]).await;
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let delivery: &[u8] = br#"{"v":2,"what":"a delivery"}"#;
    let event: &[u8] = br#"{"v":2,"what":"an event"}"#;
    let letter: &[u8] = br#"{"v":2,"what":"a dead letter"}"#;
    put(&amqp, "hookfleet.deliveries", "0", delivery).await;
    put(&amqp, "hookfleet.events", "acme.a.b", event).await;
    put(&amqp, "", "hookfleet.dead", letter).await;
    let process = &*fleet.process(worker);
    eventually("both are put off", SOON, || async {
        let newer = process.metric("hookfleet_newer_messages_total").await;
        (newer >= 2.0).then_some(())
    })
    .await;
    // A pass goes on past the letter.
    fleet.client.pass("replay", &json!({"filter": {}})).await;
    let (_, letters) = fleet.client.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "nothing was given up");
    assert!(fleet.process(worker).terminate().await.success());
    let bodies = async |queue| {
        let drained = amqp.drain(queue).await.into_iter().map(|message| message.data);
        let mut bodies: Vec<Vec<u8>> = drained.collect();
        bodies.sort();
        bodies
    };
    // A minute is 32 + 16 + 8 + 4 seconds.
    assert_eq!(bodies("hookfleet.delay.5").await, [delivery.to_vec(), event.to_vec()]);
    assert_eq!(bodies("hookfleet.dead").await, [letter.to_vec()]);
}

/// A worker takes over what version 1 left in the queues.
#[tokio::test]
async fn what_version_1_left_is_delivered() {
    let fleet = Fleet::started(BINARY, 1).await;
    let receiver = Receiver::answering(200).await;
    let endpoint = text(&fleet.client.endpoint(&json!({"url": receiver.url})).await, "id");
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let delivery = String::from_utf8(DELIVERY.to_vec()).unwrap().replace("ep_1", &endpoint);
    put(&amqp, "hookfleet.deliveries", "0", delivery.as_bytes()).await;
    put(&amqp, "hookfleet.intake", "0", EVENT).await;
    receiver.wait_for(2, SOON).await;
    let mut arrived: Vec<String> = receiver.succeeded().into_keys().collect();
    arrived.sort();
    assert_eq!(arrived, ["ev_1", "ev_2"]);
}
