//! `hookfleet dead …`

use hookfleet_domain::limits;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::endpoint::given;
use super::job::follow;
use crate::args::{DeadArgs, DeadCommand, DeadFilter};
use crate::client::Client;
use crate::failure::Failure;
use crate::{output, progress};

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
                ["id", "died_at", "reason", "event_type", "tenant", "endpoint_id", "event_id"];
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
                let failure =
                    Failure::usage("no filter given: discarding every dead letter takes --all");
                return Err(failure.next("try it with --dry-run, or keep them first: hookfleet dead export > dead.ndjson"));
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

/// Each letter in full, page by page: however many there are, a page of them is held.
async fn export(client: &Client, filter: DeadFilter) -> Result<(), Failure> {
    let (bar, begun) = (progress::of_unknown("dead letters written"), Instant::now());
    let mut written = 0;
    let mut write = async |id: &str| {
        let letter = client.get_text(&format!("{LIST}/{id}")).await?;
        bar.suspend(|| output::line(&letter))?;
        bar.inc(1);
        written += 1;
        Ok::<_, Failure>(())
    };
    for id in &filter.ids {
        write(id).await?;
    }
    let mut cursor = None::<String>;
    while filter.ids.is_empty() {
        let mut query = filter.query();
        query.push(("limit", limits::PAGE_ITEMS_MAX.to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = client.get(LIST, &query).await?;
        let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
        for id in items.filter_map(|item| item.get("id").and_then(Value::as_str)) {
            write(id).await?;
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    output::tell_pace(written, "dead letters written", begun.elapsed());
    Ok(())
}

/// Asks for a job over the dead letters, and follows it.
async fn start(client: &Client, verb: &str, body: &Value, no_wait: bool) -> Result<(), Failure> {
    let asked = client.send(Method::POST, &format!("{LIST}/{verb}"), body).await?;
    follow(client, asked, no_wait).await
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
