//! What more workers and more partitions bring. The bench starts both itself, over the fleet's broker
//! and store, in place of the worker that was measured before.

use std::sync::Arc;

use serde_json::json;

use super::Bench;
use super::backlog::Workers;
use super::fleet::{Fleet, free_address};
use super::load::Load;
use super::process::Watched;
use super::report::{Delivered, Scaled};
use crate::args::{BenchArgs, ServerArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

const SLOW: &str = "-slow";
const PARTITIONED: &str = "-partitioned";
/// Deliveries that one worker makes at once: so few that it waits for the receiver, not for the CPU.
const CONCURRENCY: &str = "64";
/// The part of a backlog that is drained: a receiver that takes 50 ms gets 1,280 a second from one
/// worker.
const SLOW_PART: u64 = 5;

impl Bench {
    /// A backlog for a receiver that takes 50 ms, drained by so many workers.
    pub async fn scale_out(&self) -> Result<Vec<Scaled>, Failure> {
        let mut measured = Vec::<Scaled>::new();
        if !self.arguments.own_fleet || self.arguments.workers.is_empty() {
            return Ok(measured);
        }
        let endpoint = json!({"url": self.receiver.slow_url(), "max_in_flight": 1000});
        self.create(SLOW, [endpoint]).await?;
        self.warm_up(&self.load(SLOW), 1).await?;
        self.end_worker().await?;
        for count in self.arguments.workers.iter().copied() {
            output::tell(&format!("draining a backlog to a slow receiver by {count} workers"));
            let mut fleet = Fleet::new(&self.arguments);
            for n in 1..=count {
                let name = format!("worker-{n}");
                fleet.start(name, &["worker", "--concurrency", CONCURRENCY]).await?;
            }
            let events = (self.arguments.backlog / SLOW_PART).max(1);
            let drained = self.drain_own(fleet, &self.load(SLOW), events).await?;
            measured.push(Scaled::new(count, drained, measured.first()));
        }
        self.remove(SLOW).await?;
        Ok(measured)
    }

    /// A backlog spread over so many partitions, drained by one worker.
    pub async fn partitions(&self) -> Result<Vec<Scaled>, Failure> {
        let mut measured = Vec::<Scaled>::new();
        if !self.arguments.own_fleet || self.arguments.partitions.is_empty() {
            return Ok(measured);
        }
        let endpoint = json!({"url": self.receiver.url(), "max_in_flight": 1000});
        self.create(PARTITIONED, [endpoint]).await?;
        self.end_worker().await?;
        for count in self.arguments.partitions.iter().copied() {
            output::tell(&format!("draining a backlog from {count} partitions"));
            let (mut fleet, listen) = (Fleet::new(&self.arguments), free_address()?);
            let partitions = count.to_string();
            let with = ["--partitions", &partitions];
            let api = [&["api", "--listen", &listen], &with[..]].concat();
            fleet.start("api-2".to_owned(), &api).await?;
            fleet.start("worker-1".to_owned(), &[&["worker"], &with[..]].concat()).await?;
            let url = format!("http://{listen}");
            let server = ServerArgs { url, ..self.arguments.server.clone() };
            let client = Arc::new(Client::new(server)?);
            let path = self.path(PARTITIONED, "events");
            let load = Load::new(client, path, self.arguments.body_bytes);
            self.warm_up(&load, 1).await?;
            let drained = self.drain_own(fleet, &load, self.arguments.backlog).await?;
            measured.push(Scaled::new(count, drained, measured.first()));
        }
        self.remove(PARTITIONED).await?;
        Ok(measured)
    }

    /// A backlog drained by workers of the bench, which then end.
    async fn drain_own(
        &self,
        fleet: Fleet<'_>,
        load: &Load,
        events: u64,
    ) -> Result<Delivered, Failure> {
        let workers = fleet.watched.iter().filter(|process| process.is_one_of("worker"));
        let held: Vec<_> = workers.collect();
        let watched = self.arguments.processes.iter().chain(&fleet.watched);
        let watched: Vec<Watched> = watched.cloned().collect();
        let workers = Workers { held: &held, watched: &watched };
        let drained = self.drain_by(&workers, load, (events, events)).await?;
        fleet.stop().await?;
        Ok(drained)
    }

    /// The worker that was measured before gives place.
    async fn end_worker(&self) -> Result<(), Failure> {
        let BenchArgs { processes, .. } = &self.arguments;
        let Some(worker) = processes.iter().find(|process| process.is("worker")) else {
            return Err(Failure::usage("--own-fleet needs --process worker=ID"));
        };
        worker.end().await
    }
}
