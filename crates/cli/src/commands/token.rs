//! `hookfleet token …`

use reqwest::Method;
use serde_json::json;

use crate::args::{TokenArgs, TokenCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Runs it.
pub async fn run(arguments: TokenArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let of = |tenant: &str| format!("/v1/tenants/{tenant}/tokens");
    match arguments.command {
        TokenCommand::Create { tenant, name, read_only } => {
            let access = if read_only { "read" } else { "full" };
            let body = json!({"name": name, "access": access});
            let created = client.send(Method::POST, &of(&tenant.tenant), &body).await?;
            output::answer(client.output, &created)
        }
        TokenCommand::List { tenant } => {
            let list = client.get(&of(&tenant.tenant), &[]).await?;
            let columns = ["id", "name", "access", "created_at", "last_used_at"];
            output::table(client.output, &list, &columns)
        }
        TokenCommand::Revoke { tenant, id } => {
            client.delete(&format!("{}/{id}", of(&tenant.tenant))).await?;
            output::answer(client.output, &json!({"id": id, "revoked": true}))
        }
    }
}
