//! Past events are found, and read.

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(past_events_are_found);

const EVENTS: &str = "/v1/tenants/acme/events";

async fn publish(fleet: &Fleet, tenant: &str, event_type: &str, n: u32) -> String {
    let event = json!({"type": event_type, "data": {"n": n}, "project": "site"});
    let (_, published) = fleet.client.post(&format!("/v1/tenants/{tenant}/events"), &event).await;
    text(&published, "id")
}

async fn listed(fleet: &Fleet, query: &str) -> Vec<String> {
    let (status, list) = fleet.client.get(&format!("{EVENTS}?{query}")).await;
    assert_eq!(status, 200, "{query}: {list}");
    items(&list).iter().map(|event| text(event, "id")).collect()
}

async fn past_events_are_found(fleet: Fleet) {
    assert_eq!(listed(&fleet, "").await, Vec::<String>::new());
    let mut ids = Vec::new();
    for (n, event_type) in ["post.published", "post.deleted", "user.born"].iter().enumerate() {
        ids.push(publish(&fleet, "acme", event_type, u32::try_from(n).unwrap()).await);
        publish(&fleet, "other", event_type, 9).await;
    }
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    eventually("they are listed", SOON, || async {
        (listed(&fleet, "").await == newest_first).then_some(())
    })
    .await;
    assert_eq!(listed(&fleet, "type=post.*").await, newest_first[1..]);
    assert_eq!(listed(&fleet, "type=user.born&limit=1").await, newest_first[..1]);
    assert_eq!(listed(&fleet, "until=2020-01-01T00:00:00Z").await, Vec::<String>::new());
    let (_, first) = fleet.client.get(&format!("{EVENTS}?limit=2")).await;
    let cursor = text(&first, "next_cursor");
    assert_eq!(listed(&fleet, &format!("cursor={cursor}")).await, newest_first[2..]);
    let at = text(&items(&first)[0], "accepted_at");
    assert_eq!(listed(&fleet, &format!("since={at}")).await, newest_first[..1]);
    for wrong in ["type=..", "since=now", "cursor=x", "limit=0", "x=1"] {
        let (status, problem) = fleet.client.get(&format!("{EVENTS}?{wrong}")).await;
        assert_eq!(status, 422, "{wrong}: {problem}");
    }

    let (status, content) = fleet.client.get(&format!("{EVENTS}/{}/content", ids[1])).await;
    assert_eq!((status, &content["data"]), (200, &json!({"n": 1})));
    assert_eq!(
        (text(&content, "type"), text(&content, "project")),
        ("post.deleted".into(), "site".into())
    );
    let others = format!("/v1/tenants/other/events/{}/content", ids[1]);
    assert_eq!(fleet.client.get(&others).await.0, 404, "another tenant's");

    let list = ["event", "list", "--tenant", "acme", "--type", "post.*", "--output", "json"];
    let (code, out, errors) = fleet.run(&list).await;
    assert_eq!(code, 0, "{errors}");
    let found = items(&serde_json::from_str::<Value>(&out).unwrap());
    assert_eq!(found.iter().map(|event| text(event, "id")).collect::<Vec<_>>(), newest_first[1..]);
    let content = ["event", "content", "--tenant", "acme", &ids[0], "--output", "json"];
    let (code, out, errors) = fleet.run(&content).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["data"]["n"], 0);
}
