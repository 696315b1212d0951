//! `hookfleet tenant …`

use crate::args::{TenantArgs, TenantCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Runs it.
pub async fn run(arguments: TenantArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        TenantCommand::List => {
            let list = client.get("/v1/tenants", &[]).await?;
            output::table(client.output, &list, &["id"])
        }
    }
}
