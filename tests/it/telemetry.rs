//! What a fleet tells of itself: metrics by name, logs with the ids of what they are about.

use std::collections::BTreeSet;
use std::process::Stdio;

use e2e::SOON;
use e2e::client::text;
use e2e::fleet::{Fleet, free_port};
use e2e::receiver::Receiver;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::BINARY;

/// The names in docs/metrics.md, which is made from the code; those of single endpoints must be asked
/// for.
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../docs/metrics.md");
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.filter(|name| !name.contains("_endpoint_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_know() {
    let fleet = Fleet::new(BINARY).await;
    let receiver = Receiver::answering(500).await;
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let serve = fleet.spawn(&["serve", "--listen", &listen]);
    serve.ready().await;
    let fields = json!({"url": receiver.url, "retry": {"schedule": []}});
    let endpoint = fleet.client.endpoint(&fields).await;
    fleet.client.event(&json!(1)).await;
    fleet.client.dead_letters(1).await;
    let page = reqwest::get(format!("{}/metrics", serve.ops_url)).await.unwrap();
    let page = page.text().await.unwrap();
    let help = |line: &str| line.strip_prefix("# HELP ")?.split(' ').next().map(str::to_owned);
    let ours = |name: &String| name.starts_with("hookfleet_");
    let names: BTreeSet<String> = page.lines().filter_map(help).filter(ours).collect();
    assert_eq!(names, documented());
    for id in [text(&endpoint, "id"), "acme".to_owned(), "test.event".to_owned()] {
        assert!(!page.contains(&id), "{id} is a label");
    }
}

#[tokio::test]
async fn a_deliverys_lines_carry_its_ids() {
    let fleet = Fleet::started(BINARY, 0).await;
    let receiver = Receiver::answering(500).await;
    let fields = json!({"url": receiver.url, "retry": {"schedule": ["60s"]}});
    let endpoint = text(&fleet.client.endpoint(&fields).await, "id");
    let event = fleet.client.event(&json!({"private": "hush"})).await;
    let metrics = format!("127.0.0.1:{}", free_port());
    let worker = ["worker", "--metrics-listen", &metrics, "--log-format", "json", "--log", "info"];
    let mut worker = fleet.command(&worker).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines();
    let line = loop {
        let line = timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
        assert!(!line.contains("hush"), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"].as_str().unwrap().contains("will be retried") {
            break line;
        }
    };
    let span = &line["span"];
    assert_eq!((&span["event.id"], &span["endpoint.id"]), (&json!(event), &json!(endpoint)));
    assert_eq!(span["delivery.id"], format!("{event}/{endpoint}"));
    assert_eq!(span["attempt.number"], 1);
}
