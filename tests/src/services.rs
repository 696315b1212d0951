//! The broker and the store of one test, and outages of both.

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;

use tokio::process::Command;

/// A virtual host and a database of one's own.
#[derive(Debug)]
pub struct Services {
    /// URL with the virtual host.
    pub amqp_url: String,
    /// URL with the database.
    pub redis_url: String,
    /// Where the broker tells its metrics: host and port.
    pub broker_metrics: String,
    vhost: String,
    folder: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "the services script tells by the environment")]
fn env(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

impl Services {
    /// Makes both.
    pub async fn new() -> Self {
        let folder = PathBuf::from(env("HOOKFLEET_TEST_SERVICES_DIR"));
        let redis = env("HOOKFLEET_REDIS_URL");
        let redis = redis.trim_end_matches("/0");
        let client = redis::Client::open(format!("{redis}/0")).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut count = redis::cmd("INCR");
        count.arg("hookfleet:test");
        let number: u32 = count.query_async(&mut connection).await.unwrap();
        let vhost = format!("test{number}");
        let amqp = env("HOOKFLEET_AMQP_URL");
        let services = Self {
            amqp_url: amqp.replace("%2f", &vhost),
            // The first few belong to the counter above and to the tests of the adapter.
            redis_url: format!("{redis}/{}", number % 1000 + 20),
            broker_metrics: env("HOOKFLEET_TEST_BROKER_METRICS"),
            vhost: vhost.clone(),
            folder,
        };
        let all = "<<\".*\">>";
        let code = format!(
            "rabbit_vhost:add(<<\"{vhost}\">>, <<\"guest\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"{vhost}\">>, \
             {all}, {all}, {all}, <<\"guest\">>)."
        );
        services.script("rabbitmqctl", &["eval", &code]).await;
        services
    }

    /// Kills the broker's node as SIGKILL does.
    pub async fn kill_broker(&self) {
        self.script("rabbitmq-kill", &[]).await;
    }

    /// Starts it again, on its data.
    pub async fn start_broker(&self) {
        self.script("rabbitmq-start", &[]).await;
    }

    /// Stops the store.
    pub async fn stop_store(&self) {
        self.script("redis-stop", &[]).await;
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
        let mut script = Command::new(self.folder.join(name));
        let ended = script.args(arguments).stdin(Stdio::null()).output().await.unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{name} {arguments:?}: {errors}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // Hundreds of idle queues would slow the tests that follow.
        let code = format!("rabbit_vhost:delete(<<\"{}\">>, <<\"guest\">>).", self.vhost);
        let mut delete = std::process::Command::new(self.folder.join("rabbitmqctl"));
        delete.args(["eval", &code]).stdin(Stdio::null());
        drop(delete.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}
