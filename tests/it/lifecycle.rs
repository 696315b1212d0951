//! Starting without broker or store, with the wrong password, on queues declared differently.

use std::time::Duration;

use e2e::amqp::Amqp;
use e2e::fleet::{Fleet, free_port};
use e2e::receiver::{Answer, Receiver};
use e2e::{SOON, eventually};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::json;

use crate::BINARY;

#[tokio::test]
async fn waits_for_a_broker_that_is_out_of_reach() {
    let mut fleet = Fleet::new(BINARY).await;
    fleet.services_mut().unwrap().amqp_url =
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let process = fleet.spawn(&["api", "--listen", &listen]);
    eventually("it is live", SOON, || async {
        let answer = reqwest::get(format!("{}/healthz", process.ops_url)).await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    assert!(!process.is_ready().await);
    let event = json!({"type": "a.b", "data": 1});
    let (status, problem) = fleet.client.post("/v1/tenants/acme/events", &event).await;
    assert_eq!(status, 503, "{problem}");
}

#[tokio::test]
async fn a_wrong_password_fails_at_once() {
    let mut fleet = Fleet::new(BINARY).await;
    let url = &mut fleet.services_mut().unwrap().amqp_url;
    let (login, rest) = url.rsplit_once('@').unwrap();
    let (scheme_and_user, _) = login.rsplit_once(':').unwrap();
    *url = format!("{scheme_and_user}:wrong-password@{rest}");
    let (code, _, errors) = fleet.run(&["worker", "--metrics-listen", "127.0.0.1:0"]).await;
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains("the broker") && errors.contains("ACCESS"), "{errors}");
    assert!(!errors.contains("wrong-password"), "{errors}");
}

#[tokio::test]
async fn a_queue_declared_differently_is_named() {
    let fleet = Fleet::new(BINARY).await;
    let amqp = Amqp::connect(&fleet.services().unwrap().amqp_url).await;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let queue = amqp.channel.queue_declare("hookfleet.dead".into(), options, FieldTable::default());
    queue.await.unwrap();
    let (code, _, errors) = fleet.run(&["worker", "--metrics-listen", "127.0.0.1:0"]).await;
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains("queue hookfleet.dead is declared differently"), "{errors}");
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let fleet = Fleet::new(BINARY).await;
    let check = async |arguments: &[&str], why: &str| {
        let (code, _, errors) = fleet.run(arguments).await;
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains(why), "{errors}");
    };
    check(&["worker", "--drain-timeout", "soon"], "duration \"soon\" is invalid").await;
    check(&["worker", "--concurrency", "0"], "1..=10000").await;
    check(&["worker", "--allow-private-networks", "lan"], "network \"lan\" is invalid").await;
    check(&["worker", "--master-key", "short"], "64 hex digits").await;
    let file = std::env::temp_dir().join(format!("hookfleet-config-{}", std::process::id()));
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nfleet_size = 3\n").unwrap();
    let path = file.to_str().unwrap();
    check(&["worker", "--config", path], "unknown field `fleet_size`").await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn sigterm_finishes_what_is_under_way() {
    let mut fleet = Fleet::started(BINARY, 0).await;
    let receiver = Receiver::new(|_| Answer { after: Duration::from_secs(2), ..200.into() }).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let worker = fleet.start_worker(&[]).await;
    let id = fleet.client.event(&json!({})).await;
    receiver.wait_for(1, SOON).await;
    let ops = fleet.process(worker).ops_url.clone();
    let answers = async |path: &str, status: u16| {
        let answer = reqwest::get(format!("{ops}{path}")).await;
        answer.is_ok_and(|answer| answer.status() == status).then_some(())
    };
    let drained = async {
        eventually("it is not ready any more", SOON, || answers("/readyz", 503)).await;
        eventually("it is live to the end", SOON, || answers("/healthz", 200)).await;
        eventually("so are its metrics", SOON, || answers("/metrics", 200)).await;
    };
    let (status, ()) = tokio::join!(fleet.process(worker).terminate(), drained);
    assert!(status.success());
    let (_, event) = fleet.client.get(&format!("/v1/tenants/acme/events/{id}")).await;
    assert_eq!(event["deliveries"][0]["status"], "delivered");
    assert_eq!(receiver.requests().len(), 1);
}
