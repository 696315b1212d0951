//! Past events go out again, from the archive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::SOON;
use e2e::client::text;
use e2e::eventually;
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use serde_json::{Value, json};

crate::on_both_backends!(
    to_all_who_want_it_or_to_some,
    what_is_not_archived_is_not_found,
    what_an_endpoint_missed,
);

async fn delivered(fleet: &Fleet, id: &str, endpoint: &str, generation: u64) -> Value {
    eventually("it is delivered again", SOON, || async {
        let (_, event) = fleet.client.get(&format!("/v1/tenants/acme/events/{id}")).await;
        let mut deliveries = event["deliveries"].as_array().unwrap().iter();
        let mine = deliveries.find(|delivery| delivery["endpoint_id"] == endpoint)?;
        let again = mine["status"] == "delivered" && mine["generation"] == generation;
        again.then(|| mine.clone())
    })
    .await
}

async fn to_all_who_want_it_or_to_some(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    let mut endpoints = Vec::new();
    for (path, events) in [("a", json!(["test.*"])), ("b", json!([])), ("c", json!(["other.*"]))] {
        let fields = json!({"url": format!("{}/{path}", receiver.url), "events": events});
        endpoints.push(text(&fleet.client.endpoint(&fields).await, "id"));
    }
    let id = fleet.client.event(&json!({"n": 1.50})).await;
    let first = receiver.wait_for(2, SOON).await;
    for endpoint in &endpoints[..2] {
        delivered(&fleet, &id, endpoint, 0).await;
    }

    let resend = format!("/v1/tenants/acme/events/{id}/resend");
    let (status, answer) = fleet.client.post(&resend, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["endpoint_ids"], json!(endpoints[..2]));
    let again = receiver.wait_for(4, SOON).await;
    assert_eq!(again[2].body, first[0].body, "byte for byte");
    assert_eq!(again[2].header("webhook-id"), Some(id.as_str()));
    for endpoint in &endpoints[..2] {
        delivered(&fleet, &id, endpoint, 1).await;
    }

    let command = ["event", "resend", "--tenant", "acme", &id, "--endpoint", &endpoints[2]];
    let (code, _, errors) = fleet.run(&command).await;
    assert_eq!(code, 0, "{errors}");
    delivered(&fleet, &id, &endpoints[2], 1).await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5, "to that one alone");
    assert!(requests[4].line().contains("/c"), "though it did not subscribe");
}

async fn what_is_not_archived_is_not_found(fleet: Fleet) {
    let (_, other) =
        fleet.client.post("/v1/tenants/other/events", &json!({"type": "a.b", "data": 1})).await;
    let other = text(&other, "id");
    for id in [other.as_str(), "01a1fbe2-6762-77aa-acdd-0b601fbaad81", "no-such-event"] {
        let path = format!("/v1/tenants/acme/events/{id}/resend");
        let (status, problem) = fleet.client.post(&path, &json!({})).await;
        assert_eq!(status, 404, "{problem}");
    }
    let id = fleet.client.event(&json!(1)).await;
    let path = format!("/v1/tenants/acme/events/{id}/resend");
    let (status, _) = fleet.client.post(&path, &json!({"endpoint_ids": ["ep_no"]})).await;
    assert_eq!(status, 404);
}

async fn what_an_endpoint_missed(fleet: Fleet) {
    let works = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&works);
    let receiver =
        Receiver::new(move |_| (if state.load(Ordering::SeqCst) { 200 } else { 500 }).into()).await;
    let unseen = fleet.client.event(&json!("before it was registered")).await;
    fleet.client.post("/v1/tenants/other/events", &json!({"type": "a.b", "data": 1})).await;
    let event = |id: &str| format!("/v1/tenants/acme/events/{id}");
    let known = eventually("it was fanned out", SOON, || async {
        let (_, known) = fleet.client.get(&event(&unseen)).await;
        (known["fanned_out"] == true).then_some(known)
    })
    .await;
    let fields = json!({"url": receiver.url, "retry": {"schedule": []}});
    let endpoint = text(&fleet.client.endpoint(&fields).await, "id");
    let delivered_at_once = fleet.client.event(&json!("delivered")).await;
    delivered(&fleet, &delivered_at_once, &endpoint, 0).await;
    works.store(false, Ordering::SeqCst);
    let dead = fleet.client.event(&json!("dead")).await;
    fleet.client.dead_letters(1).await;
    works.store(true, Ordering::SeqCst);

    let since = text(&known, "accepted_at");
    let recover = ["endpoint", "recover", "--tenant", "acme", &endpoint, "--since", &since];
    for missed in [2, 0] {
        let (code, out, errors) = fleet.run(&[&recover[..], &["--output", "json"]].concat()).await;
        assert_eq!(code, 0, "{errors}");
        let job: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(job["done"], missed, "{job}");
        delivered(&fleet, &unseen, &endpoint, 0).await;
        delivered(&fleet, &dead, &endpoint, 1).await;
    }
    assert_eq!(receiver.requests().len(), 4, "nothing twice");
}
