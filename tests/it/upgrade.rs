//! Messages and records of other versions: what the first version wrote is read for good, and what a later one
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
use hookfleet_store::{Sealer, StoreError, wire as records};
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::BINARY;

const EVENT: &[u8] = include_bytes!("../samples/v1/event.json");
const DELIVERY: &[u8] = include_bytes!("../samples/v1/delivery.json");
const ARCHIVED: &[u8] = include_bytes!("../samples/v1/archived.json");
const DEAD_LETTERS: [&[u8]; 3] = [
    include_bytes!("../samples/v1/dead_delivery.json"),
    include_bytes!("../samples/v1/dead_event.json"),
    include_bytes!("../samples/v1/dead_message.json"),
];
const ENDPOINT: &[u8] = include_bytes!("../samples/v1/endpoint.json");
const TOKEN: &[u8] = include_bytes!("../samples/v1/token.json");
const JOB: &[u8] = include_bytes!("../samples/v1/job.json");

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
    let archived = wire::decode_archived(ARCHIVED).unwrap();
    assert_eq!(wire::encode_archived(&archived), ARCHIVED);
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
    // At first, records did not say their version; it is all that has been added.
    let same = |written: &str, recorded: &[u8]| {
        let mut written: Value = serde_json::from_str(written).unwrap();
        assert_eq!(written.as_object_mut().unwrap().remove("v"), Some(json!(1)));
        assert_eq!(written, serde_json::from_slice::<Value>(recorded).unwrap());
    };
    let token = records::decode_token("a record", TOKEN).unwrap();
    same(&records::encode_token(&token).unwrap(), TOKEN);
    let job = records::decode_job("a record", JOB).unwrap();
    same(&records::encode_job(&job).unwrap(), JOB);
}

#[test]
fn a_record_of_a_later_version_is_named_as_such() {
    let sealer = Sealer::new(&Secret::new(MASTER_KEY)).unwrap();
    // Whether or not it could be read by halves.
    for (v, record) in [(2, ENDPOINT), (3, TOKEN), (4, JOB), (5, b"{}")] {
        let later = String::from_utf8(record.to_vec()).unwrap();
        let separator = if later == "{}" { "" } else { "," };
        let later = later.replacen('{', &format!("{{\"v\":{v}{separator}"), 1).into_bytes();
        for error in [
            records::decode_endpoint(&sealer, "key", &later).unwrap_err(),
            records::decode_token("key", &later).unwrap_err(),
            records::decode_job("key", &later).unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::Newer { version, .. } if *version == v),
                "{error}"
            );
            assert!(error.to_string().contains("run the newer release"), "{error}");
        }
    }
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
    put(&amqp, "", "hookfleet.events.0", EVENT).await;
    receiver.wait_for(2, SOON).await;
    let mut arrived: Vec<String> = receiver.succeeded().into_keys().collect();
    arrived.sort();
    assert_eq!(arrived, ["ev_1", "ev_2"]);
}

/// An endpoint that a later release wrote: what its tenant's events need waits for a worker of that
/// release, and nobody changes it meanwhile.
#[tokio::test]
async fn what_needs_a_record_of_a_later_version_is_left_to_it() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let worker = fleet.start_worker(&[]).await;
    let receiver = Receiver::answering(200).await;
    let id = text(&fleet.client.endpoint(&json!({"url": receiver.url})).await, "id");
    let mut redis = fleet.services().unwrap().redis().await;
    let key = "hf:{t:acme}:endpoints";
    let known: String = redis.hget(key, &id).await.unwrap();
    let newer = known.replacen("\"v\":1", "\"v\":2", 1);
    assert_ne!(newer, known, "it says its version");
    let mut write = async |record: &str| {
        redis.hset::<_, _, _, ()>(key, &id, record).await.unwrap();
        redis.publish::<_, _, ()>("hf:changes", "acme").await.unwrap();
    };
    write(&newer).await;

    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let delivery = String::from_utf8(DELIVERY.to_vec()).unwrap().replace("ep_1", &id);
    put(&amqp, "hookfleet.deliveries", "0", delivery.as_bytes()).await;
    put(&amqp, "", "hookfleet.events.0", EVENT).await;
    let process = &*fleet.process(worker);
    eventually("both are put off", SOON, || async {
        let newer = process.metric("hookfleet_newer_messages_total").await;
        (newer >= 2.0).then_some(())
    })
    .await;
    let path = format!("/v1/tenants/acme/endpoints/{id}");
    let (status, problem) = fleet.client.patch(&path, &json!({"name": "changed"})).await;
    assert_eq!(status, 503, "{problem}");
    assert!(problem.to_string().contains("run the newer release"), "{problem}");
    assert!(receiver.requests().is_empty());

    // Whoever knows it delivers: this worker, once the record is one that it knows.
    write(&known).await;
    let put_off = eventually("both wait", SOON, || async {
        let waiting = amqp.drain("hookfleet.delay.5").await;
        (waiting.len() == 2).then_some(waiting)
    })
    .await;
    for message in put_off {
        let options = lapin::options::BasicPublishOptions::default();
        let (exchange, key) = ("hookfleet.deliveries".into(), "0".into());
        let sent =
            amqp.channel.basic_publish(exchange, key, options, &message.data, message.properties);
        sent.await.unwrap().await.unwrap();
    }
    receiver.wait_for(2, SOON).await;
    let mut arrived: Vec<String> = receiver.succeeded().into_keys().collect();
    arrived.sort();
    assert_eq!(arrived, ["ev_1", "ev_2"]);
}

#[tokio::test]
async fn a_job_of_a_later_version_is_left_to_it_and_hinders_no_other() {
    let fleet = Fleet::started(BINARY, 1).await;
    let mut redis = fleet.services().unwrap().redis().await;
    let later = r#"{"v":2,"id":"job_1","what":"a job"}"#;
    redis.hset::<_, _, _, ()>("{hf:jobs}:all", "job_1", later).await.unwrap();
    redis.zadd::<_, _, _, ()>("{hf:jobs}:open", "job_1", 1).await.unwrap();
    fleet.client.pass("discard", &json!({"filter": {}})).await;
    let (status, problem) = fleet.client.get("/v1/jobs/job_1").await;
    assert_eq!(status, 503, "{problem}");
    assert!(problem.to_string().contains("run the newer release"), "{problem}");
    let kept: String = redis.hget("{hf:jobs}:all", "job_1").await.unwrap();
    assert_eq!(kept, later);
}
