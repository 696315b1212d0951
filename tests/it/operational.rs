//! A tenant is told what happened to its endpoints and deliveries, if it asks for it by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use e2e::client::text;
use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver, Request};
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(who_asks_by_name_is_told, two_that_fail_do_not_tell_each_other_forever);

/// The types of the events that came, and their data.
fn told(requests: &[Request]) -> Vec<(String, Value)> {
    let told = requests.iter().map(Request::json);
    told.map(|body| (text(&body, "type"), body["data"].clone())).collect()
}

async fn who_asks_by_name_is_told(fleet: Fleet) {
    let listener = Receiver::answering(200).await;
    let named = json!({"url": listener.url, "events": ["endpoint.*", "dead_letter.created"]});
    let secret = text(&fleet.client.endpoint(&named).await, "secret");
    let everything = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": everything.url})).await;
    let status = Arc::new(AtomicU16::new(500));
    let answers = Arc::clone(&status);
    let unsteady = Receiver::new(move |_| Answer::from(answers.load(Ordering::SeqCst))).await;
    let fields = json!({"url": unsteady.url, "name": "CMS", "retry": {"schedule": []}});
    let id = text(&fleet.client.endpoint(&fields).await, "id");

    // The last failure, one success, and 410: published one after the other.
    for (n, answered) in [500, 500, 500, 500, 500, 500, 200, 410].into_iter().enumerate() {
        status.store(answered, Ordering::SeqCst);
        fleet.client.event(&json!(n)).await;
        unsteady.wait_for(n + 1, SOON).await;
        let path = format!("/v1/tenants/acme/endpoints/{id}");
        eventually("the attempt is counted", SOON, || async {
            let (_, endpoint) = fleet.client.get(&path).await;
            let made = endpoint["successes"].as_u64()? + endpoint["failures"].as_u64()?;
            (made == n as u64 + 1).then_some(())
        })
        .await;
    }
    // Seven dead letters, and one of each of the others.
    let requests = listener.wait_for(10, SOON).await;
    assert!(requests.iter().all(|request| request.verifies(&secret)), "signed like any other");
    let told = told(&requests);
    let of = |wanted: &str| -> Vec<&Value> {
        told.iter().filter(|(kind, _)| kind == wanted).map(|(_, data)| data).collect()
    };
    let failing = json!({"endpoint_id": id, "name": "CMS", "failure_count": 5});
    assert_eq!(of("endpoint.failing"), [&failing], "once");
    let recovered = json!({"endpoint_id": id, "name": "CMS", "failure_count": 6});
    assert_eq!(of("endpoint.recovered"), [&recovered]);
    let disabled = json!({"endpoint_id": id, "name": "CMS", "reason": "gone"});
    assert_eq!(of("endpoint.disabled"), [&disabled]);
    let letters = of("dead_letter.created");
    assert_eq!(letters.len(), 7);
    let gone = letters.iter().find(|letter| letter["reason"] == "gone").unwrap();
    let (status, letter) =
        fleet.client.get(&format!("/v1/dead-letters/{}", text(gone, "dead_letter_id"))).await;
    assert_eq!((status, &letter["event_id"]), (200, &gone["event_id"]));

    let event = requests[0].header("webhook-id").unwrap();
    let (_, shown) = fleet.client.get(&format!("/v1/tenants/acme/events/{event}")).await;
    assert_eq!(
        shown["deliveries"].as_array().unwrap().len(),
        1,
        "an event like any other: {shown}"
    );
    let ours = |request: &Request| request.text().contains("test.event");
    assert!(everything.requests().iter().all(ours), "who wants all wants the publishers'");
}

async fn two_that_fail_do_not_tell_each_other_forever(fleet: Fleet) {
    let failing = Receiver::answering(500).await;
    for events in [json!(["dead_letter.*", "endpoint.*", "test.event"]), json!(["dead_letter.*"])] {
        let fields = json!({"url": failing.url, "events": events, "retry": {"schedule": []}});
        fleet.client.endpoint(&fields).await;
    }
    fleet.client.event(&json!(1)).await;
    let letters = fleet.client.dead_letters(2).await;
    let mut types: Vec<_> = letters.iter().map(|letter| text(letter, "event_type")).collect();
    types.sort();
    assert_eq!(types, ["dead_letter.created", "test.event"]);
    // Whatever else there was to tell would have been published before this one.
    fleet.client.event(&json!(2)).await;
    fleet.client.dead_letters(4).await;
    assert_eq!(failing.requests().len(), 4);
}
