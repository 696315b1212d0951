//! `hookfleet bench`: load on a running server, and what it makes of it.
//!
//! Every figure of one run stands beside the *floor* of the same run: a bare client that sends
//! requests of the same size to the same receiver, and does nothing else. What is stated is a ratio to
//! what the machine allows, not a number for a brochure. All processes share the machine, the load
//! and the receiver included.

mod floor;
mod isolation;
mod load;
mod process;
mod queue_floor;
mod receiver;
mod report;
mod samples;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::args::BenchArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::{lifecycle, output};

use load::Load;
use process::Usage;
use receiver::Receiver;
use report::{Accepted, Delivered, Latency, Report, Waiting};

pub use process::Watched;

/// How long nothing may arrive before what is missing is given up.
const ARRIVAL_WAIT_MAX: Duration = Duration::from_mins(1);
/// How long the very first event may take.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the server may take for what was accepted while nobody subscribed.
const BACKLOG_WAIT_MAX: Duration = Duration::from_mins(10);
const ALLOW: &str = "the receiver is on this machine: start the server with \
                     HOOKFLEET_ALLOW_HTTP=true and HOOKFLEET_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8";

/// Runs it.
pub async fn run(arguments: BenchArgs) -> Result<(), Failure> {
    process::check(&arguments.processes)?;
    let client = Arc::new(Client::new(arguments.server.clone())?);
    let receiver = Receiver::start().await?;
    let tenant = format!("bench-{:08x}", rand::random::<u32>());
    let bench = Bench { client, receiver, tenant, arguments, created: Mutex::default() };
    let mut tasks = JoinSet::new();
    let stop = lifecycle::stop_on_signal(&mut tasks)?;
    let measured = tokio::select! {
        measured = bench.measure() => measured,
        () = stop.cancelled() => Err(Failure::failed("interrupted")),
    };
    let removed = bench.remove().await;
    let report = measured?;
    removed?;
    report.print(bench.client.output)?;
    if let Some(file) = &bench.arguments.json {
        let written = std::fs::write(file, report.json()?);
        written.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

struct Bench {
    client: Arc<Client>,
    receiver: Receiver,
    tenant: String,
    arguments: BenchArgs,
    /// The paths of its endpoints.
    created: Mutex<Vec<String>>,
}

impl Bench {
    async fn measure(&self) -> Result<Report, Failure> {
        let memory_idle = process::memory(&self.arguments.processes);
        self.subscribe().await?;
        let floor = self.floor().await?;
        let mut accepted = Vec::new();
        for publishers in &self.arguments.publishers {
            output::tell(&format!("accepting from {publishers} publishers"));
            accepted.push(self.accept(*publishers).await?);
        }
        let queue_floor = self.queue_floor().await?;
        output::tell("accepting batches");
        let batches = self.load("-nobody").batches(self.arguments.duration.0).await?;
        self.caught_up(BACKLOG_WAIT_MAX).await?;
        output::tell(&format!("delivering {} events", self.arguments.events));
        let delivered = self.deliver().await?;
        let drained = self.drain().await?;
        output::tell(&format!("publishing and delivering at {}", self.arguments.rate));
        let latency = self.latency().await?;
        let memory = process::memory(&self.arguments.processes);
        let waiting = if self.arguments.waiting > 0 { Some(self.wait().await?) } else { None };
        let mut isolation = Vec::new();
        for rate in &self.arguments.isolation {
            isolation.push(self.isolation(*rate).await?);
        }
        Ok(Report {
            queue_floor: queue_floor.map(|floor| floor.beside(drained.as_ref())),
            drained,
            isolation,
            accepted,
            batches_per_s: batches,
            delivered_of_floor: floor.share(&delivered),
            floor,
            delivered,
            latency,
            memory_idle,
            memory,
            waiting,
        })
    }

    async fn floor(&self) -> Result<report::Floor, Failure> {
        output::tell(&format!("the floor: {} requests in flight", self.arguments.in_flight));
        let floor = floor::run(&self.receiver, &self.arguments).await;
        self.receiver.clear();
        floor
    }

    async fn queue_floor(&self) -> Result<Option<report::QueueFloor>, Failure> {
        let BenchArgs { amqp_url: Some(amqp_url), redis_url: Some(redis_url), .. } =
            &self.arguments
        else {
            return Ok(None);
        };
        output::tell("the floor of a fleet: a straight loop over broker and store");
        let urls = [&amqp_url.0, &redis_url.0];
        let floor = queue_floor::run(&self.receiver, &self.arguments, urls).await;
        self.receiver.clear();
        floor.map(Some)
    }

    /// Publishing to the tenant whose name has this suffix.
    fn load(&self, suffix: &str) -> Load {
        let path = format!("/v1/tenants/{}{suffix}/events", self.tenant);
        Load::new(Arc::clone(&self.client), path, self.arguments.body_bytes)
    }

    /// The bench's own endpoint. A first event tells whether the server may deliver to it.
    async fn subscribe(&self) -> Result<(), Failure> {
        let fields = json!({"url": self.receiver.url(), "max_in_flight": 1000});
        self.create("", &fields).await?;
        // A change takes effect within a second.
        sleep(Duration::from_secs(2)).await;
        self.load("").publish(1).await?;
        let first = until(1, FIRST_WAIT_MAX, || self.receiver.count()).await;
        first.map_err(|failure| Failure::failed(format!("{failure}; {ALLOW}")))?;
        self.receiver.forget();
        Ok(())
    }

    async fn create(&self, suffix: &str, fields: &Value) -> Result<(), Failure> {
        let path = format!("/v1/tenants/{}{suffix}/endpoints", self.tenant);
        let created = self.client.send(Method::POST, &path, fields).await.map_err(|failure| {
            // What is wrong with it can only be its URL.
            if failure.is_usage() {
                Failure::refused(format!("{failure}; {ALLOW}"))
            } else {
                failure
            }
        })?;
        let id = created.get("id").and_then(Value::as_str);
        let id = id.ok_or_else(|| Failure::failed("the endpoint got no id"))?;
        self.endpoints().push(format!("{path}/{id}"));
        Ok(())
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<String>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes its endpoints, however the run ended.
    async fn remove(&self) -> Result<(), Failure> {
        let paths = std::mem::take(&mut *self.endpoints());
        for path in paths {
            self.client.delete(&path).await?;
        }
        Ok(())
    }

    /// Waits until an event that is published now arrives: all that were accepted before are gone.
    async fn caught_up(&self, wait_max: Duration) -> Result<(), Failure> {
        self.load("").publish(1).await?;
        until(1, wait_max, || self.receiver.count()).await?;
        self.receiver.forget();
        Ok(())
    }

    async fn accept(&self, publishers: usize) -> Result<Accepted, Failure> {
        let begun = Instant::now();
        let answers =
            self.load("-nobody").one_by_one(publishers, self.arguments.duration.0).await?;
        Ok(Accepted::new(publishers, &answers, begun.elapsed()))
    }

    async fn deliver(&self) -> Result<Delivered, Failure> {
        let before = Usage::of(&self.arguments.processes);
        let begun = Instant::now();
        let events = self.arguments.events;
        self.load("").publish(events).await?;
        let published = begun.elapsed();
        let arrived = self.arrived(events).await?;
        let cpu = before.until_now(&self.arguments.processes, events);
        Ok(Delivered::new(&arrived, published, cpu))
    }

    /// A backlog that lies ready, as the straight loop's does: its worker is held meanwhile.
    async fn drain(&self) -> Result<Option<Delivered>, Failure> {
        let worker = self.arguments.processes.iter().find(|process| process.is("worker"));
        let Some(worker) = worker else {
            return Ok(None);
        };
        let events = self.arguments.events;
        output::tell(&format!("draining a backlog of {events} events"));
        worker.signal("STOP").await?;
        let published = Instant::now();
        let filled = self.load("").publish(events).await;
        let published = published.elapsed();
        let before = Usage::of(&self.arguments.processes);
        worker.signal("CONT").await?;
        filled?;
        let arrived = self.arrived(events).await?;
        let cpu = before.until_now(&self.arguments.processes, events);
        Ok(Some(Delivered::new(&arrived, published, cpu)))
    }

    async fn latency(&self) -> Result<Latency, Failure> {
        let before = Usage::of(&self.arguments.processes);
        let (rate, duration) = (self.arguments.rate, self.arguments.duration.0);
        let late = self.load("").at_rate(rate, duration, self.receiver.epoch()).await?;
        let published = late.len() as u64;
        let arrived = self.arrived(published).await?;
        let cpu = before.until_now(&self.arguments.processes, published);
        Ok(Latency::new(rate, &arrived, &late, cpu))
    }

    /// Deliveries that all fail once, and wait for their retry.
    async fn wait(&self) -> Result<Waiting, Failure> {
        let deliveries = self.arguments.waiting;
        output::tell(&format!("filling up with {deliveries} deliveries that wait"));
        let url = self.receiver.refusing_url();
        let retry = json!({"schedule": ["12h"]});
        let fields = json!({"url": url, "max_in_flight": 1000, "retry": retry});
        self.create("-waiting", &fields).await?;
        let begun = Instant::now();
        self.load("-waiting").publish(deliveries).await?;
        until(deliveries, ARRIVAL_WAIT_MAX, || self.receiver.refused()).await?;
        Ok(Waiting::new(deliveries, begun.elapsed(), &self.arguments.processes))
    }

    /// Waits until so many different events have arrived, and begins to count anew.
    async fn arrived(&self, events: u64) -> Result<receiver::Arrived, Failure> {
        until(events, ARRIVAL_WAIT_MAX, || self.receiver.count()).await?;
        Ok(self.receiver.forget())
    }
}

/// Waits until so many have arrived. A slow server may take its time; one from which nothing more
/// comes for `wait_max` has failed.
async fn until(events: u64, wait_max: Duration, count: impl Fn() -> u64) -> Result<(), Failure> {
    let (mut last, mut since) = (count(), Instant::now());
    while last < events {
        sleep(Duration::from_millis(10)).await;
        let arrived = count();
        if arrived > last {
            (last, since) = (arrived, Instant::now());
        } else if since.elapsed() > wait_max {
            let (missing, seconds) = (events - arrived, wait_max.as_secs());
            return Err(Failure::failed(format!(
                "{missing} of {events} events are missing: nothing has arrived for {seconds} s"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_is_waited_for_and_an_end_is_not() {
        let begun = Instant::now();
        let one_each_20_s = || begun.elapsed().as_secs() / 20;
        until(10, ARRIVAL_WAIT_MAX, one_each_20_s).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 200);
        let failure = until(10, ARRIVAL_WAIT_MAX, || 7).await.unwrap_err().to_string();
        assert_eq!(failure, "3 of 10 events are missing: nothing has arrived for 60 s");
        assert_eq!(begun.elapsed().as_secs(), 260);
    }
}
