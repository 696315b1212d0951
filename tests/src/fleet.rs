//! Processes of a fleet, or of a server alone.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::client::Client;
use crate::services::Services;
use crate::{SOON, eventually};

/// The master key of all test fleets.
pub const MASTER_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
/// The admin token of all test fleets.
pub const ADMIN_TOKEN: &str = "test-admin-token";

/// A fleet over services of its own, or a server over a folder of its own.
pub struct Fleet {
    /// The API, once one is started.
    pub client: Client,
    binary: String,
    processes: Vec<Process>,
    backend: Backend,
}

enum Backend {
    Fleet(Services),
    Embedded(Folder),
}

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one.
    pub fn new() -> Self {
        let name = format!("hookfleet-e2e-{}-{}", std::process::id(), rand::random::<u32>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// One process of a fleet; killed when it is dropped.
pub struct Process {
    child: Child,
    /// Where its metrics and its health are.
    pub ops_url: String,
}

/// A port that nothing listens on. Below the range from which the kernel takes ports for outgoing
/// connections: one of those could take it before it is used.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sends a signal to a process.
pub async fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().await;
    assert!(sent.unwrap().success(), "no SIG{name} for {id}");
}

impl Fleet {
    /// No process yet. `binary` is `env!("CARGO_BIN_EXE_hookfleet-under-test")`.
    pub async fn new(binary: &str) -> Self {
        Self::over(Backend::Fleet(Services::new().await), binary)
    }

    /// A server without broker and store that was not started yet.
    pub fn alone(binary: &str) -> Self {
        Self::over(Backend::Embedded(Folder::new()), binary)
    }

    fn over(backend: Backend, binary: &str) -> Self {
        crate::install_tls();
        let client = Client::new(&format!("http://127.0.0.1:{}", free_port()));
        Self { client, binary: binary.to_owned(), processes: Vec::new(), backend }
    }

    /// A server without broker and store, ready.
    pub async fn embedded(binary: &str) -> Self {
        let mut fleet = Self::alone(binary);
        fleet.start_server().await;
        fleet
    }

    /// Broker and store, if there are any.
    pub fn services(&self) -> Option<&Services> {
        match &self.backend {
            Backend::Fleet(services) => Some(services),
            Backend::Embedded(_) => None,
        }
    }

    /// Broker and store, to be pointed elsewhere.
    pub fn services_mut(&mut self) -> Option<&mut Services> {
        match &mut self.backend {
            Backend::Fleet(services) => Some(services),
            Backend::Embedded(_) => None,
        }
    }

    /// The data folder of a server without them.
    pub fn data_folder(&self) -> Option<PathBuf> {
        match &self.backend {
            Backend::Fleet(_) => None,
            Backend::Embedded(folder) => Some(folder.path().join("data")),
        }
    }

    /// An API and this many workers, ready.
    pub async fn started(binary: &str, workers: usize) -> Self {
        let mut fleet = Self::new(binary).await;
        fleet.start_api().await;
        for _ in 0..workers {
            fleet.start_worker(&[]).await;
        }
        fleet
    }

    /// Starts API and worker in one process, and waits until it is ready; answers its number.
    pub async fn start_server(&mut self) -> usize {
        let listen = self.client.url.trim_start_matches("http://").to_owned();
        let server = self.spawn(&["serve", "--listen", &listen]);
        server.ready().await;
        self.processes.push(server);
        self.processes.len() - 1
    }

    /// Starts the API, and waits until it is ready.
    pub async fn start_api(&mut self) {
        let listen = self.client.url.trim_start_matches("http://").to_owned();
        let api = self.spawn(&["api", "--listen", &listen]);
        api.ready().await;
        self.processes.push(api);
    }

    /// Starts a worker, and waits until it is ready; answers its number.
    pub async fn start_worker(&mut self, arguments: &[&str]) -> usize {
        let worker = self.spawn(&[&["worker"], arguments].concat());
        worker.ready().await;
        self.processes.push(worker);
        self.processes.len() - 1
    }

    /// The number of the process that was started last.
    pub fn last(&self) -> usize {
        self.processes.len() - 1
    }

    /// A process that was started.
    pub fn process(&mut self, number: usize) -> &mut Process {
        self.processes.get_mut(number).unwrap()
    }

    /// Spawns a serving role.
    pub fn spawn(&self, arguments: &[&str]) -> Process {
        Process::spawn(self.command(arguments))
    }

    /// Runs a command to its end: exit code, stdout, stderr.
    pub async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let ended = self.command(arguments).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code().unwrap_or(-1), text(&ended.stdout), text(&ended.stderr))
    }

    /// A command with the fleet's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("HOOKFLEET_MASTER_KEY", MASTER_KEY)
            .env("HOOKFLEET_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("HOOKFLEET_TOKEN", ADMIN_TOKEN)
            .env("HOOKFLEET_URL", &self.client.url)
            .env("HOOKFLEET_ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8")
            .env("HOOKFLEET_ALLOW_HTTP", "true")
            .env("HOOKFLEET_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match &self.backend {
            Backend::Fleet(services) => command
                .env("HOOKFLEET_AMQP_URL", &services.amqp_url)
                .env("HOOKFLEET_REDIS_URL", &services.redis_url),
            Backend::Embedded(folder) => command
                .env_remove("HOOKFLEET_AMQP_URL")
                .env_remove("HOOKFLEET_REDIS_URL")
                .env("HOOKFLEET_DATA_DIR", folder.path().join("data")),
        };
        command
    }
}

impl Process {
    /// Spawns a serving role, with a port for its metrics.
    pub fn spawn(mut command: Command) -> Self {
        let metrics = format!("127.0.0.1:{}", free_port());
        command.args(["--metrics-listen", &metrics]).stdout(Stdio::null());
        Self { child: command.spawn().unwrap(), ops_url: format!("http://{metrics}") }
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        eventually("the process is ready", SOON, || async { self.is_ready().await.then_some(()) })
            .await;
    }

    /// Is it?
    pub async fn is_ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/readyz", self.ops_url)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The value of a metric, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = reqwest::get(format!("{}/metrics", self.ops_url)).await.unwrap();
        let page = page.text().await.unwrap();
        let value = |line: &str| {
            let (metric, value) = line.rsplit_once(' ')?;
            let same = metric == name || metric.starts_with(&format!("{name}{{"));
            same.then(|| value.parse::<f64>().ok()).flatten()
        };
        page.lines().filter_map(value).sum()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        signal(self.id(), "TERM").await;
        self.ended(Duration::from_mins(1)).await
    }

    /// Waits for the end.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        tokio::time::timeout(patience, self.child.wait()).await.unwrap().unwrap()
    }
}
