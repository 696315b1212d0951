//! `hookfleet bench`: load on a running server, and what it makes of it.
//!
//! Every figure of one run stands beside a *floor* of the same run: a bare client that sends requests
//! of the same size to the same receiver, and does nothing else; and, for backlogs, a straight loop
//! over the same kind of queue. What is stated is a ratio to what the machine allows, not a number for
//! a brochure. All processes share the machine, the load and the receiver included.

mod backlog;
mod chart;
mod fleet;
mod floor;
mod isolation;
mod latency;
mod load;
mod outage;
mod process;
mod queue_floor;
mod receiver;
mod report;
mod samples;
mod scale;
mod setup;
mod sqlite_floor;
mod table;
mod throughput;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::args::BenchArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::lifecycle;

use receiver::Receiver;
use report::Report;

pub use process::Watched;

/// How long nothing may arrive before what is missing is given up.
const ARRIVAL_WAIT_MAX: Duration = Duration::from_mins(1);

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
        measured = Box::pin(bench.measure()) => measured,
        () = stop.cancelled() => Err(Failure::failed("interrupted")),
    };
    let removed = bench.remove_all().await;
    let report = measured?;
    removed?;
    report.print(bench.client.output)?;
    if let Some(file) = &bench.arguments.json {
        write(file, &report.json()?)?;
    }
    if let Some(file) = &bench.arguments.chart {
        write(file, &chart::svg(&report))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::write(file, text);
    written.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))
}

struct Bench {
    client: Arc<Client>,
    receiver: Receiver,
    /// What the names of its tenants begin with.
    tenant: String,
    arguments: BenchArgs,
    /// The paths of its endpoints.
    created: Mutex<Vec<String>>,
}

impl Bench {
    /// The phases, in the order in which they stand here.
    async fn measure(&self) -> Result<Report, Failure> {
        let memory_idle = process::memory(&self.arguments.processes);
        self.subscribe().await?;
        let bare_client = self.bare_client().await?;
        let accepted = self.accepted().await?;
        let accepted_in_batches_per_s = self.accepted_in_batches().await?;
        let delivered = self.delivered().await?;
        let together = self.together().await?;
        Ok(Report {
            latency: self.latencies(together.deliveries_per_s()).await?,
            worker_held: self.arguments.processes.iter().any(|process| process.is("worker")),
            fan_outs: self.fan_outs().await?,
            endpoints: self.endpoints().await?,
            memory: process::memory(&self.arguments.processes),
            waiting: self.waiting().await?,
            isolation: self.isolations().await?,
            outage: self.outage().await?,
            // These take the fleet apart.
            scale_out: self.scale_out().await?,
            partitions: self.partitions().await?,
            memory_idle,
            bare_client,
            accepted,
            accepted_in_batches_per_s,
            delivered,
            together,
        })
    }

    /// Waits until so many different deliveries have arrived, and begins to count anew.
    async fn arrived(&self, deliveries: u64) -> Result<receiver::Arrived, Failure> {
        until(deliveries, ARRIVAL_WAIT_MAX, async || Ok(self.receiver.count())).await?;
        Ok(self.receiver.forget())
    }
}

/// Waits until so many have arrived. A slow server may take its time; one from which nothing more
/// comes for `wait_max` has failed.
async fn until(
    deliveries: u64,
    wait_max: Duration,
    count: impl AsyncFn() -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let (mut last, mut since) = (count().await?, Instant::now());
    while last < deliveries {
        sleep(Duration::from_millis(10)).await;
        let arrived = count().await?;
        if arrived > last {
            (last, since) = (arrived, Instant::now());
        } else if since.elapsed() > wait_max {
            let (missing, seconds) = (deliveries - arrived, wait_max.as_secs());
            return Err(Failure::failed(format!(
                "{missing} of {deliveries} deliveries are missing: nothing has arrived for {seconds} s"
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
        let one_each_20_s = async || Ok(begun.elapsed().as_secs() / 20);
        until(10, ARRIVAL_WAIT_MAX, one_each_20_s).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 200);
        let failure = until(10, ARRIVAL_WAIT_MAX, async || Ok(7)).await.unwrap_err().to_string();
        assert_eq!(failure, "3 of 10 deliveries are missing: nothing has arrived for 60 s");
        assert_eq!(begun.elapsed().as_secs(), 260);
    }
}
