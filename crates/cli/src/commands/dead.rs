//! `hookfleet dead …`

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::endpoint::{all_pages, given};
use crate::args::{DeadArgs, DeadCommand, DeadFilter, OutputFormat};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// How often a job is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(300);
const LIST: &str = "/v1/dead-letters";

/// Runs it.
pub async fn run(arguments: DeadArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        DeadCommand::List { filter, limit } => {
            let list = if filter.ids.is_empty() {
                let mut query = filter.query();
                query.push(("limit", limit.to_string()));
                client.get(LIST, &query).await?
            } else {
                json!({"items": by_id(&client, &filter.ids).await?, "next_cursor": null})
            };
            let columns =
                ["id", "died_at", "reason", "tenant", "event_type", "event_id", "endpoint_id"];
            output::table(client.output, &list, &columns)
        }
        DeadCommand::Show { id } => {
            let letter = client.get(&format!("{LIST}/{id}"), &[]).await?;
            output::answer(client.output, &letter)
        }
        DeadCommand::Export { filter } => export(&client, filter).await,
        DeadCommand::Replay { filter, rate, dry_run, no_wait } => {
            let rate = rate.map(|rate| rate.to_string());
            let mut body = json!({"filter": filter.body(), "dry_run": dry_run});
            if let (Some(fields), Some(rate)) = (body.as_object_mut(), rate) {
                fields.insert("rate".to_owned(), rate.into());
            }
            start(&client, "replay", &body, dry_run || no_wait).await
        }
        DeadCommand::Discard { filter, all, dry_run, no_wait } => {
            if filter.is_empty() && !all && !dry_run {
                let hint = "no filter given: discarding every dead letter takes --all";
                return Err(Failure::usage(hint));
            }
            let body = json!({"filter": filter.body(), "dry_run": dry_run});
            start(&client, "discard", &body, dry_run || no_wait).await
        }
        DeadCommand::Reindex => start(&client, "reindex", &json!({}), false).await,
    }
}

async fn by_id(client: &Client, ids: &[String]) -> Result<Vec<Value>, Failure> {
    let mut letters = Vec::new();
    for id in ids {
        letters.push(client.get(&format!("{LIST}/{id}"), &[]).await?);
    }
    Ok(letters)
}

async fn export(client: &Client, filter: DeadFilter) -> Result<(), Failure> {
    let ids = if filter.ids.is_empty() {
        let list = all_pages(client, LIST, filter.query()).await?;
        let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
        items.iter().filter_map(id).collect()
    } else {
        filter.ids
    };
    for id in ids {
        output::line(&client.get_text(&format!("{LIST}/{id}")).await?)?;
    }
    Ok(())
}

/// Asks for a job over the dead letters, and follows it.
async fn start(client: &Client, verb: &str, body: &Value, no_wait: bool) -> Result<(), Failure> {
    let asked = client.send(Method::POST, &format!("{LIST}/{verb}"), body).await?;
    follow(client, asked, no_wait).await
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
    loop {
        let job = client.get(&format!("/v1/jobs/{id}"), &[]).await?;
        match job.get("state").and_then(Value::as_str) {
            Some("done") => return output::answer(client.output, &job),
            Some("failed") => {
                output::answer(client.output, &job)?;
                return Err(Failure::failed(format!("job {id} failed")));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

impl DeadFilter {
    fn is_empty(&self) -> bool {
        self.query().is_empty() && self.ids.is_empty()
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        given([
            ("tenant", self.tenant.clone()),
            ("endpoint", self.endpoint.clone()),
            ("event_type", self.event_type.clone()),
            ("reason", self.reason.clone()),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ])
    }

    fn body(&self) -> Value {
        let fields = self.query().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        let mut body: Map<String, Value> = fields.collect();
        if !self.ids.is_empty() {
            body.insert("ids".to_owned(), self.ids.clone().into());
        }
        Value::Object(body)
    }
}
