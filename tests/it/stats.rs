//! Counts over time.

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(what_happened_is_counted);

/// Until the counts have come: [events, delivered, failed, dead letters].
async fn totals(fleet: &Fleet, path: &str, expected: [u64; 4]) -> Value {
    eventually(&format!("{path} tells {expected:?}"), SOON, || async {
        let (code, stats) = fleet.client.get(path).await;
        assert_eq!(code, 200, "{stats}");
        let names = ["events", "delivered", "failed", "dead_letters"];
        (names.map(|name| stats["total"][name].as_u64().unwrap()) == expected).then_some(stats)
    })
    .await
}

async fn what_happened_is_counted(mut fleet: Fleet) {
    let (working, failing) = (Receiver::answering(200).await, Receiver::answering(500).await);
    fleet.client.endpoint(&json!({"url": working.url})).await;
    let broken = json!({"url": failing.url, "name": "broken", "retry": {"schedule": []}});
    let broken = fleet.client.endpoint(&broken).await;
    for n in 0..3 {
        fleet.client.event(&json!(n)).await;
    }
    fleet.client.dead_letters(3).await;

    let stats = totals(&fleet, "/v1/tenants/acme/stats", [3, 3, 3, 3]).await;
    assert_eq!((items(&stats).len(), &stats["step"]), (60, &json!("minute")));
    assert!(stats["total"]["average_ms"].is_u64(), "{stats}");
    for path in ["/v1/stats", "/v1/stats?tenant=acme", "/v1/stats?step=hour"] {
        totals(&fleet, path, [3, 3, 3, 3]).await;
    }
    totals(&fleet, "/v1/tenants/other/stats", [0; 4]).await;
    let (_, none) = fleet.client.get("/v1/stats?until=2020-01-01T00:00:00Z").await;
    assert_eq!(none["items"], json!([]));
    for wrong in ["step=day", "since=now", "limit=1"] {
        assert_eq!(fleet.client.get(&format!("/v1/stats?{wrong}")).await.0, 422, "{wrong}");
    }
    let show = ["stats", "show", "--tenant", "acme", "--output", "json"];
    let (code, out, errors) = fleet.run(&show).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["total"]["delivered"], 3);

    // A worker that stops adds what it has at once; else endpoints are added once a minute.
    let last = fleet.last();
    assert!(fleet.process(last).terminate().await.success());
    match fleet.data_folder() {
        Some(_) => fleet.start_server().await,
        None => fleet.start_worker(&[]).await,
    };
    let (_, worst) = fleet.client.get("/v1/tenants/acme/stats/endpoints").await;
    let [worst] = items(&worst).try_into().unwrap();
    assert_eq!(text(&worst, "endpoint_id"), text(&broken, "id"));
    let told = json!({"name": "broken", "failures": 3, "attempts": 3, "failureCount": 3});
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&worst[name], value, "{worst}");
    }
    let (_, all) = fleet.client.get("/v1/stats/endpoints?worst=failing&limit=5").await;
    assert_eq!(items(&all), [worst]);
    let endpoints = ["stats", "endpoints", "--tenant", "acme", "--worst", "failing"];
    let (code, out, errors) = fleet.run(&endpoints).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains(&text(&broken, "id")), "{out}");
}
