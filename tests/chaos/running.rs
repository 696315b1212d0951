//! The processes under test, each behind proxies of its own to broker and store.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::fleet::{Fleet, Process, signal};
use e2e::services::Services;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::proxy::Proxy;

/// The broker's nodes, as `services.sh cluster` names them.
pub const NODES: [&str; 3] = ["rabbitmq", "rabbitmq2", "rabbitmq3"];
/// Where Debian has it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// Patience for a process that starts while broker or store are down.
const START_WAIT_MAX: Duration = Duration::from_mins(3);

/// The way of one process to broker and store.
pub struct Links {
    pub broker: Proxy,
    pub store: Proxy,
    amqp_url: String,
    redis_url: String,
}

impl Links {
    pub async fn new(services: &Services) -> Self {
        let nodes = NODES.map(|node| services.number(&format!("{node}/port")));
        let broker = Proxy::before(nodes.to_vec()).await;
        let store = Proxy::before(vec![port_of(&services.redis_url)]).await;
        let amqp_url = with_port(&services.amqp_url, broker.port);
        let redis_url = with_port(&services.redis_url, store.port);
        Self { broker, store, amqp_url, redis_url }
    }

    pub fn urls(&self) -> (&str, &str) {
        (&self.amqp_url, &self.redis_url)
    }
}

fn port_of(url: &str) -> u16 {
    let after_host = url.rsplit_once(':').unwrap().1;
    after_host.split_once('/').unwrap().0.parse().unwrap()
}

fn with_port(url: &str, port: u16) -> String {
    url.replace(&format!(":{}/", port_of(url)), &format!(":{port}/"))
}

/// One process, which can be started again and again.
pub struct Role {
    pub name: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
    process: Process,
    /// A file that sets its clock, where that is possible.
    clock: Option<PathBuf>,
}

/// What it is made of.
pub struct Plan<'a> {
    pub name: &'static str,
    pub arguments: &'a [&'a str],
    pub links: Option<&'a Links>,
    /// It gets a clock that can be set.
    pub own_clock: bool,
}

/// Can processes have clocks of their own here?
pub fn clocks_can_be_set() -> bool {
    Path::new(FAKETIME).exists()
}

impl Role {
    pub async fn start(fleet: &Fleet, logs: &Path, plan: Plan<'_>) -> Self {
        let mut environment = Vec::new();
        if let Some(links) = plan.links {
            environment.push(("HOOKFLEET_AMQP_URL", links.amqp_url.clone()));
            environment.push(("HOOKFLEET_REDIS_URL", links.redis_url.clone()));
        }
        let clock = plan.own_clock.then(|| logs.join(format!("{}.clock", plan.name)));
        if let Some(clock) = &clock {
            std::fs::write(clock, "+0s\n").unwrap();
            environment.extend([
                ("LD_PRELOAD", FAKETIME.to_owned()),
                ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
                ("FAKETIME_CACHE_DURATION", "1".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ]);
        }
        let arguments: Vec<String> = plan.arguments.iter().map(ToString::to_string).collect();
        let log = logs.join(format!("{}.log", plan.name));
        let process = spawn(fleet, &arguments, &environment, &log);
        process.ready().await;
        Self { name: plan.name, arguments, environment, log, process, clock }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL; starts it again after a while.
    pub async fn kill(&mut self, fleet: &Fleet, down: Duration) {
        self.process.kill().await;
        sleep(down).await;
        self.start_again(fleet).await;
    }

    /// SIGTERM; starts it again at once.
    pub async fn restart(&mut self, fleet: &Fleet) {
        self.process.terminate().await;
        self.start_again(fleet).await;
    }

    async fn start_again(&mut self, fleet: &Fleet) {
        self.process = spawn(fleet, &self.arguments, &self.environment, &self.log);
        self.ready().await;
    }

    /// Not being ready, while its broker is down, is no failure: it must become so by itself.
    pub async fn ready(&self) {
        let end = Instant::now() + START_WAIT_MAX;
        while !self.process.is_ready().await {
            assert!(Instant::now() < end, "{} is not ready after {START_WAIT_MAX:?}", self.name);
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn freeze(&self, pause: Duration) {
        freeze(self.id(), pause).await;
    }

    /// Sets its clock, to be `+30s` ahead, say.
    pub fn set_clock(&self, offset: &str) {
        if let Some(clock) = &self.clock {
            std::fs::write(clock, format!("{offset}\n")).unwrap();
        }
    }
}

/// SIGSTOP, and after a while SIGCONT.
pub async fn freeze(id: u32, pause: Duration) {
    signal(id, "STOP").await;
    sleep(pause).await;
    signal(id, "CONT").await;
}

fn spawn(
    fleet: &Fleet,
    arguments: &[String],
    environment: &[(&'static str, String)],
    log: &Path,
) -> Process {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let plain = fleet.command(&arguments);
    // Past a limit on files a write fails, instead of ending the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(plain.as_std().get_program());
    command.args(plain.as_std().get_args()).kill_on_drop(true);
    for (name, value) in plain.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for (name, value) in environment {
        command.env(name, value);
    }
    let log: File = OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.stderr(log).stdin(std::process::Stdio::null());
    Process::spawn(command)
}
