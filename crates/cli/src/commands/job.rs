//! Jobs that workers do for a command, and `hookfleet job …`.

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::Instant;

use crate::args::{JobArgs, JobCommand, OutputFormat};
use crate::client::Client;
use crate::failure::Failure;
use crate::{output, progress};

/// How often a job is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Runs it.
pub async fn run(arguments: JobArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        JobCommand::List { limit } => {
            let list = client.get("/v1/jobs", &[("limit", limit.to_string())]).await?;
            let columns =
                ["id", "kind", "state", "created_at", "created_by", "tenant", "matched", "done"];
            output::table(client.output, &list, &columns)
        }
        JobCommand::Show { id } => {
            let job = client.get(&format!("/v1/jobs/{id}"), &[]).await?;
            output::answer(client.output, &job)
        }
    }
}

/// Follows a job that was asked for to its end, unless told not to wait.
pub async fn follow(client: &Client, asked: Value, no_wait: bool) -> Result<(), Failure> {
    let id = asked.get("job_id").and_then(Value::as_str);
    let Some(id) = id.filter(|_| !no_wait) else {
        return output::answer(client.output, &asked);
    };
    if client.output == OutputFormat::Text {
        output::tell(&format!("job {id} begins; it goes on if this command is interrupted"));
    }
    let (bar, begun) = (bar(number(&asked, "matched")), Instant::now());
    let job = ended(client, id, &bar).await?;
    bar.finish_and_clear();
    output::answer(client.output, &job)?;
    output::tell_pace(number(&job, "done"), "done", begun.elapsed());
    if job.get("state").and_then(Value::as_str) == Some("failed") {
        let failure = Failure::failed(format!("job {id} failed"));
        return Err(failure.next("what it had not reached is as it was: ask for the same again"));
    }
    Ok(())
}

async fn ended(client: &Client, id: &str, bar: &ProgressBar) -> Result<Value, Failure> {
    loop {
        let job = client.get(&format!("/v1/jobs/{id}"), &[]).await?;
        bar.set_position(number(&job, "done"));
        if let Some("done" | "failed") = job.get("state").and_then(Value::as_str) {
            return Ok(job);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Of some jobs it is not known beforehand how much there is to do.
fn bar(matched: u64) -> ProgressBar {
    if matched == 0 { progress::of_unknown("done") } else { progress::of_count(matched, "done") }
}

fn number(of: &Value, name: &str) -> u64 {
    of.get(name).and_then(Value::as_u64).unwrap_or(0)
}
