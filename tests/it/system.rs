//! The fleet at a glance.

use std::collections::BTreeSet;

use e2e::client::text;
use e2e::fleet::Fleet;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(who_is_there_is_told);

/// Until processes of these roles are there.
async fn there(fleet: &Fleet, roles: &[&str]) -> Value {
    eventually(&format!("{roles:?} are there"), SOON, || async {
        let (status, system) = fleet.client.get("/v1/system").await;
        assert_eq!(status, 200, "{system}");
        let processes = system["processes"].as_array().unwrap();
        let mut found: Vec<String> = processes.iter().map(|it| text(it, "role")).collect();
        found.sort();
        (found == roles).then_some(system)
    })
    .await
}

async fn who_is_there_is_told(mut fleet: Fleet) {
    let is_fleet = fleet.services().is_some();
    let system = there(&fleet, if is_fleet { &["api", "worker"] } else { &["serve"] }).await;
    let queues = system["queues"].as_array().unwrap().iter().map(|queue| text(queue, "queue"));
    let expected = ["events", "deliveries", "delayed", "dead"].map(str::to_owned);
    assert_eq!(queues.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    let (broker, store) = if is_fleet { ("RabbitMQ ", "Redis ") } else { ("", "SQLite ") };
    assert!(system["broker"].as_str().unwrap_or_default().starts_with(broker), "{system}");
    assert!(text(&system, "store").starts_with(store), "{system}");
    let findings = system["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["problem"].is_null()), "{system}");
    let working = system["processes"].as_array().unwrap().last().unwrap();
    assert_eq!((&working["in_flight"], &working["slots"]), (&json!(0), &json!(512)), "{system}");
    assert!(!text(working, "host").is_empty());

    let (_, token) = fleet.client.post("/v1/tenants/acme/tokens", &json!({})).await;
    let show = ["system", "--token", &text(&token, "token")];
    assert_eq!(fleet.run(&show).await.0, 4, "the operator's alone");
    let (code, out, errors) = fleet.run(&["system"]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains(store) && out.contains("events") && out.contains("ok  "), "{out}");

    if is_fleet {
        let first = fleet.last();
        assert!(fleet.process(first).terminate().await.success());
        let (_, system) = fleet.client.get("/v1/system").await;
        assert_eq!(system["processes"].as_array().unwrap().len(), 1, "it said goodbye: {system}");
        let second = fleet.start_worker(&[]).await;
        there(&fleet, &["api", "worker"]).await;
        fleet.process(second).kill().await;
        there(&fleet, &["api"]).await;
    }
}
