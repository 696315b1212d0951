//! Secrets: rotated with a grace, tried out, seen once and nowhere else.

use e2e::SOON;
use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::{Receiver, Request};
use serde_json::json;

crate::on_both_backends!(
    a_rotated_secret_signs_beside_the_old_one,
    a_test_answers_with_the_attempt,
);

fn verifies(secret: &str, request: &Request) -> bool {
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).unwrap().parse().unwrap());
    }
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(&request.body, &headers).is_ok()
}

async fn a_rotated_secret_signs_beside_the_old_one(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    let endpoint = fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let rotate = format!("{path}/rotate-secret");
    let old = text(&endpoint, "secret");

    let (status, problem) = fleet.client.post(&rotate, &json!({"grace": "31d"})).await;
    assert_eq!(status, 422, "{problem}");
    let (status, rotated) = fleet.client.post(&rotate, &json!({"grace": "1h"})).await;
    assert_eq!(status, 200, "{rotated}");
    let new = text(&rotated, "secret");
    assert_ne!(new, old);
    assert!(rotated["previous_secret_until"].is_string());
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!(shown.get("secret"), None, "once");

    let attempt = fleet.client.post(&format!("{path}/test"), &json!({})).await.1;
    assert_eq!(attempt["status"], "success", "{attempt}");
    let request = receiver.wait_for(1, SOON).await.remove(0);
    let signatures = request.header("webhook-signature").unwrap();
    assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    assert!(verifies(&new, &request) && verifies(&old, &request));

    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (_, rotated) = fleet.client.post(&rotate, &json!({"secret": given, "grace": "0s"})).await;
    assert_eq!(rotated.get("secret"), None, "a given secret is not repeated");
    fleet.client.post(&format!("{path}/test"), &json!({})).await;
    let request = receiver.wait_for(2, SOON).await.remove(1);
    assert!(verifies(given, &request) && !verifies(&new, &request), "the old one is over");
}

async fn a_test_answers_with_the_attempt(fleet: Fleet) {
    let receiver = Receiver::answering(503).await;
    let fields = json!({"url": receiver.url, "active": false, "events": ["other.*"]});
    let endpoint = text(&fleet.client.endpoint(&fields).await, "id");
    let path = format!("/v1/tenants/acme/endpoints/{endpoint}");
    let (status, attempt) = fleet.client.post(&format!("{path}/test"), &json!({})).await;
    assert_eq!(status, 200);
    let expected = (&json!("failure"), &json!(503), &json!("webhook.test"), &json!("ok"));
    let made = (
        &attempt["status"],
        &attempt["http_status"],
        &attempt["event_type"],
        &attempt["response_body"],
    );
    assert_eq!(made, expected);
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert!(request.text().contains("webhook.test"));
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!(shown["failureCount"], 0, "a test is not counted");
    let (_, attempts) = fleet.client.get(&format!("{path}/attempts")).await;
    assert!(items(&attempts).is_empty());

    let test = ["endpoint", "test", "--tenant", "acme", &endpoint, "--output", "json"];
    let (code, out, _) = fleet.run(&test).await;
    assert_eq!(code, 1, "{out}");
    let rotate = ["endpoint", "rotate-secret", "--tenant", "acme", &endpoint];
    let (code, out, errors) = fleet.run(&rotate).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("secret: whsec_"), "{out}");
    assert_eq!(fleet.client.post("/v1/tenants/acme/endpoints/ep_no/test", &json!({})).await.0, 404);
}
