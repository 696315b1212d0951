//! `hookfleet bench --quick`: every part is there, and says something. No figure is judged.

use e2e::fleet::{Fleet, Folder};
use serde_json::Value;

use crate::BINARY;

/// Runs it; answers its figures and its chart.
async fn figures(fleet: &Fleet, arguments: &[&str]) -> (Value, String) {
    let folder = Folder::new();
    let [json, chart] = ["figures.json", "chart.svg"].map(|name| folder.path().join(name));
    let files = ["--json", json.to_str().unwrap(), "--chart", chart.to_str().unwrap()];
    let quick = ["bench", "--quick", "--floor-dir", folder.path().to_str().unwrap()];
    let (code, table, errors) = fleet.run(&[&quick[..], &files, arguments].concat()).await;
    assert_eq!(code, 0, "{errors}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(table.contains("Duplicates: 0"), "{table}");
    let figures = std::fs::read_to_string(json).unwrap();
    (serde_json::from_str(&figures).unwrap(), std::fs::read_to_string(chart).unwrap())
}

fn list<'a>(figures: &'a Value, name: &str) -> &'a Vec<Value> {
    figures[name].as_array().unwrap_or_else(|| panic!("{name}: {figures}"))
}

fn some(value: &Value) {
    assert!(value.as_f64().is_some_and(|number| number > 0.0), "{value}");
}

/// Something was delivered, at a speed, and nothing twice.
fn delivered(value: &Value) {
    some(&value["deliveries"]);
    some(&value["deliveries_per_s"]);
    some(&value["published_events_per_s"]);
    assert_eq!(value["duplicates"], 0, "{value}");
}

fn numbers(values: &[Value], name: &str) -> Vec<u64> {
    values.iter().map(|value| value[name].as_u64().unwrap()).collect()
}

/// What both backends have.
fn check(figures: &Value, process: &str) {
    some(&figures["bare_client"]["requests_per_s"]);
    assert_eq!(numbers(list(figures, "accepted"), "publishers"), [1, 8, 64]);
    for accepted in list(figures, "accepted") {
        some(&accepted["events_per_s"]);
    }
    some(&figures["accepted_in_batches_per_s"]);
    delivered(&figures["delivered"]);
    assert_eq!(figures["delivered"]["deliveries"], 5000);
    delivered(&figures["together"]["delivered"]);
    some(&figures["together"]["accepted"]["events_per_s"]);
    let latency = list(figures, "latency");
    assert_eq!(latency.len(), 2);
    for at in latency {
        some(&at["publish_to_delivery_ms"]["p99"]);
        some(&at["deliveries"]);
        assert_eq!(at["duplicates"], 0, "{at}");
    }
    assert_eq!(numbers(list(figures, "fan_outs"), "endpoints"), [1, 10]);
    for fan_out in list(figures, "fan_outs") {
        delivered(&fan_out["drained"]);
        assert_eq!(fan_out["floor"]["deliveries"], 2 * 5000, "before and after");
        some(&fan_out["deliveries_to_floor_ratio"]);
        some(&fan_out["floor"]["cpu_us_per_delivery"]["bench"]);
        some(&fan_out["drained"]["cpu_us_per_delivery"][process]);
        some(&fan_out["worker_cpu_to_floor_ratio"]);
    }
    assert_eq!(numbers(list(figures, "endpoints"), "endpoints"), [1, 100]);
    for endpoints in list(figures, "endpoints") {
        delivered(&endpoints["drained"]);
        some(&endpoints["worker_cpu_to_first_ratio"]);
    }
    some(&figures["memory_idle"][process]["now_kib"]);
    some(&figures["memory"][process]["peak_kib"]);
}

#[tokio::test]
async fn bench_of_a_fleet() {
    let mut fleet = Fleet::started(BINARY, 1).await;
    let worker = format!("worker={}", fleet.process(1).id());
    let metrics = format!("{}/metrics", fleet.process(1).ops_url);
    let arguments = ["--process", &worker, "--own-fleet", "--metrics", &metrics, "--outage", "1s"];
    let (figures, chart) = figures(&fleet, &arguments).await;
    check(&figures, "worker");
    for (part, counts) in [("scale_out", [1, 2]), ("partitions", [1, 2])] {
        assert_eq!(numbers(list(&figures, part), "count"), counts);
        for scaled in list(&figures, part) {
            delivered(&scaled["drained"]);
            some(&scaled["deliveries_to_first_ratio"]);
        }
    }
    assert_eq!(figures["outage"]["deliveries"], 100);
    assert_eq!(figures["outage"]["duplicates"], 0);
    some(&figures["outage"]["put_off_per_delivery"]);
    assert!(chart.contains("receiver 50 ms, workers 2"), "{chart}");
}

#[tokio::test]
async fn bench_of_a_server_alone() {
    let mut fleet = Fleet::embedded(BINARY).await;
    let server = format!("server={}", fleet.process(0).id());
    let (figures, chart) = figures(&fleet, &["--process", &server]).await;
    check(&figures, "server");
    assert_eq!(list(&figures, "scale_out").len() + list(&figures, "partitions").len(), 0);
    assert!(chart.contains("backlog, fan-out 10"), "{chart}");
}
