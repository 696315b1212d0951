//! `hookfleet doctor`: what is wrong, and how to mend it.

use std::os::unix::fs::PermissionsExt;

use hookfleet_backends::rabbitmq::{Finding, RabbitOptions, inspect};
use hookfleet_backends::redis::{RedisOptions, RedisStore};
use hookfleet_backends::sqlite;
use hookfleet_domain::{Clock, Secret};
use hookfleet_store::{Sealer, Store};

use crate::clock::SystemClock;
use crate::config::{Backend, Role, Settings};
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::output::{self, Paint};

/// Clocks further apart than this upset signatures, leases and schedules.
const CLOCK_OFF_MAX_MS: u64 = 2_000;

/// Begin the names of checks that tell versions.
pub const RABBITMQ: &str = "RabbitMQ ";
/// See [`RABBITMQ`].
pub const REDIS: &str = "Redis ";

/// How closely it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As long as it takes.
    Thorough,
    /// As somebody waits for it.
    Quick,
}

/// One thing that was looked at.
pub struct Check {
    /// What.
    pub name: String,
    /// What is wrong with it, and how to mend that.
    pub problem: Option<(String, &'static str)>,
}

/// Runs it.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let config = settings.complete(Role::Doctor)?;
    let checks = examine((&config.backend, &config.master_key), Look::Thorough).await;
    let mut wrong = 0;
    for check in &checks {
        match &check.problem {
            None => output::line(&format!(
                "{}     {}",
                output::on_stdout("ok", Paint::Good),
                check.name
            ))?,
            Some((problem, mend)) => {
                wrong += 1;
                let wrong = output::on_stdout("WRONG", Paint::Bad);
                output::line(&format!("{wrong}  {}: {problem}", check.name))?;
                output::line(&format!("       {mend}"))?;
            }
        }
    }
    if wrong == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("{wrong} of {} checks found something wrong", checks.len())))
}

/// Looks at broker and store, or at the data folder.
pub async fn examine((backend, master_key): (&Backend, &Secret), look: Look) -> Vec<Check> {
    match backend {
        Backend::Fleet { rabbit, redis_url } => {
            let mut checks = broker(rabbit).await;
            checks.extend(store(master_key, redis_url).await);
            checks
        }
        Backend::Embedded { folder, .. } => data_folder(folder, look).await,
    }
}

async fn data_folder(folder: &DataFolder, look: Look) -> Vec<Check> {
    let folder = folder.path();
    let others = std::fs::metadata(folder).map(|found| found.permissions().mode() & 0o077);
    let private = match others {
        Ok(0) => None,
        Ok(_) => Some(("other users can reach it".to_owned(), "chmod 700 it")),
        Err(error) => Some((error.to_string(), "name the server's folder by --data-dir")),
    };
    let mut checks =
        vec![Check { name: format!("data folder {}", folder.display()), problem: private }];
    let inspected = match look {
        Look::Thorough => sqlite::inspect(folder).await,
        Look::Quick => sqlite::inspect_quickly(folder).await,
    };
    match inspected {
        Ok(found) => {
            let damage = found.damage.map(|damage| (damage, "restore it from a backup"));
            let counts = found.counts.iter().map(|(name, count)| format!(", {count} {name}"));
            let name = format!("database{}", counts.collect::<String>());
            checks.push(Check { name, problem: damage });
        }
        Err(error) => checks.push(Check {
            name: "database".to_owned(),
            problem: Some((error.to_string(), "`hookfleet serve` makes one")),
        }),
    }
    checks
}

async fn broker(options: &RabbitOptions) -> Vec<Check> {
    match inspect(options).await {
        Ok(findings) => findings.into_iter().map(topology).collect(),
        Err(error) => vec![Check {
            name: "broker".to_owned(),
            problem: Some((error.to_string(), "check --amqp-url, and that the broker is up")),
        }],
    }
}

fn topology(finding: Finding) -> Check {
    let messages = finding.messages.map(|count| format!(", {count} messages"));
    let mend = "missing: start a worker or an API, they declare it; \
        declared differently: drain it, delete it, and start them again";
    Check {
        name: format!("{}{}", finding.name, messages.unwrap_or_default()),
        problem: finding.problem.map(|problem| (problem, mend)),
    }
}

async fn store(master_key: &Secret, redis_url: &Secret) -> Vec<Check> {
    let wrong =
        |problem: String, mend| Check { name: "store".to_owned(), problem: Some((problem, mend)) };
    let sealer = match Sealer::new(master_key) {
        Ok(sealer) => sealer,
        Err(error) => return vec![wrong(error.to_string(), "make one: openssl rand -hex 32")],
    };
    let options = RedisOptions::new(redis_url.clone(), sealer);
    let store = match RedisStore::connect(options).await {
        Ok(store) => store,
        Err(error) => {
            let mend = "check --redis-url, and that Redis is up";
            return vec![wrong(error.to_string(), mend)];
        }
    };
    let answers = store.ping().await.err().map(|error| (error.to_string(), "see Redis' log"));
    let clock = match store.server_time().await {
        Ok(theirs) => {
            let ours = SystemClock.now();
            let off = ours.since(theirs).max(theirs.since(ours)).as_millis();
            (off > u128::from(CLOCK_OFF_MAX_MS))
                .then(|| (format!("{off} ms apart from the store's"), "run NTP on both machines"))
        }
        Err(error) => Some((error.to_string(), "see Redis' log")),
    };
    let lasting = match store.is_persistent().await {
        Ok(true) => None,
        Ok(false) => {
            let problem =
                "Redis writes no append-only file: endpoints do not outlive it".to_owned();
            Some((problem, "set appendonly yes, and export your endpoints"))
        }
        Err(error) => Some((error.to_string(), "allow CONFIG GET or INFO to this user")),
    };
    let version = match store.version().await {
        Ok(version) => Check { name: format!("{REDIS}{version}"), problem: None },
        Err(error) => wrong(
            error.to_string(),
            "allow INFO to this user, by which the store tells its version",
        ),
    };
    vec![
        Check { name: "store answers".to_owned(), problem: answers },
        Check { name: "clock".to_owned(), problem: clock },
        Check { name: "store outlives a restart".to_owned(), problem: lasting },
        version,
    ]
}
