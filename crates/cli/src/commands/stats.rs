//! `hookfleet stats …`

use crate::args::{StatsArgs, StatsCommand};
use crate::client::Client;
use crate::commands::endpoint::given;
use crate::failure::Failure;
use crate::output;

/// Runs it.
pub async fn run(arguments: StatsArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        StatsCommand::Show { tenant, step, since, until } => {
            let query = given([
                ("step", step),
                ("since", since.map(|since| since.to_string())),
                ("until", until.map(|until| until.to_string())),
            ]);
            let stats = client.get(&path(tenant, "stats"), &query).await?;
            let columns = ["at", "events", "delivered", "failed", "dead_letters", "average_ms"];
            output::table(client.output, &stats, &columns)
        }
        StatsCommand::Endpoints { tenant, worst, limit } => {
            let query = given([("worst", worst), ("limit", Some(limit.to_string()))]);
            let list = client.get(&path(tenant, "stats/endpoints"), &query).await?;
            let columns =
                ["tenant", "endpoint_id", "attempts", "failures", "average_ms", "active", "url"];
            output::table(client.output, &list, &columns)
        }
    }
}

/// A tenant's own, which its token reaches, or the whole fleet's.
fn path(tenant: Option<String>, what: &str) -> String {
    match tenant {
        Some(tenant) => format!("/v1/tenants/{tenant}/{what}"),
        None => format!("/v1/{what}"),
    }
}
