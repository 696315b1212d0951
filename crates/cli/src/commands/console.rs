//! `hookfleet console …`

use reqwest::Method;
use serde_json::json;

use crate::args::{ConsoleArgs, ConsoleCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Runs it.
pub async fn run(arguments: ConsoleArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        ConsoleCommand::Link { tenant, ttl, read_only } => {
            let path = format!("/v1/tenants/{}/console-links", tenant.tenant);
            let access = if read_only { "read" } else { "full" };
            let body = json!({"ttl": ttl, "access": access});
            output::answer(client.output, &client.send(Method::POST, &path, &body).await?)
        }
    }
}
