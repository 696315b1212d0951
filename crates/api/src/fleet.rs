//! What is asked for the whole fleet: how much waits, and which breakers are open. Every process
//! with an API asks, and all of them tell the same.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{Clock, Timestamp};
use hookfleet_queue::{Depth, Queue, QueueKind};
use hookfleet_store::Store;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// Breakers that are counted; more are so many, too.
const BROKEN_MAX: usize = 10_000;

/// Gauges of the whole fleet. What cannot be asked shows no value, rather than an old one.
#[derive(Debug, Clone)]
pub struct FleetMetrics {
    messages: IntGaugeVec,
    consumers: IntGaugeVec,
    oldest: IntGaugeVec,
    breakers: IntGaugeVec,
}

impl FleetMetrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        Ok(Self {
            messages: gauges(
                "hookfleet_queue_messages",
                "Messages that wait in the whole fleet, without those in workers' hands.",
                "queue",
            )?,
            consumers: gauges(
                "hookfleet_queue_consumers",
                "Workers that take from a queue; of several partitions, from the one with fewest.",
                "queue",
            )?,
            oldest: gauges(
                "hookfleet_queue_oldest_seconds",
                "How long the first message has waited; over RabbitMQ at most so long: since the queue was last seen empty.",
                "queue",
            )?,
            breakers: gauges(
                "hookfleet_breakers",
                "Endpoints whose breaker is open, or half open: the next delivery tries.",
                "state",
            )?,
        })
    }

    /// Shows every series, with nothing in it.
    pub fn begin_at_zero(&self) {
        let now = Timestamp::from_unix_ms(0);
        for kind in QueueKind::ALL {
            let taken = matches!(kind, QueueKind::Events | QueueKind::Deliveries);
            let depth = Depth { kind, messages: 0, consumers: taken.then_some(0), oldest: None };
            self.show_queue(&depth, now, now);
        }
        self.show_breakers(std::iter::empty(), now);
    }

    fn show_queue(&self, depth: &Depth, oldest: Timestamp, now: Timestamp) {
        let queue = [depth.kind.label()];
        let shown = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.messages.with_label_values(&queue).set(shown(depth.messages));
        if let Some(consumers) = depth.consumers {
            self.consumers.with_label_values(&queue).set(shown(consumers));
        }
        if matches!(depth.kind, QueueKind::Events | QueueKind::Deliveries) {
            self.oldest.with_label_values(&queue).set(shown(now.since(oldest).as_secs()));
        }
    }

    fn show_breakers(&self, open_until: impl Iterator<Item = Timestamp>, now: Timestamp) {
        let (mut open, mut half_open) = (0, 0);
        for until in open_until {
            *if until > now { &mut open } else { &mut half_open } += 1;
        }
        self.breakers.with_label_values(&["open"]).set(open);
        self.breakers.with_label_values(&["half_open"]).set(half_open);
    }
}

/// Asks queue and store.
pub struct FleetWatch {
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: FleetMetrics,
    /// When each kind of queue was last seen empty, or first seen.
    empty: [Timestamp; QueueKind::ALL.len()],
}

impl FleetWatch {
    /// Has not asked yet.
    pub fn new(
        (queue, store): (Arc<dyn Queue>, Arc<dyn Store>),
        clock: Arc<dyn Clock>,
        metrics: FleetMetrics,
    ) -> Self {
        let empty = [clock.now(); QueueKind::ALL.len()];
        Self { queue, store, clock, metrics, empty }
    }

    /// Asks every few seconds, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if stop.run_until_cancelled(self.ask()).await.is_none() {
                return;
            }
        }
    }

    async fn ask(&mut self) {
        match self.queue.depths().await {
            Ok(depths) => self.see(&depths),
            Err(error) => {
                tracing::debug!(%error, "it is not known how much waits");
                self.metrics.messages.reset();
                self.metrics.consumers.reset();
                self.metrics.oldest.reset();
            }
        }
        match self.store.broken_endpoints(BROKEN_MAX).await {
            Ok(broken) => {
                let open_until = broken.into_iter().map(|(_, until)| until);
                self.metrics.show_breakers(open_until, self.clock.now());
            }
            Err(error) => {
                tracing::debug!(%error, "it is not known which breakers are open");
                self.metrics.breakers.reset();
            }
        }
    }

    fn see(&mut self, depths: &[Depth]) {
        let now = self.clock.now();
        for depth in depths {
            for (kind, empty) in QueueKind::ALL.iter().zip(&mut self.empty) {
                if *kind == depth.kind {
                    if depth.messages == 0 {
                        *empty = now;
                    }
                    self.metrics.show_queue(depth, depth.oldest.unwrap_or(*empty), now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakers_by_state() {
        let metrics = FleetMetrics::register(&Registry::new()).unwrap();
        let at = Timestamp::from_unix_ms;
        metrics.show_breakers([at(1), at(5), at(9)].into_iter(), at(5));
        let shown = |state| metrics.breakers.with_label_values(&[state]).get();
        assert_eq!((shown("open"), shown("half_open")), (1, 2));
    }

    #[test]
    fn a_queue_of_unknown_age_is_as_old_as_it_is_at_most() {
        let metrics = FleetMetrics::register(&Registry::new()).unwrap();
        let at = |seconds: i64| Timestamp::from_unix_ms(seconds * 1000);
        let depth =
            Depth { kind: QueueKind::Events, messages: 3, consumers: Some(0), oldest: None };
        metrics.show_queue(&depth, at(10), at(25));
        let of = |gauge: &IntGaugeVec| gauge.with_label_values(&["events"]).get();
        let shown = (of(&metrics.messages), of(&metrics.consumers), of(&metrics.oldest));
        assert_eq!(shown, (3, 0, 15));
        let dead = Depth { kind: QueueKind::Dead, ..depth };
        metrics.show_queue(&dead, at(10), at(25));
        assert_eq!(metrics.oldest.with_label_values(&["dead"]).get(), 0, "letters may wait");
    }
}
