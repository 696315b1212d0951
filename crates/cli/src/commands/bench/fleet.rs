//! Processes that the bench starts for itself.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::process::Watched;
use crate::args::BenchArgs;
use crate::failure::Failure;

const READY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longer than what is under way may take.
const END_WAIT_MAX: Duration = Duration::from_mins(1);

/// Serving roles of this same program, killed when they are dropped.
pub struct Fleet<'a> {
    arguments: &'a BenchArgs,
    processes: Vec<Child>,
    pub watched: Vec<Watched>,
}

impl<'a> Fleet<'a> {
    /// None of them yet.
    pub fn new(arguments: &'a BenchArgs) -> Self {
        Self { arguments, processes: Vec::new(), watched: Vec::new() }
    }

    /// Starts one, and waits until it is ready. What no flag says, such as the master key, it takes
    /// from our own environment.
    pub async fn start(&mut self, name: String, role: &[&str]) -> Result<(), Failure> {
        let metrics = free_address()?;
        let program = std::env::current_exe().map_err(Failure::failed)?;
        let mut command = Command::new(program);
        command.args(role).args(["--metrics-listen", &metrics]);
        let BenchArgs { amqp_url, redis_url, .. } = self.arguments;
        let urls = [("HOOKFLEET_AMQP_URL", amqp_url), ("HOOKFLEET_REDIS_URL", redis_url)];
        for (variable, url) in urls {
            command.envs(url.as_ref().map(|url| (variable, url.0.expose())));
        }
        // What it prints is no result of ours.
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let started = command.spawn();
        let mut process =
            started.map_err(|error| Failure::failed(format!("{name} cannot start: {error}")))?;
        ready(&mut process, &name, &metrics).await?;
        let id = process.id();
        let id = id.ok_or_else(|| Failure::failed(format!("{name} has ended")))?;
        self.watched.push(Watched::new(name, id));
        self.processes.push(process);
        Ok(())
    }

    /// Asks all to stop, and waits until they have.
    pub async fn stop(mut self) -> Result<(), Failure> {
        for process in &self.watched {
            process.signal("TERM").await?;
        }
        for (process, watched) in self.processes.iter_mut().zip(&self.watched) {
            let ended = timeout(END_WAIT_MAX, process.wait()).await;
            let status = ended.map_err(|_| Failure::failed(format!("{watched} does not stop")))?;
            let status = status.map_err(Failure::failed)?;
            if !status.success() {
                return Err(Failure::failed(format!("{watched} failed: {status}")));
            }
        }
        Ok(())
    }
}

async fn ready(process: &mut Child, name: &str, metrics: &str) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?;
    let (url, begun) = (format!("http://{metrics}/readyz"), Instant::now());
    while begun.elapsed() < READY_WAIT_MAX {
        if let Some(status) = process.try_wait().map_err(Failure::failed)? {
            return Err(Failure::failed(format!("{name} ended before it was ready: {status}")));
        }
        let answer = client.get(&url).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::failed(format!("{name} is not ready after {} s", READY_WAIT_MAX.as_secs())))
}

/// An address on this machine that nobody listens on.
pub fn free_address() -> Result<String, Failure> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = bound.and_then(|listener| listener.local_addr()).map_err(Failure::failed)?;
    Ok(address.to_string())
}
