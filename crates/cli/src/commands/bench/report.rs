//! What was measured. The names tell the units; `_ratio` is a ratio to what is named beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use hookfleet_domain::Rate;
use serde::Serialize;

use super::process::{self, BENCH, Memory, Watched};
use super::receiver::Arrived;
use super::samples::{Percentiles, per_second, ratio};
use crate::args::OutputFormat;
use crate::failure::Failure;
use crate::output;

/// In µs for each request or delivery, by process.
pub type Cpu = BTreeMap<String, u64>;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub bare_client: BareClient,
    pub accepted: Vec<Accepted>,
    pub accepted_in_batches_per_s: f64,
    pub delivered: Delivered,
    pub together: Together,
    pub latency: Vec<Latency>,
    /// Was the worker held while backlogs were filled? If not, what is drained is what was left once
    /// all was published.
    pub worker_held: bool,
    pub fan_outs: Vec<FanOut>,
    pub endpoints: Vec<Spread>,
    pub scale_out: Vec<Scaled>,
    pub partitions: Vec<Scaled>,
    /// Before anything was done, by process.
    pub memory_idle: BTreeMap<String, Memory>,
    /// After all that makes load.
    pub memory: BTreeMap<String, Memory>,
    pub waiting: Option<Waiting>,
    pub isolation: Vec<Isolation>,
    pub outage: Option<Outage>,
}

impl Report {
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self).map_err(Failure::failed)
    }

    pub fn print(&self, format: OutputFormat) -> Result<(), Failure> {
        match format {
            OutputFormat::Json => output::line(&self.json()?),
            OutputFormat::Text => output::line(&super::table::text(self)),
        }
    }
}

/// What the machine allows a client that does nothing else.
#[derive(Debug, Serialize)]
pub struct BareClient {
    pub requests_per_s: f64,
    pub answers_ms: Percentiles,
    /// Of the client (the bench) and of the receiver.
    pub cpu_us_per_request: Cpu,
}

impl BareClient {
    pub fn new(times: &[Duration], took: Duration, cpu_us_per_request: Cpu) -> Self {
        let requests_per_s = per_second(times.len() as u64, took);
        Self { requests_per_s, answers_ms: Percentiles::of(times), cpu_us_per_request }
    }
}

/// Events taken in one by one.
#[derive(Debug, Serialize)]
pub struct Accepted {
    pub publishers: usize,
    pub events_per_s: f64,
    pub answers_ms: Percentiles,
}

impl Accepted {
    pub fn new(publishers: usize, answers: &[Duration], took: Duration) -> Self {
        let events_per_s = per_second(answers.len() as u64, took);
        Self { publishers, events_per_s, answers_ms: Percentiles::of(answers) }
    }
}

/// What arrived, and at what price.
#[derive(Debug, Serialize)]
pub struct Delivered {
    pub deliveries: u64,
    pub deliveries_per_s: f64,
    pub published_events_per_s: f64,
    pub duplicates: u64,
    pub cpu_us_per_delivery: Cpu,
}

impl Delivered {
    pub fn new(
        (deliveries, duplicates): (u64, u64),
        took: Duration,
        (events, published): (u64, Duration),
        cpu_us_per_delivery: Cpu,
    ) -> Self {
        Self {
            deliveries,
            deliveries_per_s: per_second(deliveries, took),
            published_events_per_s: per_second(events, published),
            duplicates,
            cpu_us_per_delivery,
        }
    }

    /// Of the process that delivers: a fleet's worker, or the one that does everything.
    fn worker_cpu_us(&self) -> Option<u64> {
        let cpu = &self.cpu_us_per_delivery;
        cpu.get("worker").or_else(|| cpu.get("server")).copied()
    }
}

/// Events published one by one, and delivered at once.
#[derive(Debug, Serialize)]
pub struct Together {
    pub accepted: Accepted,
    pub delivered: Delivered,
}

impl Together {
    pub fn deliveries_per_s(&self) -> f64 {
        self.delivered.deliveries_per_s
    }
}

/// From when an event should have been published to its arrival.
#[derive(Debug, Serialize)]
pub struct Latency {
    pub rate: Rate,
    pub deliveries: u64,
    pub publish_to_delivery_ms: Percentiles,
    /// The share of that in which the bench itself was late to publish.
    pub late_ms: Percentiles,
    pub duplicates: u64,
    pub cpu_us_per_delivery: Cpu,
}

impl Latency {
    pub fn new(rate: Rate, arrived: &Arrived, late: &[Duration], cpu_us_per_delivery: Cpu) -> Self {
        Self {
            rate,
            deliveries: arrived.deliveries,
            publish_to_delivery_ms: Percentiles::of(&arrived.latencies),
            late_ms: Percentiles::of(late),
            duplicates: arrived.duplicates,
            cpu_us_per_delivery,
        }
    }
}

/// A straight loop over a queue.
#[derive(Debug, Serialize)]
pub struct Floor {
    pub deliveries: u64,
    #[serde(skip)]
    took: Duration,
    pub deliveries_per_s: f64,
    /// The loop's own is the bench's.
    pub cpu_us_per_delivery: Cpu,
}

impl Floor {
    pub fn new(deliveries: u64, took: Duration, cpu_us_per_delivery: Cpu) -> Self {
        let deliveries_per_s = per_second(deliveries, took);
        Self { deliveries, took, deliveries_per_s, cpu_us_per_delivery }
    }

    /// What this run of it and another one come to, of as many deliveries.
    pub fn and(self, other: &Self) -> Self {
        let mut cpu = self.cpu_us_per_delivery;
        for (name, us) in &mut cpu {
            *us = u64::midpoint(*us, other.cpu_us_per_delivery.get(name).copied().unwrap_or(*us));
        }
        Self::new(self.deliveries + other.deliveries, self.took + other.took, cpu)
    }
}

/// A backlog of events, each for so many endpoints.
#[derive(Debug, Serialize)]
pub struct FanOut {
    pub endpoints: u64,
    pub drained: Delivered,
    pub floor: Floor,
    pub deliveries_to_floor_ratio: f64,
    /// The CPU of the process that delivers, for a delivery.
    pub worker_cpu_to_floor_ratio: Option<f64>,
}

impl FanOut {
    #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
    pub fn new(endpoints: u64, drained: Delivered, floor: Floor) -> Self {
        let cpu = drained.worker_cpu_us().zip(floor.cpu_us_per_delivery.get(BENCH));
        Self {
            endpoints,
            deliveries_to_floor_ratio: ratio(drained.deliveries_per_s, floor.deliveries_per_s),
            worker_cpu_to_floor_ratio: cpu.map(|(us, floor)| ratio(us as f64, *floor as f64)),
            drained,
            floor,
        }
    }
}

/// A backlog of events, each for one of so many endpoints.
#[derive(Debug, Serialize)]
pub struct Spread {
    pub endpoints: u64,
    pub drained: Delivered,
    /// The CPU of the process that delivers, for a delivery.
    pub worker_cpu_to_first_ratio: Option<f64>,
}

impl Spread {
    #[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
    pub fn new(endpoints: u64, drained: Delivered, first: Option<&Self>) -> Self {
        let first = first.map_or(&drained, |first| &first.drained).worker_cpu_us();
        let cpu = drained.worker_cpu_us().zip(first);
        let worker_cpu_to_first_ratio = cpu.map(|(us, first)| ratio(us as f64, first as f64));
        Self { endpoints, drained, worker_cpu_to_first_ratio }
    }
}

/// A backlog, drained by so many workers or from so many partitions.
#[derive(Debug, Serialize)]
pub struct Scaled {
    pub count: u64,
    pub drained: Delivered,
    pub deliveries_to_first_ratio: f64,
}

impl Scaled {
    pub fn new(count: u64, drained: Delivered, first: Option<&Self>) -> Self {
        let first = first.map_or(&drained, |first| &first.drained).deliveries_per_s;
        let deliveries_to_first_ratio = ratio(drained.deliveries_per_s, first);
        Self { count, drained, deliveries_to_first_ratio }
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
            p50_ratio: ratio(beside_hanging_ms.p50, alone_ms.p50),
            p99_ratio: ratio(beside_hanging_ms.p99, alone_ms.p99),
        }
    }
}

/// An endpoint that was down, and got everything once it was up again.
#[derive(Debug, Serialize)]
pub struct Outage {
    pub deliveries: u64,
    pub duplicates: u64,
    /// Attempts that failed meanwhile.
    pub failed_attempts: u64,
    /// Retries and deferrals of all these deliveries: for each a message was published.
    pub put_off: u64,
    pub put_off_per_delivery: f64,
}

impl Outage {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn new(deliveries: u64, arrived: &Arrived, put_off: u64) -> Self {
        Self {
            deliveries,
            duplicates: arrived.duplicates,
            failed_attempts: arrived.refused,
            put_off,
            put_off_per_delivery: ratio(put_off as f64, deliveries as f64),
        }
    }
}

/// Deliveries that failed once, and wait for their retry.
#[derive(Debug, Serialize)]
pub struct Waiting {
    pub deliveries: u64,
    pub attempts_per_s: f64,
    pub memory: BTreeMap<String, Memory>,
}

impl Waiting {
    pub fn new(deliveries: u64, took: Duration, watched: &[Watched]) -> Self {
        let attempts_per_s = per_second(deliveries, took);
        Self { deliveries, attempts_per_s, memory: process::memory(watched) }
    }
}
