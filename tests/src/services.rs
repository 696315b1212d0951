//! The broker and the store of one test, and outages of both.
//!
//! Those of `services.sh` are ours; what was named to `make test` is lent, and one test after the other
//! has it.

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;

use tokio::process::Command;

use crate::borrowed;

/// A virtual host and a database of one's own.
#[derive(Debug)]
pub struct Services {
    /// URL with the virtual host.
    pub amqp_url: String,
    /// URL with the database.
    pub redis_url: String,
    vhost: String,
    folder: PathBuf,
}

/// Somebody else's server, by its URL.
pub enum Lender {
    /// Of a virtual host.
    Broker(String),
    /// Of a database.
    Store(String),
}

#[expect(clippy::disallowed_methods, reason = "the services script tells by the environment")]
fn env(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

fn folder() -> PathBuf {
    PathBuf::from(env("HOOKFLEET_TEST_SERVICES_DIR"))
}

/// Those that are not ours: there are no scripts that control them.
pub fn lenders() -> Vec<Lender> {
    let is_private = |script: &str| folder().join(script).exists();
    let mut lenders = Vec::new();
    if !is_private("rabbitmqctl") {
        lenders.push(Lender::Broker(env("HOOKFLEET_AMQP_URL")));
    }
    if !is_private("redis-start") {
        lenders.push(Lender::Store(env("HOOKFLEET_REDIS_URL")));
    }
    lenders
}

async fn clear(lenders: Vec<Lender>) {
    for lender in lenders {
        match lender {
            Lender::Broker(url) => borrowed::clear_broker(&url).await,
            Lender::Store(url) => borrowed::clear_store(&url).await,
        }
    }
}

/// A database that no test had before, on a store of our own.
async fn next_database(url: &str) -> String {
    let server = url.trim_end_matches("/0");
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut count = redis::cmd("INCR");
    count.arg("hookfleet:test");
    let number: u32 = count.query_async(&mut connection).await.unwrap();
    // The first few belong to the counter above and to the tests of the adapter.
    format!("{server}/{}", number % 1000 + 20)
}

impl Services {
    /// Makes both, or clears what is lent.
    pub async fn new() -> Self {
        let vhost = format!("test-{:08x}", rand::random::<u32>());
        let mut services = Self {
            amqp_url: env("HOOKFLEET_AMQP_URL"),
            redis_url: env("HOOKFLEET_REDIS_URL"),
            vhost,
            folder: folder(),
        };
        let lenders = lenders();
        let lent = |which: fn(&Lender) -> bool| lenders.iter().any(which);
        if !lent(|lender| matches!(lender, Lender::Store(_))) {
            services.redis_url = next_database(&services.redis_url).await;
        }
        if !lent(|lender| matches!(lender, Lender::Broker(_))) {
            services.amqp_url = services.amqp_url.replace("%2f", &services.vhost);
            services.add_vhost().await;
        }
        clear(lenders).await;
        services
    }

    async fn add_vhost(&self) {
        let (vhost, all) = (&self.vhost, "<<\".*\">>");
        let code = format!(
            "rabbit_vhost:add(<<\"{vhost}\">>, <<\"guest\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"{vhost}\">>, \
             {all}, {all}, {all}, <<\"guest\">>)."
        );
        self.rabbitmqctl(&["eval", &code]).await;
    }

    /// Where a broker of our own tells its metrics: host and port.
    pub fn broker_metrics(&self) -> String {
        env("HOOKFLEET_TEST_BROKER_METRICS")
    }

    /// Kills the broker's node as SIGKILL does.
    pub async fn kill_broker(&self) {
        self.script("rabbitmq-kill", &[]).await;
    }

    /// Starts it again, on its data.
    pub async fn start_broker(&self) {
        self.script("rabbitmq-start", &[]).await;
    }

    /// Kills the store as SIGKILL does.
    pub async fn kill_store(&self) {
        self.script("redis-kill", &[]).await;
    }

    /// Starts it again, on its data.
    pub async fn start_store(&self) {
        self.script("redis-start", &[]).await;
    }

    /// Calls rabbitmqctl, and answers what it says.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        self.script("rabbitmqctl", arguments).await
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// What `services.sh` keeps in a file of its folder, such as a port or a process's id.
    pub fn number<T: FromStr<Err: Debug>>(&self, file: &str) -> T {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap();
        text.trim().parse().unwrap()
    }

    /// A connection to this test's database.
    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Calls a script of `services.sh`, and answers what it says.
    pub async fn script(&self, name: &str, arguments: &[&str]) -> String {
        let path = self.folder.join(name);
        assert!(path.exists(), "{name}: not on somebody else's server; leave this out in run.sh");
        let mut script = Command::new(path);
        let ended = script.args(arguments).stdin(Stdio::null()).output().await.unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{name} {arguments:?}: {errors}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let rabbitmqctl = self.folder.join("rabbitmqctl");
        if rabbitmqctl.exists() {
            // Hundreds of idle queues would slow the tests that follow.
            let code = format!("rabbit_vhost:delete(<<\"{}\">>, <<\"guest\">>).", self.vhost);
            let mut delete = std::process::Command::new(rabbitmqctl);
            delete.args(["eval", &code]).stdin(Stdio::null());
            drop(delete.stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
        let lenders = lenders();
        if !lenders.is_empty() {
            // A runtime within a runtime is allowed on a thread of its own alone.
            let clearing = std::thread::spawn(|| {
                tokio::runtime::Runtime::new().unwrap().block_on(clear(lenders));
            });
            drop(clearing.join());
        }
    }
}
