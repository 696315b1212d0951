//! What is counted at the door.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::{PublishError, Published};

const OUTCOMES: [&str; 6] = ["accepted", "duplicate", "invalid", "busy", "unavailable", "refused"];

/// Counters of the door.
#[derive(Debug, Clone)]
pub struct ProducerMetrics {
    /// `hookfleet_events_published_total{outcome}`: events handed in, by what became of them.
    published: IntCounterVec,
}

impl ProducerMetrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Events handed in, by outcome.";
        let options = Opts::new("hookfleet_events_published_total", help);
        let published = IntCounterVec::new(options, &["outcome"])?;
        registry.register(Box::new(published.clone()))?;
        for outcome in OUTCOMES {
            published.with_label_values(&[outcome]);
        }
        Ok(Self { published })
    }

    pub(crate) fn count(&self, result: &Result<Published, PublishError>) {
        self.published.with_label_values(&[outcome(result)]).inc();
    }
}

/// What became of an event, in a word.
pub fn outcome(of: &Result<Published, PublishError>) -> &'static str {
    match of {
        Ok(Published { duplicate: false, .. }) => "accepted",
        Ok(Published { duplicate: true, .. }) => "duplicate",
        Err(PublishError::Invalid(_)) => "invalid",
        Err(PublishError::Busy(_)) => "busy",
        Err(PublishError::Unavailable(_)) => "unavailable",
        Err(PublishError::Refused(_)) => "refused",
    }
}
