//! What would be sent is what is sent.

use e2e::SOON;
use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use serde_json::{Value, json};

crate::on_both_backends!(a_preview_is_what_is_sent, a_preview_shows_no_secret);

const ENDPOINTS: &str = "/v1/tenants/acme/endpoints";

/// A header of a preview.
fn header(preview: &Value, name: &str) -> Option<String> {
    let mut headers = preview["headers"].as_array().unwrap().iter();
    let found = headers.find(|header| text(header, "name") == name);
    found.map(|header| text(header, "value"))
}

async fn a_preview_is_what_is_sent(fleet: Fleet) {
    for profile in ["standard", "content-engine", "penr"] {
        let receiver = Receiver::answering(200).await;
        let fields = json!({"url": receiver.url, "profile": profile, "headers": {"X-Team": "a"}});
        let mut asked = fields.clone();
        asked["event"] = json!({"type": "content.published", "data": {"title": "News"}});
        let path = format!("{ENDPOINTS}/preview");
        let (status, before) = fleet.client.post(&path, &asked).await;
        assert_eq!(status, 200, "{before}");
        assert!(receiver.requests().is_empty(), "nobody is called");
        let endpoint = fleet.client.endpoint(&fields).await;

        let event = json!({"type": "content.published", "data": {"title": "News"}});
        let (_, published) = fleet.client.post("/v1/tenants/acme/events", &event).await;
        let sent = receiver.wait_for(1, SOON).await.remove(0);
        let id = text(&published, "id");
        let path = format!("{ENDPOINTS}/{}/preview?event={id}", text(&endpoint, "id"));
        let after = e2e::eventually("it is in the archive", SOON, || async {
            let (status, after) = fleet.client.get(&path).await;
            (status == 200).then_some(after)
        })
        .await;
        assert_eq!(text(&after, "body"), String::from_utf8_lossy(&sent.body), "{profile}");
        let attempts = format!("{ENDPOINTS}/{}/attempts?event=", text(&endpoint, "id"));
        let made = e2e::eventually("the attempt is in the log", SOON, || async {
            let (_, made) = fleet.client.get(&format!("{attempts}{id}")).await;
            items(&made).pop()
        })
        .await;
        assert_eq!((text(&made, "event_id"), text(&made, "response_body")), (id, "ok".to_owned()));
        let (_, none) = fleet.client.get(&format!("{attempts}other")).await;
        assert_eq!(items(&none), Vec::<Value>::new());
        let mut lines = sent.head.lines();
        let begin = lines.next().unwrap();
        assert!(begin.starts_with(&text(&after, "method")), "{begin}");
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            let shown = header(&after, name);
            let shown = shown.unwrap_or_else(|| panic!("{profile}: {name} is missing: {after}"));
            assert!(header(&before, name).is_some(), "{profile}: {name} is missing: {before}");
            // Another key, another time.
            if !["signature", "timestamp"].iter().any(|part| name.to_lowercase().contains(part)) {
                assert_eq!(shown, value, "{profile}: {name}");
            }
        }
        let (_, gone) =
            fleet.client.delete(&format!("{ENDPOINTS}/{}", text(&endpoint, "id"))).await;
        assert_eq!(gone, Value::Null);
    }
    let (_, list) = fleet.client.get(ENDPOINTS).await;
    assert_eq!(items(&list), Vec::<Value>::new(), "a preview stores nothing");
}

async fn a_preview_shows_no_secret(fleet: Fleet) {
    let fields = json!({
        "url": "http://127.0.0.1:1/hook", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "auth": {"type": "query", "token": "opensesame"}
    });
    let endpoint = fleet.client.endpoint(&fields).await;
    let of_endpoint = format!("{ENDPOINTS}/{}/preview", text(&endpoint, "id"));
    let (_, registered) = fleet.client.get(&of_endpoint).await;
    let (_, new) = fleet.client.post(&format!("{ENDPOINTS}/preview"), &fields).await;
    for preview in [registered, new] {
        assert_eq!(text(&preview, "url"), "http://127.0.0.1:1/hook?token=********");
        assert!(!preview.to_string().contains("opensesame"), "{preview}");
        assert!(header(&preview, "webhook-signature").unwrap().starts_with("v1,"));
        assert!(text(&preview, "body").contains("webhook.test"), "{preview}");
    }
    let bad = json!({"url": "http://127.0.0.1:1/", "event": {"type": "a..b", "data": 1}});
    let (status, problem) = fleet.client.post(&format!("{ENDPOINTS}/preview"), &bad).await;
    assert_eq!(status, 422);
    assert!(text(&problem, "detail").contains("event: event type"), "{problem}");
    let unknown = format!("{of_endpoint}?event=none");
    assert_eq!(fleet.client.get(&unknown).await.0, 404);

    let show = ["endpoint", "preview", "--tenant", "acme", "--to", "https://example.com/hook"];
    let event = ["--type", "a.b", "--data", "1.10"];
    let (code, out, errors) = fleet.run(&[&show[..], &event].concat()).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.starts_with("POST https://example.com/hook\n"), "{out}");
    assert!(out.contains("\"data\":1.10"), "{out}");
    let id = text(&endpoint, "id");
    let (code, out, errors) = fleet.run(&["endpoint", "preview", "--tenant", "acme", &id]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("webhook-signature: v1,"), "{out}");
}
