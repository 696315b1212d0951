//! The figures as a table for people, at most 100 columns wide.

use std::collections::{BTreeMap, BTreeSet};

use super::process::Memory;
use super::report::{Cpu, FanOut, Isolation, Latency, Outage, Report, Spread, Waiting};
use super::samples::Percentiles;

/// All of it.
pub fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    publishing(report, &mut lines);
    latency(report, &mut lines);
    backlogs(report, &mut lines);
    cpu(report, &mut lines);
    memory(report, &mut lines);
    if let Some(Outage { deliveries, failed_attempts, put_off_per_delivery, .. }) = &report.outage {
        lines.push(format!(
            "\nAn endpoint was down: {deliveries} deliveries, {failed_attempts} failed attempts, \
             put off {put_off_per_delivery:.2} times each"
        ));
    }
    lines.push(format!("\nDuplicates: {}", duplicates(report)));
    lines.join("\n")
}

fn publishing(report: &Report, lines: &mut Vec<String>) {
    lines.push(row("Requests", &["a second", "p50 ms", "p90 ms", "p99 ms", "max ms"]));
    let client = &report.bare_client;
    lines.push(timed("a bare client, no queue", &whole(client.requests_per_s), &client.answers_ms));
    for accepted in &report.accepted {
        let name = format!("accepted, {} publishers", accepted.publishers);
        lines.push(timed(&name, &whole(accepted.events_per_s), &accepted.answers_ms));
    }
    lines.push(row("accepted, batches", &[&whole(report.accepted_in_batches_per_s)]));
    let together = &report.together.accepted;
    let name = format!("the same delivered, {} publishers", together.publishers);
    lines.push(timed(&name, &whole(together.events_per_s), &together.answers_ms));
}

fn latency(report: &Report, lines: &mut Vec<String>) {
    lines.push(row("\nPublish to delivery", &["", "p50 ms", "p90 ms", "p99 ms", "max ms"]));
    for Latency { rate, publish_to_delivery_ms, late_ms, .. } in &report.latency {
        lines.push(timed(&format!("at {rate}"), "", publish_to_delivery_ms));
        lines.push(timed("  the bench itself late", "", late_ms));
    }
    for Isolation { rate, alone_ms, beside_hanging_ms, p50_ratio, p99_ratio, hung } in
        &report.isolation
    {
        lines.push(timed(&format!("healthy endpoints at {rate}"), "", alone_ms));
        lines.push(timed("  beside hanging ones", "", beside_hanging_ms));
        let [p50, p99] = [p50_ratio, p99_ratio].map(|ratio| format!("{ratio:.2}"));
        lines.push(row(&format!("  ratio ({hung} requests hung)"), &["", &p50, "", &p99]));
    }
}

fn backlogs(report: &Report, lines: &mut Vec<String>) {
    let columns = ["a second", "floor", "ratio", "worker µs", "CPU ratio"];
    lines.push(row("\nDeliveries", &columns));
    let rate = |name: &str, per_s: f64, ratio: &str| row(name, &[&whole(per_s), "", ratio]);
    lines.push(rate("published in batches", report.delivered.deliveries_per_s, ""));
    lines.push(rate("published one by one", report.together.deliveries_per_s(), ""));
    for FanOut {
        endpoints,
        drained,
        floor,
        deliveries_to_floor_ratio,
        worker_cpu_to_floor_ratio,
    } in &report.fan_outs
    {
        lines.push(row(
            &format!("backlog, fan-out {endpoints}"),
            &[
                &whole(drained.deliveries_per_s),
                &whole(floor.deliveries_per_s),
                &format!("{deliveries_to_floor_ratio:.2}"),
                &worker_us(&drained.cpu_us_per_delivery),
                &optional(*worker_cpu_to_floor_ratio),
            ],
        ));
    }
    for Spread { endpoints, drained, worker_cpu_to_first_ratio } in &report.endpoints {
        let us = worker_us(&drained.cpu_us_per_delivery);
        let (per_s, ratio) =
            (whole(drained.deliveries_per_s), optional(*worker_cpu_to_first_ratio));
        lines.push(row(&format!("backlog, endpoints {endpoints}"), &[&per_s, "", "", &us, &ratio]));
    }
    if !report.worker_held {
        lines.push("  a backlog is what was left once all was published".to_owned());
    }
    for (what, scaled) in [
        ("receiver 50 ms, workers", &report.scale_out),
        ("backlog, partitions", &report.partitions),
    ] {
        for one in scaled {
            let name = format!("{what} {}", one.count);
            let ratio = format!("{:.2}", one.deliveries_to_first_ratio);
            lines.push(rate(&name, one.drained.deliveries_per_s, &ratio));
        }
    }
}

fn cpu(report: &Report, lines: &mut Vec<String>) {
    let mut rows = vec![
        ("a bare client".to_owned(), &report.bare_client.cpu_us_per_request),
        ("published in batches".to_owned(), &report.delivered.cpu_us_per_delivery),
        ("published one by one".to_owned(), &report.together.delivered.cpu_us_per_delivery),
    ];
    rows.extend(
        report.latency.iter().map(|at| (format!("at {}", at.rate), &at.cpu_us_per_delivery)),
    );
    for FanOut { endpoints, drained, floor, .. } in &report.fan_outs {
        rows.push((format!("backlog, fan-out {endpoints}"), &drained.cpu_us_per_delivery));
        rows.push(("  its floor (bench)".to_owned(), &floor.cpu_us_per_delivery));
    }
    for Spread { endpoints, drained, .. } in &report.endpoints {
        rows.push((format!("backlog, endpoints {endpoints}"), &drained.cpu_us_per_delivery));
    }
    let processes: BTreeSet<&str> =
        rows.iter().flat_map(|(_, cpu)| cpu.keys().map(String::as_str)).collect();
    lines.push(row("\nCPU µs a delivery", &processes.iter().copied().collect::<Vec<_>>()));
    for (name, cpu) in rows {
        let each = processes.iter().map(|process| cpu.get(*process).map(u64::to_string));
        let each: Vec<String> = each.map(Option::unwrap_or_default).collect();
        lines.push(row(&name, &each.iter().map(String::as_str).collect::<Vec<_>>()));
    }
}

fn memory(report: &Report, lines: &mut Vec<String>) {
    let processes: Vec<&str> = report.memory_idle.keys().map(String::as_str).collect();
    lines.push(row("\nMiB now / at most", &processes));
    let mut held = |name: &str, memory: &BTreeMap<String, Memory>| {
        let each = processes.iter().map(|process| memory.get(*process).map(mib));
        let each: Vec<String> = each.map(Option::unwrap_or_default).collect();
        lines.push(row(name, &each.iter().map(String::as_str).collect::<Vec<_>>()));
    };
    held("idle", &report.memory_idle);
    held("under load", &report.memory);
    if let Some(Waiting { deliveries, memory, attempts_per_s }) = &report.waiting {
        held(&format!("{deliveries} deliveries waiting"), memory);
        lines.push(row("  put off a second until then", &[&whole(*attempts_per_s)]));
    }
}

fn duplicates(report: &Report) -> u64 {
    let at_rates = report.latency.iter().map(|latency| latency.duplicates);
    let fan_outs = report.fan_outs.iter().map(|fan_out| &fan_out.drained);
    let endpoints = report.endpoints.iter().map(|endpoints| &endpoints.drained);
    let scaled = report.scale_out.iter().chain(&report.partitions).map(|scaled| &scaled.drained);
    let delivered = [&report.delivered, &report.together.delivered];
    let delivered = delivered.into_iter().chain(fan_outs).chain(endpoints).chain(scaled);
    let outage = report.outage.iter().map(|outage| outage.duplicates);
    delivered.map(|delivered| delivered.duplicates).chain(at_rates).chain(outage).sum()
}

fn timed(name: &str, per_s: &str, times_ms: &Percentiles) -> String {
    let Percentiles { p50, p90, p99, max } = times_ms;
    let [p50, p90, p99, max] = [p50, p90, p99, max].map(|ms| format!("{ms:.1}"));
    row(name, &[per_s, &p50, &p90, &p99, &max])
}

fn row(name: &str, columns: &[&str]) -> String {
    // A line break before a heading is no part of its width.
    let width = if name.starts_with('\n') { 35 } else { 34 };
    let columns: Vec<_> = columns.iter().map(|column| format!("{column:>11}")).collect();
    format!("{name:<width$}{}", columns.concat()).trim_end().to_owned()
}

fn whole(number: f64) -> String {
    format!("{number:.0}")
}

fn optional(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn worker_us(cpu: &Cpu) -> String {
    cpu.get("worker").or_else(|| cpu.get("server")).map(u64::to_string).unwrap_or_default()
}

fn mib(memory: &Memory) -> String {
    format!("{} / {}", memory.now_kib / 1024, memory.peak_kib / 1024)
}
