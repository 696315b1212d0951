//! Backlogs: what lies ready is drained as fast as can be.

use serde_json::json;
use tokio::time::Instant;

use super::load::{Load, kind};
use super::process::{Usage, Watched};
use super::report::{Delivered, FanOut, Floor, Spread};
use super::{Bench, queue_floor, sqlite_floor};
use crate::args::BenchArgs;
use crate::failure::Failure;
use crate::output;

/// Who delivers a backlog, and whose CPU is told.
pub struct Workers<'a> {
    /// Those that can be held while the backlog is filled. Where none can, since the API is in the
    /// same process, what is drained is what is left once all is published.
    pub held: &'a [&'a Watched],
    pub watched: &'a [Watched],
}

impl Bench {
    /// Backlogs of events that each go to so many endpoints. Their floor is measured before and after: a
    /// machine that others share is not as fast at one moment as at another.
    pub async fn fan_outs(&self) -> Result<Vec<FanOut>, Failure> {
        let mut measured = Vec::new();
        for fan_out in self.arguments.fan_outs.iter().copied() {
            let before = self.straight_loop(fan_out).await?;
            let suffix = format!("-fan-out-{fan_out}");
            let hook = |n| json!({"url": self.receiver.url_of(n), "max_in_flight": 1000});
            self.create(&suffix, (0..fan_out).map(hook)).await?;
            let load = self.load(&suffix);
            self.warm_up(&load, fan_out).await?;
            let events = (self.arguments.backlog / fan_out).max(1);
            output::tell(&format!("draining {events} events for {fan_out} endpoints each"));
            let drained = self.drain(&load, (events, events * fan_out)).await?;
            self.remove(&suffix).await?;
            let floor = before.and(&self.straight_loop(fan_out).await?);
            measured.push(FanOut::new(fan_out, drained, floor));
        }
        Ok(measured)
    }

    /// A backlog of events that each go to one of so many endpoints.
    pub async fn endpoints(&self) -> Result<Vec<Spread>, Failure> {
        let mut measured = Vec::<Spread>::new();
        for endpoints in self.arguments.endpoints.iter().copied() {
            output::tell(&format!("draining a backlog for {endpoints} endpoints"));
            let suffix = format!("-endpoints-{endpoints}");
            let hook = |n| {
                let url = self.receiver.url_of(n);
                json!({"url": url, "events": [kind(n)], "max_in_flight": 1000})
            };
            self.create(&suffix, (0..endpoints).map(hook)).await?;
            let load = self.load(&suffix).over(endpoints);
            self.warm_up(&load, 1).await?;
            // What is made once for each endpoint is not what a delivery costs.
            load.publish(endpoints).await?;
            self.arrived(endpoints).await?;
            let drained =
                self.drain(&load, (self.arguments.backlog, self.arguments.backlog)).await?;
            measured.push(Spread::new(endpoints, drained, measured.first()));
            self.remove(&suffix).await?;
        }
        Ok(measured)
    }

    async fn drain(&self, load: &Load, counts: (u64, u64)) -> Result<Delivered, Failure> {
        let watched = &self.arguments.processes;
        let worker: Vec<_> = watched.iter().filter(|process| process.is("worker")).collect();
        self.drain_by(&Workers { held: &worker, watched }, load, counts).await
    }

    /// Publishes so many events, and measures from when all are published until so many deliveries
    /// have arrived.
    pub async fn drain_by(
        &self,
        workers: &Workers<'_>,
        load: &Load,
        (events, deliveries): (u64, u64),
    ) -> Result<Delivered, Failure> {
        for worker in workers.held {
            worker.signal("STOP").await?;
        }
        let begun = Instant::now();
        let filled = load.publish(events).await;
        let published = (events, begun.elapsed());
        let (usage, early) = (Usage::of(workers.watched), self.receiver.count());
        let begun = Instant::now();
        for worker in workers.held {
            worker.signal("CONT").await?;
        }
        filled?;
        let arrived = self.arrived(deliveries).await?;
        let left = deliveries.saturating_sub(early);
        let cpu = usage.until_now(workers.watched, left);
        let took = arrived.since(begun);
        Ok(Delivered::new((left, arrived.duplicates), took, published, cpu))
    }

    /// The floor of a backlog.
    async fn straight_loop(&self, fan_out: u64) -> Result<Floor, Failure> {
        let sink = (&self.receiver, fan_out);
        let BenchArgs { amqp_url, redis_url, .. } = &self.arguments;
        let floor = if let (Some(amqp_url), Some(redis_url)) = (amqp_url, redis_url) {
            output::tell(&format!("a straight loop over broker and store, fan-out {fan_out}"));
            queue_floor::run(sink, &self.arguments, [&amqp_url.0, &redis_url.0]).await
        } else {
            output::tell(&format!("a straight loop over SQLite, fan-out {fan_out}"));
            sqlite_floor::run(sink, &self.arguments).await
        };
        self.receiver.forget();
        floor
    }
}
