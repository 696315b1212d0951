//! A real Prometheus watches a fleet under load: all that dashboards, rules and docs speak of is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::fleet::{Fleet, Folder, free_port};
use e2e::receiver::Receiver;
use e2e::{IN_A_WHILE, SOON, eventually, is_at_hand};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::BINARY;

const DASHBOARDS: [&str; 3] = ["fleet", "endpoints", "broker"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap()
}

/// Every expression of every dashboard, with its variables filled in.
fn expressions() -> Vec<String> {
    let mut all = Vec::new();
    for name in DASHBOARDS {
        let dashboard: Value =
            serde_json::from_str(&read(&format!("grafana/{name}.json"))).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap();
                let expression = expression.replace("$__rate_interval", "1m");
                all.push(expression.replace("$tenant", ".*").replace("$endpoint", ".*"));
            }
        }
    }
    assert!(all.len() > 40, "{all:?}");
    all
}

/// The metrics that the rules name, with what they choose of their labels.
fn selectors() -> BTreeSet<String> {
    let rules = read("prometheus/rules.yaml");
    let part = |(at, _): (usize, &str)| {
        let rest = rules.get(at..).unwrap();
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
        let chosen = rest.get(name..).unwrap().starts_with('{');
        let end = if chosen { rest.find('}').unwrap() + 1 } else { name };
        rest.get(..end).unwrap().to_owned()
    };
    rules.match_indices("hookfleet_").map(part).collect()
}

/// The rows of docs/metrics.md: a metric, and the names of its labels.
fn documented() -> Vec<(String, Vec<String>)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`');
        let suffix = if cells.next()? == "histogram" { "_count" } else { "" };
        let labels = cells.next()?.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((format!("{name}{suffix}"), labels.collect()))
    };
    include_str!("../../docs/metrics.md").lines().filter_map(row).collect()
}

/// A Prometheus; killed when it is dropped.
struct Prometheus {
    url: String,
    _process: Child,
    _folder: Folder,
}

impl Prometheus {
    /// Watches these, and the broker.
    fn start(targets: &[String], broker: &str) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [deploy().join("prometheus/rules.yaml").canonicalize().unwrap()],
            "scrape_configs": [
                {"job_name": "hookfleet", "static_configs": [{"targets": targets}]},
                {"job_name": "rabbitmq", "static_configs": [{"targets": [broker]}]},
                {
                    "job_name": "rabbitmq-queues",
                    "metrics_path": "/metrics/detailed",
                    "params": {"family": ["queue_coarse_metrics", "queue_consumer_count"]},
                    "static_configs": [{"targets": [broker]}],
                },
            ],
        });
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let process = command.spawn().unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), _process: process, _folder: folder }
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = format!("{}/api/v1/{path}", self.url);
        let url = reqwest::Url::parse_with_params(&url, parameters).unwrap();
        let answer: Value =
            serde_json::from_str(&reqwest::get(url).await.ok()?.text().await.ok()?).ok()?;
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// Does the expression have a value that is a number?
    async fn has_data(&self, expression: &str) -> bool {
        let Some(data) = self.ask("query", &[("query", expression)]).await else {
            return false;
        };
        let number = |series: &Value| {
            let value = series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
            value.is_some_and(f64::is_finite)
        };
        data["result"].as_array().unwrap().iter().any(number)
    }
}

async fn promtool(arguments: &[&str], input: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).current_dir(deploy().join("prometheus")).kill_on_drop(true);
    let pipes = promtool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = pipes.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let ended = process.wait_with_output().await.unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// Endpoints that answer, fail, and are slowed down.
async fn load(fleet: &Fleet) -> Vec<Receiver> {
    let (good, bad) = (Receiver::answering(200).await, Receiver::answering(500).await);
    let fields = [
        json!({"url": good.url, "events": ["load.event"]}),
        json!({"url": bad.url, "events": ["load.event"], "retry": {"schedule": ["1s"]}}),
        json!({"url": good.url, "events": ["load.event"], "rate_limit": "5/s"}),
    ];
    for fields in fields {
        fleet.client.endpoint(&fields).await;
    }
    vec![good, bad]
}

async fn publish(fleet: &Fleet) {
    for n in 0..20 {
        let event = json!({"type": "load.event", "data": n});
        let (status, answer) = fleet.client.post("/v1/tenants/acme/events", &event).await;
        assert_eq!(status, 202, "{answer}");
    }
}

#[tokio::test]
async fn prometheus_sees_all_that_dashboards_rules_and_docs_speak_of() {
    if !is_at_hand("prometheus", "--version").await {
        eprintln!("no prometheus: metrics, rules and dashboards are not tried");
        return;
    }
    let mut fleet = Fleet::started(BINARY, 0).await;
    let worker = fleet.start_worker(&["--endpoint-metrics-max", "2"]).await;
    let _receivers = load(&fleet).await;
    let pages = [fleet.process(0).ops_url.clone(), fleet.process(worker).ops_url.clone()];
    let targets = pages.clone().map(|url| url.trim_start_matches("http://").to_owned());
    let broker = fleet.services().unwrap().broker_metrics();
    let prometheus = Prometheus::start(&targets, &broker);
    eventually("the fleet is seen", SOON, || async {
        prometheus.has_data("count(hookfleet_build_info) == 2").await.then_some(())
    })
    .await;

    for expression in expressions().into_iter().chain(selectors()) {
        eventually(&format!("{expression} has data"), IN_A_WHILE, || async {
            publish(&fleet).await;
            prometheus.has_data(&expression).await.then_some(())
        })
        .await;
    }

    for (name, labels) in documented() {
        let all = prometheus.ask("series", &[("match[]", &name)]).await.unwrap();
        let has = |series: &Value| labels.iter().all(|label| series[label].is_string());
        assert!(all.as_array().unwrap().iter().any(has), "{name} with {labels:?}: {all}");
    }
    let endpoints = "count(count by (endpoint) (hookfleet_endpoint_attempts_total)) == 3";
    assert!(prometheus.has_data(endpoints).await, "two of them, and one for all others");

    let rules = prometheus.ask("rules", &[]).await.unwrap();
    let groups = rules["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    for page in pages {
        let page = reqwest::get(format!("{page}/metrics")).await.unwrap().text().await.unwrap();
        promtool(&["check", "metrics"], &page).await;
    }
}

#[tokio::test]
async fn alerts_fire_when_they_should_and_have_a_page() {
    let rules = read("prometheus/rules.yaml");
    let tests = read("prometheus/rules_test.yaml");
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
    }
    for page in rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")) {
        assert!(deploy().join("..").join(page).exists(), "{page} is not there");
    }
    if !is_at_hand("promtool", "--version").await {
        eprintln!("no promtool: rules are not tried");
        return;
    }
    promtool(&["check", "rules", "rules.yaml"], "").await;
    promtool(&["test", "rules", "rules_test.yaml"], "").await;
}

/// On-call engineers must be able to trust what they paste: every command of every page is one.
#[tokio::test]
async fn runbooks_name_commands_that_there_are() {
    let mut commands = 0;
    for page in std::fs::read_dir(deploy().join("../docs/runbooks")).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("hf ")) {
            // Help is only given if all that stands before it is understood.
            let mut command = Command::new(BINARY);
            let line = line.split(" < ").next().unwrap();
            let ended = command.args(line.split_whitespace()).arg("--help").output().await.unwrap();
            let errors = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{}: hf {line}: {errors}", page.display());
            commands += 1;
        }
    }
    assert!(commands > 30, "{commands}");
}
