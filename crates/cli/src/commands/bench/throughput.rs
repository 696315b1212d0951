//! What is taken in, and what is delivered meanwhile.

use tokio::time::Instant;

use super::process::Usage;
use super::report::{Accepted, BareClient, Delivered, Together};
use super::{Bench, floor};
use crate::failure::Failure;
use crate::output;

/// A tenant to whose events nobody subscribes.
const NOBODY: &str = "-nobody";
/// Publishers whose events are delivered at once.
const PUBLISHERS: usize = 64;

impl Bench {
    /// What the machine allows.
    pub async fn bare_client(&self) -> Result<BareClient, Failure> {
        output::tell(&format!("a bare client: {} requests in flight", self.arguments.in_flight));
        let floor = floor::bare_client(&self.receiver, &self.arguments).await;
        self.receiver.clear();
        floor
    }

    /// While nobody subscribes.
    pub async fn accepted(&self) -> Result<Vec<Accepted>, Failure> {
        let mut accepted = Vec::new();
        for publishers in self.arguments.publishers.iter().copied() {
            output::tell(&format!("accepting from {publishers} publishers"));
            let begun = Instant::now();
            let load = self.load(NOBODY);
            let answers = load.one_by_one(publishers, self.arguments.duration.0).await?;
            accepted.push(Accepted::new(publishers, &answers, begun.elapsed()));
        }
        self.caught_up().await?;
        Ok(accepted)
    }

    /// Likewise, in batches: events a second.
    pub async fn accepted_in_batches(&self) -> Result<f64, Failure> {
        output::tell("accepting batches");
        let per_s = self.load(NOBODY).batches(self.arguments.duration.0).await?;
        self.caught_up().await?;
        Ok(per_s)
    }

    /// So many events, published in batches and delivered at once.
    pub async fn delivered(&self) -> Result<Delivered, Failure> {
        let events = self.arguments.events;
        output::tell(&format!("publishing and delivering {events} events"));
        let usage = Usage::of(&self.arguments.processes);
        let begun = Instant::now();
        self.load("").publish(events).await?;
        let published = (events, begun.elapsed());
        let arrived = self.arrived(events).await?;
        let cpu = usage.until_now(&self.arguments.processes, events);
        Ok(Delivered::new((events, arrived.duplicates), arrived.took(), published, cpu))
    }

    /// Events published one by one and delivered at once.
    pub async fn together(&self) -> Result<Together, Failure> {
        output::tell(&format!("delivering what {PUBLISHERS} publishers send"));
        let usage = Usage::of(&self.arguments.processes);
        let begun = Instant::now();
        let answers = self.load("").one_by_one(PUBLISHERS, self.arguments.duration.0).await?;
        let took = begun.elapsed();
        let events = answers.len() as u64;
        let arrived = self.arrived(events).await?;
        let cpu = usage.until_now(&self.arguments.processes, events);
        let delivered =
            Delivered::new((events, arrived.duplicates), arrived.took(), (events, took), cpu);
        Ok(Together { accepted: Accepted::new(PUBLISHERS, &answers, took), delivered })
    }
}
