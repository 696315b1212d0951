//! What a worker counts. Labels come from closed sets: no tenant, endpoint or event type.

use std::time::Duration;

use hookfleet_domain::{DeadLetterReason, Outcome};
use hookfleet_queue::{Lease, Message};
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
    deferrals: IntCounterVec,
    dead_letters: IntCounterVec,
    in_flight: IntGauge,
}

/// From 5 ms, a healthy receiver, to the longest time-out and a few retries.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0];

impl WorkerMetrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
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
        let in_flight = IntGauge::new("hookfleet_attempts_in_flight", "HTTP requests under way.")?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
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
            in_flight,
        })
    }

    pub(crate) fn leased(&self, lease: &Lease) {
        let kind = match &lease.message {
            Message::Event(_) => "event",
            Message::Draft(_) => "draft",
            Message::Delivery(_) => "delivery",
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

    pub(crate) fn attempt_ended(&self, outcome: &Outcome, took: Duration) {
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
