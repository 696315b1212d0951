//! What is counted for each endpoint, where the operator asks for it. Endpoints are made by tenants,
//! so their number is capped: those that come first have series of their own until the process ends,
//! and all others share one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookfleet_domain::{Endpoint, EndpointId, Outcome};
use prometheus::core::{AtomicF64, GenericCounter};
use prometheus::{CounterVec, IntCounter, IntCounterVec, Opts, Registry};

/// The endpoint that stands for all without series of their own.
const OTHER: &str = "other";
const LABELS: [&str; 2] = ["tenant", "endpoint"];

#[derive(Debug, Clone)]
pub struct PerEndpoint {
    attempts: IntCounterVec,
    seconds: CounterVec,
    others: Series,
    known: Arc<Mutex<HashMap<EndpointId, Series>>>,
    max: usize,
}

#[derive(Debug, Clone)]
struct Series {
    successes: IntCounter,
    failures: IntCounter,
    seconds: GenericCounter<AtomicF64>,
}

impl PerEndpoint {
    pub fn register(registry: &Registry, max: usize) -> prometheus::Result<Self> {
        let name = "hookfleet_endpoint_attempts_total";
        let help = "HTTP requests made to an endpoint; only with --endpoint-metrics-max.";
        let labels = ["tenant", "endpoint", "outcome"];
        let attempts = IntCounterVec::new(Opts::new(name, help), &labels)?;
        let name = "hookfleet_endpoint_attempt_seconds_total";
        let help = "How long they took together; only with --endpoint-metrics-max.";
        let seconds = CounterVec::new(Opts::new(name, help), &LABELS)?;
        registry.register(Box::new(attempts.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        let others = Series::of(&attempts, &seconds, [OTHER, OTHER]);
        Ok(Self { attempts, seconds, others, known: Arc::default(), max })
    }

    pub fn attempted(&self, to: &Endpoint, outcome: &Outcome, took: Duration) {
        let series = self.series(to);
        if outcome.is_success() { &series.successes } else { &series.failures }.inc();
        series.seconds.inc_by(took.as_secs_f64());
    }

    fn series(&self, to: &Endpoint) -> Series {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&to.id) {
            return series.clone();
        }
        if known.len() >= self.max {
            return self.others.clone();
        }
        let names = [to.tenant.as_str(), to.id.as_str()];
        let series = Series::of(&self.attempts, &self.seconds, names);
        known.insert(to.id.clone(), series.clone());
        series
    }
}

impl Series {
    fn of(attempts: &IntCounterVec, seconds: &CounterVec, [tenant, endpoint]: [&str; 2]) -> Self {
        let attempts = |outcome| attempts.with_label_values(&[tenant, endpoint, outcome]);
        Self {
            successes: attempts("success"),
            failures: attempts("failure"),
            seconds: seconds.with_label_values(&[tenant, endpoint]),
        }
    }
}
