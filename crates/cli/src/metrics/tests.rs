//! docs/metrics.md is made from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use expect_test::expect_file;
use hookfleet_api::{ApiMetrics, FleetMetrics};
use hookfleet_backends::BackendMetrics;
use hookfleet_producer::ProducerMetrics;
use hookfleet_worker::WorkerMetrics;
use prometheus::Registry;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};

const HEAD: &str = "# Metrics

Every serving role answers `GET /metrics` on `--metrics-listen` (127.0.0.1:9464), in Prometheus' text
format. Durations are in seconds. Labels come from closed sets: no tenant, endpoint or event type can
make a series, but for those asked for by `--endpoint-metrics-max`. What counts stands there from the
start, at 0. Beside these come Prometheus' usual `process_…` metrics.

Where a metric is told by every process with an API for the whole fleet, take the `max` of them, never
the `sum`.

This page is made from the code: `UPDATE_EXPECT=1 cargo test -p hookfleet-cli metrics`.

| metric | type | labels | what it tells |
| --- | --- | --- | --- |
";

/// A role that has it, and how to register it.
type Part = (&'static str, fn(&Registry) -> prometheus::Result<()>);
const PARTS: [Part; 7] = [
    ("all", |registry| {
        super::register(registry, "serve")
            .map_err(|error| prometheus::Error::Msg(error.to_string()))
    }),
    ("all", |registry| crate::otlp::register(registry).map(drop)),
    ("all", |registry| BackendMetrics::register(registry).map(drop)),
    ("all", |registry| ProducerMetrics::register(registry).map(drop)),
    ("api, serve", |registry| ApiMetrics::register(registry).map(drop)),
    ("api, serve: of the whole fleet", |registry| {
        FleetMetrics::register(registry).map(|fleet| fleet.begin_at_zero())
    }),
    ("worker, serve", |registry| WorkerMetrics::register(registry, 1).map(drop)),
];

fn labels(family: &MetricFamily) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for metric in family.get_metric() {
        for pair in metric.get_label() {
            values.entry(LabelPair::name(pair)).or_default().insert(LabelPair::value(pair));
        }
    }
    let open = ["version", "role", "route", "method", "tenant", "endpoint"];
    let texts = values.into_iter().map(|(name, values)| {
        if open.contains(&name) {
            return format!("`{name}`");
        }
        let values: Vec<&str> = values.into_iter().collect();
        format!("`{name}`: {}", values.join(", "))
    });
    texts.collect::<Vec<_>>().join("; ")
}

#[test]
fn the_page_says_what_the_code_registers() {
    let mut page = HEAD.to_owned();
    for (roles, register) in PARTS {
        let registry = Registry::new();
        register(&registry).unwrap();
        for family in registry.gather() {
            if family.name().starts_with("process_") {
                continue;
            }
            let kind = match family.get_field_type() {
                MetricType::COUNTER => "counter",
                MetricType::GAUGE => "gauge",
                MetricType::HISTOGRAM => "histogram",
                MetricType::SUMMARY | MetricType::UNTYPED => "?",
            };
            let (name, help, labels) = (family.name(), family.help(), labels(&family));
            writeln!(page, "| `{name}` | {kind} | {labels} | {help} ({roles}) |").unwrap();
        }
    }
    expect_file!["../../../../docs/metrics.md"].assert_eq(&page);
}
