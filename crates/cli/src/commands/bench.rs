//! `hookfleet bench`: load on a running server, and what it makes of it.
//!
//! Every figure of one run stands beside the *floor* of the same run: a bare client that sends
//! requests of the same size to the same receiver, and does nothing else. What is stated is a ratio to
//! what the machine allows, not a number for a brochure. All processes share the machine, the load
//! and the receiver included.

mod floor;
mod load;
mod process;
mod receiver;
mod report;
mod samples;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::args::BenchArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

use load::Load;
use process::Usage;
use receiver::Receiver;
use report::{Accepted, Delivered, Latency, Report, Waiting};

pub use process::Watched;

/// How long deliveries may take to arrive after the last event was published.
const ARRIVAL_WAIT_MAX: Duration = Duration::from_mins(2);

/// Runs it.
pub async fn run(arguments: BenchArgs) -> Result<(), Failure> {
    let client = Arc::new(Client::new(arguments.server.clone())?);
    let receiver = Receiver::start().await?;
    let tenant = format!("bench-{:08x}", rand::random::<u32>());
    let bench = Bench { client, receiver, tenant, arguments };
    let endpoint = bench.subscribe().await?;
    let measured = bench.measure(&endpoint).await;
    let path = format!("/v1/tenants/{}/endpoints/{endpoint}", bench.tenant);
    let removed = bench.client.delete(&path).await;
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
}

impl Bench {
    async fn measure(&self, endpoint: &str) -> Result<Report, Failure> {
        let memory_idle = process::memory(&self.arguments.processes);
        let floor = self.floor().await?;
        let mut accepted = Vec::new();
        for publishers in &self.arguments.publishers {
            output::tell(&format!("accepting from {publishers} publishers"));
            accepted.push(self.accept(*publishers).await?);
        }
        output::tell("accepting batches");
        let batches = self.load("-nobody").batches(self.arguments.duration.0).await?;
        self.switch_on(endpoint).await?;
        output::tell(&format!("delivering {} events", self.arguments.events));
        let delivered = self.deliver().await?;
        output::tell(&format!("publishing and delivering at {}", self.arguments.rate));
        let latency = self.latency().await?;
        let memory = process::memory(&self.arguments.processes);
        let waiting = if self.arguments.waiting > 0 { Some(self.wait().await?) } else { None };
        Ok(Report {
            floor,
            accepted,
            batches_per_s: batches,
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

    /// Publishing to the tenant whose name has this suffix.
    fn load(&self, suffix: &str) -> Load {
        let path = format!("/v1/tenants/{}{suffix}/events", self.tenant);
        Load::new(Arc::clone(&self.client), path, self.arguments.body_bytes)
    }

    /// The bench's own endpoint, switched off.
    async fn subscribe(&self) -> Result<String, Failure> {
        let fields = json!({"url": self.receiver.url(), "max_in_flight": 1000, "active": false});
        self.create("", &fields).await
    }

    async fn create(&self, suffix: &str, fields: &Value) -> Result<String, Failure> {
        let path = format!("/v1/tenants/{}{suffix}/endpoints", self.tenant);
        let created = self.client.send(Method::POST, &path, fields).await.map_err(|failure| {
            Failure::failed(format!(
                "{failure}; the receiver is on this machine: start the server with \
                 HOOKFLEET_ALLOW_HTTP=true and HOOKFLEET_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8"
            ))
        })?;
        let id = created.get("id").and_then(Value::as_str);
        id.map(str::to_owned).ok_or_else(|| Failure::failed("the endpoint got no id"))
    }

    async fn switch_on(&self, endpoint: &str) -> Result<(), Failure> {
        let path = format!("/v1/tenants/{}/endpoints/{endpoint}", self.tenant);
        self.client.send(Method::PATCH, &path, &json!({"active": true})).await?;
        // A change takes effect within a second.
        sleep(Duration::from_secs(2)).await;
        // What was accepted before goes first: one event that arrives says that it is gone.
        self.load("").publish(1).await?;
        self.arrived(1).await.map(drop)
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

    async fn latency(&self) -> Result<Latency, Failure> {
        let before = Usage::of(&self.arguments.processes);
        let (rate, duration) = (self.arguments.rate, self.arguments.duration.0);
        let published = self.load("").at_rate(rate, duration, self.receiver.epoch()).await?;
        let arrived = self.arrived(published).await?;
        let cpu = before.until_now(&self.arguments.processes, published);
        Ok(Latency::new(rate, &arrived, cpu))
    }

    /// Deliveries that all fail once, and wait for their retry.
    async fn wait(&self) -> Result<Waiting, Failure> {
        let deliveries = self.arguments.waiting;
        output::tell(&format!("filling up with {deliveries} deliveries that wait"));
        let url = self.receiver.refusing_url();
        let retry = json!({"schedule": ["12h"]});
        let fields = json!({"url": url, "max_in_flight": 1000, "retry": retry});
        let endpoint = self.create("-waiting", &fields).await?;
        let begun = Instant::now();
        self.load("-waiting").publish(deliveries).await?;
        while self.receiver.refused() < deliveries {
            sleep(Duration::from_millis(100)).await;
        }
        let waiting = Waiting::new(deliveries, begun.elapsed(), &self.arguments.processes);
        let path = format!("/v1/tenants/{}-waiting/endpoints/{endpoint}", self.tenant);
        self.client.delete(&path).await.map(|()| waiting)
    }

    /// Waits until so many different events have arrived, and begins to count anew.
    async fn arrived(&self, events: u64) -> Result<receiver::Arrived, Failure> {
        let end = Instant::now() + ARRIVAL_WAIT_MAX;
        while self.receiver.count() < events {
            if Instant::now() > end {
                let arrived = self.receiver.count();
                let missing = events - arrived;
                let seconds = ARRIVAL_WAIT_MAX.as_secs();
                return Err(Failure::failed(format!(
                    "{missing} of {events} events had not arrived after {seconds} s"
                )));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(self.receiver.forget())
    }
}
