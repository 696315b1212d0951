//! `hookfleet system`

use serde_json::{Value, json};

use crate::args::{OutputFormat, ServerArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Shows the fleet.
pub async fn run(arguments: ServerArgs) -> Result<(), Failure> {
    let client = Client::new(arguments)?;
    let system = client.get("/v1/system", &[]).await?;
    if client.output == OutputFormat::Json {
        return output::answer(client.output, &system);
    }
    let text = |name: &str| system.get(name).and_then(Value::as_str);
    let version = format!("Hookfleet {}", text("version").unwrap_or("?"));
    let versions = [Some(version.as_str()), text("broker"), text("store")];
    let versions: Vec<&str> = versions.into_iter().flatten().collect();
    output::line(&format!("{}\n", versions.join(", ")))?;
    let list = |name: &str| json!({"items": system.get(name)});
    let columns = ["id", "role", "host", "version", "started_at", "in_flight", "slots"];
    output::table(client.output, &list("processes"), &columns)?;
    output::line("")?;
    let columns = ["queue", "messages", "consumers", "oldest_at"];
    output::table(client.output, &list("queues"), &columns)?;
    output::line("")?;
    for finding in system.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("problem") {
            "" => output::line(&format!("ok     {}", text("name")))?,
            problem => {
                output::line(&format!("WRONG  {}: {problem}", text("name")))?;
                output::line(&format!("       {}", text("mend")))?;
            }
        }
    }
    Ok(())
}
