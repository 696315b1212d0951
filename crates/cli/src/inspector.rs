//! The doctor, asked by the API.

use async_trait::async_trait;
use hookfleet_api::{Finding, Inspection, Inspector};
use hookfleet_backends::sqlite;
use hookfleet_domain::Secret;

use crate::commands::doctor::{Check, Look, RABBITMQ, REDIS, examine};
use crate::config::Backend;

/// Looks at what a role was configured for.
pub struct Doctor {
    /// What stands behind the ports.
    pub backend: Backend,
    /// Under which secrets are sealed.
    pub master_key: Secret,
}

#[async_trait]
impl Inspector for Doctor {
    async fn inspect(&self) -> Inspection {
        let checks = examine((&self.backend, &self.master_key), Look::Quick).await;
        let named = |begin: &str| {
            let mut names = checks.iter().filter(|check| check.problem.is_none());
            names.find(|check| check.name.starts_with(begin)).map(|check| check.name.clone())
        };
        let (broker, store) = match &self.backend {
            Backend::Fleet { .. } => (named(RABBITMQ), named(REDIS)),
            Backend::Embedded { .. } => (None, Some(format!("SQLite {}", sqlite::version()))),
        };
        Inspection { broker, store, findings: checks.into_iter().map(finding).collect() }
    }
}

fn finding(check: Check) -> Finding {
    let Check { name, problem } = check;
    let (problem, mend) = problem.map(|(problem, mend)| (problem, mend.to_owned())).unzip();
    Finding { name, problem, mend }
}
