//! What a worker counts. Labels come from closed sets: no tenant, endpoint or event type, unless the
//! operator asks for so many endpoints ([`endpoints`]). What can be counted stands there from the
//! beginning, at 0: a rate over something that just appeared would miss its first.

mod endpoints;

use std::time::Duration;

use endpoints::PerEndpoint;
use hookfleet_domain::{DeadLetterReason, Endpoint, Outcome};
use hookfleet_queue::{Lease, Message};
use hookfleet_store::WaitReason;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters, gauges and histograms of a worker; the help texts stand in `register`.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    leases: IntCounterVec,
    redeliveries: IntCounter,
    attempts: IntCounterVec,
    attempt_seconds: Histogram,
    delivery_seconds: Histogram,
    retries: IntCounter,
    newer: IntCounter,
    deferrals: IntCounterVec,
    dead_letters: IntCounterVec,
    drained: IntCounterVec,
    in_flight: IntGauge,
    slots: IntGauge,
    slots_in_use: IntGauge,
    per_endpoint: Option<PerEndpoint>,
}

/// Outcomes of attempts, with the classes of status that each can have.
const OUTCOMES: [(&str, &str); 8] = [
    ("success", "2xx"),
    ("status", "1xx"),
    ("status", "3xx"),
    ("status", "4xx"),
    ("status", "5xx"),
    ("timeout", "none"),
    ("unreachable", "none"),
    ("forbidden", "none"),
];
const KINDS: [&str; 5] = ["event", "draft", "delivery", "newer", "malformed"];
/// Deferred by this worker itself: its endpoint's lane is full, or its tenant's share of the slots, or
/// the egress proxy lets nothing out, or an endpoint of its tenant is a later version's.
const OURS: [&str; 4] = ["busy", "share", "egress", "newer"];
const FINISHED: &str = "finished";
const RETURNED: &str = "returned";

/// From 5 ms, a healthy receiver, to the longest time-out and a few retries.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0];

impl WorkerMetrics {
    /// Registers them; at most so many endpoints get series of their own.
    pub fn register(registry: &Registry, endpoints_max: usize) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone())).map(|()| histogram)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let per_endpoint = match endpoints_max {
            0 => None,
            max => Some(PerEndpoint::register(registry, max)?),
        };
        let metrics = Self {
            leases: counters("hookfleet_leases_total", "Messages taken, by kind.", &["kind"])?,
            redeliveries: counter(
                "hookfleet_redeliveries_total",
                "Messages taken that had been taken before and came back.",
            )?,
            attempts: counters(
                "hookfleet_attempts_total",
                "HTTP requests made, by outcome and class of status.",
                &["outcome", "status_class"],
            )?,
            attempt_seconds: histogram(
                "hookfleet_attempt_duration_seconds",
                "How long an HTTP request took, body included.",
            )?,
            delivery_seconds: histogram(
                "hookfleet_delivery_latency_seconds",
                "From an event's acceptance to its successful delivery, retries included.",
            )?,
            retries: counter("hookfleet_retries_scheduled_total", "Retries scheduled.")?,
            newer: counter(
                "hookfleet_newer_messages_total",
                "Messages put off for a worker of a later version: they are of one, or need a record of one.",
            )?,
            deferrals: counters(
                "hookfleet_deferrals_total",
                "Deliveries put off without an attempt, by reason.",
                &["reason"],
            )?,
            dead_letters: counters(
                "hookfleet_dead_letters_total",
                "Deliveries given up, by reason.",
                &["reason"],
            )?,
            drained: counters(
                "hookfleet_drained_messages_total",
                "Messages in hand when the worker was told to stop, by what became of them.",
                &["result"],
            )?,
            in_flight: gauge("hookfleet_attempts_in_flight", "HTTP requests under way.")?,
            slots: gauge("hookfleet_slots", "Deliveries that can be in hand at once.")?,
            slots_in_use: gauge(
                "hookfleet_slots_in_use",
                "Deliveries in hand, looked at every second.",
            )?,
            per_endpoint,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    fn begin_at_zero(&self) {
        for kind in KINDS {
            self.leases.with_label_values(&[kind]);
        }
        for (outcome, class) in OUTCOMES {
            self.attempts.with_label_values(&[outcome, class]);
        }
        let reasons = [WaitReason::Leased, WaitReason::Breaker, WaitReason::Rate];
        for reason in reasons.map(WaitReason::label).into_iter().chain(OURS) {
            self.deferrals.with_label_values(&[reason]);
        }
        for reason in DeadLetterReason::ALL {
            self.dead_letters.with_label_values(&[reason.label()]);
        }
        for result in [FINISHED, RETURNED] {
            self.drained.with_label_values(&[result]);
        }
    }

    /// Says how much of it is taken.
    pub(crate) fn slots(&self, in_use: usize, of: usize) {
        self.slots.set(i64::try_from(of).unwrap_or(i64::MAX));
        self.slots_in_use.set(i64::try_from(in_use).unwrap_or(i64::MAX));
    }

    /// What was in hand at the end: so many were finished, so many go back to the queue.
    pub(crate) fn drained(&self, finished: usize, returned: usize) {
        for (result, count) in [(FINISHED, finished), (RETURNED, returned)] {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.drained.with_label_values(&[result]).inc_by(count);
        }
    }

    pub(crate) fn left_to_newer(&self) {
        self.newer.inc();
    }

    pub(crate) fn leased(&self, lease: &Lease) {
        let kind = match &lease.message {
            Message::Event(_) => "event",
            Message::Draft(_) => "draft",
            Message::Delivery(_) => "delivery",
            Message::Newer(_) => "newer",
            Message::Malformed(_) => "malformed",
        };
        self.leases.with_label_values(&[kind]).inc();
        if lease.redeliveries > 0 {
            self.redeliveries.inc();
        }
    }

    /// Counts as under way until it is dropped.
    pub(crate) fn attempt_begins(&self) -> UnderWay {
        self.in_flight.inc();
        UnderWay(self.in_flight.clone())
    }

    pub(crate) fn attempt_ended(&self, to: &Endpoint, outcome: &Outcome, took: Duration) {
        let class = match outcome.http_status() {
            Some(100..=199) => "1xx",
            Some(200..=299) => "2xx",
            Some(300..=399) => "3xx",
            Some(400..=499) => "4xx",
            Some(_) => "5xx",
            None => "none",
        };
        self.attempts.with_label_values(&[outcome.label(), class]).inc();
        self.attempt_seconds.observe(took.as_secs_f64());
        if let Some(per_endpoint) = &self.per_endpoint {
            per_endpoint.attempted(to, outcome, took);
        }
    }

    pub(crate) fn delivered(&self, since_accepted: Duration) {
        self.delivery_seconds.observe(since_accepted.as_secs_f64());
    }

    pub(crate) fn retry_scheduled(&self) {
        self.retries.inc();
    }

    pub(crate) fn deferred(&self, reason: &'static str) {
        self.deferrals.with_label_values(&[reason]).inc();
    }

    pub(crate) fn dead_letter(&self, reason: DeadLetterReason) {
        self.dead_letters.with_label_values(&[reason.label()]).inc();
    }
}

/// An attempt under way.
pub(crate) struct UnderWay(IntGauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}
