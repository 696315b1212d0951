//! What was measured, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use hookfleet_domain::Rate;
use serde::Serialize;

use super::process::{self, BENCH, Memory, Watched};
use super::receiver::Arrived;
use super::samples::{Percentiles, per_second};
use crate::args::OutputFormat;
use crate::failure::Failure;
use crate::output;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub floor: Floor,
    pub accepted: Vec<Accepted>,
    pub batches_per_s: f64,
    pub delivered: Delivered,
    /// What was delivered of a backlog that lay ready.
    pub drained: Option<Delivered>,
    /// Deliveries a second, as a ratio to the floor's requests.
    pub delivered_of_floor: f64,
    pub latency: Latency,
    /// Before anything was done, by process.
    pub memory_idle: BTreeMap<String, Memory>,
    pub memory: BTreeMap<String, Memory>,
    pub waiting: Option<Waiting>,
    pub queue_floor: Option<QueueFloor>,
    pub isolation: Vec<Isolation>,
}

/// A bare client.
#[derive(Debug, Serialize)]
pub struct Floor {
    requests_per_s: f64,
    times_ms: Percentiles,
    /// In µs for each request, of the client (the bench) and of the receiver.
    cpu_us: BTreeMap<String, u64>,
}

impl Floor {
    pub fn new(times: &[Duration], took: Duration, cpu_us: BTreeMap<String, u64>) -> Self {
        Self {
            requests_per_s: per_second(times.len() as u64, took),
            times_ms: Percentiles::of(times),
            cpu_us,
        }
    }

    /// Deliveries as a ratio to what a bare client sends.
    pub fn share(&self, delivered: &Delivered) -> f64 {
        delivered.deliveries_per_s / self.requests_per_s.max(f64::EPSILON)
    }
}

/// A straight loop over broker and store.
#[derive(Debug, Serialize)]
pub struct QueueFloor {
    deliveries_per_s: f64,
    /// In µs for each delivery; the loop's own is the bench's.
    cpu_us: BTreeMap<String, u64>,
    /// What was drained of a backlog, as a ratio to this.
    delivered: f64,
    /// The worker's CPU for a delivery, as a ratio to the loop's.
    worker_cpu: Option<f64>,
}

impl QueueFloor {
    pub fn new(events: u64, took: Duration, cpu_us: BTreeMap<String, u64>) -> Self {
        let deliveries_per_s = per_second(events, took);
        Self { deliveries_per_s, cpu_us, delivered: 0.0, worker_cpu: None }
    }

    /// Beside what was drained.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
    pub fn beside(self, drained: Option<&Delivered>) -> Self {
        let Some(delivered) = drained else {
            return self;
        };
        let worker = delivered.cpu_us.get("worker").zip(self.cpu_us.get(BENCH));
        Self {
            delivered: delivered.deliveries_per_s / self.deliveries_per_s.max(f64::EPSILON),
            worker_cpu: worker.map(|(worker, floor)| *worker as f64 / (*floor).max(1) as f64),
            ..self
        }
    }
}

/// Healthy endpoints, with and without others that hang.
#[derive(Debug, Serialize)]
pub struct Isolation {
    pub rate: Rate,
    pub alone_ms: Percentiles,
    pub beside_hanging_ms: Percentiles,
    /// Requests that hung.
    pub hung: u64,
    pub p50_ratio: f64,
    pub p99_ratio: f64,
}

impl Isolation {
    pub fn new(rate: Rate, [alone, beside]: [&Arrived; 2]) -> Self {
        let [alone_ms, beside_hanging_ms] =
            [alone, beside].map(|arrived| Percentiles::of(&arrived.latencies));
        Self {
            rate,
            alone_ms,
            beside_hanging_ms,
            hung: beside.hung,
            p50_ratio: beside_hanging_ms.p50 / alone_ms.p50.max(f64::EPSILON),
            p99_ratio: beside_hanging_ms.p99 / alone_ms.p99.max(f64::EPSILON),
        }
    }
}

/// Events taken in one by one while nobody subscribes.
#[derive(Debug, Serialize)]
pub struct Accepted {
    publishers: usize,
    events_per_s: f64,
    answers_ms: Percentiles,
}

impl Accepted {
    pub fn new(publishers: usize, answers: &[Duration], took: Duration) -> Self {
        let events_per_s = per_second(answers.len() as u64, took);
        Self { publishers, events_per_s, answers_ms: Percentiles::of(answers) }
    }
}

/// Events published as fast as they are taken in, each for one endpoint.
#[derive(Debug, Serialize)]
pub struct Delivered {
    events: u64,
    deliveries_per_s: f64,
    published_per_s: f64,
    duplicates: u64,
    /// In µs for each delivery, publishing included, by process.
    cpu_us: BTreeMap<String, u64>,
}

impl Delivered {
    pub fn new(arrived: &Arrived, published: Duration, cpu_us: BTreeMap<String, u64>) -> Self {
        let events = arrived.count();
        Self {
            events,
            deliveries_per_s: per_second(events, arrived.took()),
            published_per_s: per_second(events, published),
            duplicates: arrived.duplicates,
            cpu_us,
        }
    }
}

/// From when an event should have been published to its arrival.
#[derive(Debug, Serialize)]
pub struct Latency {
    rate: Rate,
    events: u64,
    publish_to_delivery_ms: Percentiles,
    /// The share of that in which the bench itself was late to publish.
    late_ms: Percentiles,
    duplicates: u64,
    cpu_us: BTreeMap<String, u64>,
}

impl Latency {
    pub fn new(
        rate: Rate,
        arrived: &Arrived,
        late: &[Duration],
        cpu_us: BTreeMap<String, u64>,
    ) -> Self {
        Self {
            rate,
            events: arrived.count(),
            publish_to_delivery_ms: Percentiles::of(&arrived.latencies),
            late_ms: Percentiles::of(late),
            duplicates: arrived.duplicates,
            cpu_us,
        }
    }
}

/// Deliveries that failed once, and wait for their retry.
#[derive(Debug, Serialize)]
pub struct Waiting {
    deliveries: u64,
    attempts_per_s: f64,
    memory: BTreeMap<String, Memory>,
}

impl Waiting {
    pub fn new(deliveries: u64, took: Duration, watched: &[Watched]) -> Self {
        let attempts_per_s = per_second(deliveries, took);
        Self { deliveries, attempts_per_s, memory: process::memory(watched) }
    }
}

impl Report {
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self).map_err(Failure::failed)
    }

    pub fn print(&self, format: OutputFormat) -> Result<(), Failure> {
        match format {
            OutputFormat::Json => output::line(&self.json()?),
            OutputFormat::Text => output::line(&self.text()),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![row("", ["per second", "p50 ms", "p90 ms", "p99 ms", "max ms"])];
        let floor = &self.floor;
        lines.push(timed("floor: bare client", Some(floor.requests_per_s), &floor.times_ms));
        for accepted in &self.accepted {
            let name = format!("accepted, {} publishers", accepted.publishers);
            lines.push(timed(&name, Some(accepted.events_per_s), &accepted.answers_ms));
        }
        let rate = |name: &str, rate: f64| row(name, [&format!("{rate:.0}"), "", "", "", ""]);
        lines.push(rate("accepted, batches", self.batches_per_s));
        lines.push(rate("delivered", self.delivered.deliveries_per_s));
        if let Some(drained) = &self.drained {
            lines.push(rate("drained of a backlog", drained.deliveries_per_s));
        }
        let latency = &self.latency;
        let name = format!("publish to delivery at {}", latency.rate);
        lines.push(timed(&name, None, &latency.publish_to_delivery_ms));
        lines.push(timed("  of which the bench was late", None, &latency.late_ms));
        lines.push(String::new());
        lines.push(format!("delivered / floor: {:.2}", self.delivered_of_floor));
        lines.push(format!("duplicates: {}", self.delivered.duplicates + self.latency.duplicates));
        lines.push(cpu("CPU µs a request, bare client", &self.floor.cpu_us));
        if let Some(floor) = &self.queue_floor {
            let QueueFloor { deliveries_per_s, delivered, worker_cpu, .. } = floor;
            lines.push(format!(
                "straight loop over broker and store: {deliveries_per_s:.0} a second"
            ));
            lines.push(cpu("CPU µs a delivery, straight loop", &floor.cpu_us));
            lines.push(format!("drained / straight loop: {delivered:.2}"));
            if let Some(ratio) = worker_cpu {
                lines.push(format!("CPU of the worker / straight loop: {ratio:.2}"));
            }
        }
        for isolation in &self.isolation {
            let Isolation { rate, alone_ms, beside_hanging_ms, hung, .. } = isolation;
            lines.push(timed(&format!("healthy endpoints at {rate}"), None, alone_ms));
            lines.push(timed("  beside hanging ones", None, beside_hanging_ms));
            let Isolation { p50_ratio, p99_ratio, .. } = isolation;
            lines.push(format!(
                "  ratio p50 {p50_ratio:.2}, p99 {p99_ratio:.2}; {hung} requests hung"
            ));
        }
        lines.push(cpu("CPU µs a delivery, at full speed", &self.delivered.cpu_us));
        if let Some(drained) = &self.drained {
            lines.push(cpu("CPU µs a delivery, of a backlog", &drained.cpu_us));
        }
        lines.push(cpu(&format!("CPU µs a delivery, at {}", latency.rate), &latency.cpu_us));
        lines.push(memory("MiB, now and at most, when idle", &self.memory_idle));
        lines.push(memory("MiB, now and at most, under load", &self.memory));
        if let Some(waiting) = &self.waiting {
            let Waiting { deliveries, attempts_per_s, .. } = waiting;
            let name = format!("MiB, now and at most, {deliveries} deliveries waiting");
            lines.push(memory(&name, &waiting.memory));
            lines.push(format!("attempts a second until they waited: {attempts_per_s:.0}"));
        }
        lines.join("\n")
    }
}

fn timed(name: &str, rate: Option<f64>, times_ms: &Percentiles) -> String {
    let rate = rate.map_or_else(String::new, |rate| format!("{rate:.0}"));
    let Percentiles { p50, p90, p99, max } = times_ms;
    let [p50, p90, p99, max] = [p50, p90, p99, max].map(|ms| format!("{ms:.1}"));
    row(name, [&rate, &p50, &p90, &p99, &max])
}

fn row(name: &str, [rate, p50, p90, p99, max]: [&str; 5]) -> String {
    format!("{name:<32}{rate:>12}{p50:>10}{p90:>10}{p99:>10}{max:>10}").trim_end().to_owned()
}

fn memory(name: &str, by_process: &BTreeMap<String, Memory>) -> String {
    let each = by_process.iter().map(|(process, memory)| {
        let [now, peak] = [memory.now_kib, memory.peak_kib].map(|kib| kib / 1024);
        format!("{process} {now} {peak}")
    });
    format!("{name}: {}", each.collect::<Vec<_>>().join(", "))
}

fn cpu(name: &str, by_process: &BTreeMap<String, u64>) -> String {
    let each = by_process.iter().map(|(process, us)| format!("{process} {us}"));
    format!("{name}: {}", each.collect::<Vec<_>>().join(", "))
}
