//! `hookfleet event …`

mod many;

use std::io::Read;

use hookfleet_domain::limits;
use reqwest::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::endpoint::given;
use crate::args::{EventArgs, EventCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// An event as the API takes it; `data` goes out byte for byte as it came in.
#[derive(Serialize)]
struct EventBody<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
}

/// Runs it.
pub async fn run(arguments: EventArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    match arguments.command {
        EventCommand::Publish { tenant, ndjson: Some(file), .. } => {
            many::publish(&client, &tenant.tenant, &file).await
        }
        EventCommand::Publish {
            tenant,
            event_type,
            data,
            project,
            timestamp,
            idempotency_key,
            wait,
            ndjson: None,
        } => {
            let event = EventBody {
                event_type: event_type.as_deref().unwrap_or_default(),
                data: &read_data(data.as_deref().unwrap_or_default())?,
                project: project.as_deref(),
                timestamp: timestamp.as_deref(),
            };
            let body = serde_json::to_string(&event).map_err(Failure::failed)?;
            let path = format!("/v1/tenants/{}/events", tenant.tenant);
            let headers = given([
                ("idempotency-key", idempotency_key),
                ("prefer", wait.map(|seconds| format!("wait={seconds}"))),
            ]);
            let published = client.publish(&path, body, &headers).await?;
            output::answer(client.output, &published)
        }
        EventCommand::List { tenant, event_type, since, until, limit } => {
            let path = format!("/v1/tenants/{}/events", tenant.tenant);
            let query = given([
                ("type", event_type),
                ("since", since.map(|since| since.to_string())),
                ("until", until.map(|until| until.to_string())),
            ]);
            let list = first_pages(&client, &path, query, limit).await?;
            let columns = ["id", "type", "project", "accepted_at", "data_bytes"];
            output::table(client.output, &list, &columns)
        }
        EventCommand::Content { tenant, id } => {
            let path = format!("/v1/tenants/{}/events/{id}/content", tenant.tenant);
            output::answer(client.output, &client.get(&path, &[]).await?)
        }
        EventCommand::Show { tenant, id } => {
            let path = format!("/v1/tenants/{}/events/{id}", tenant.tenant);
            output::answer(client.output, &client.get(&path, &[]).await?)
        }
        EventCommand::Resend { tenant, id, endpoints } => {
            let path = format!("/v1/tenants/{}/events/{id}/resend", tenant.tenant);
            let to_some = !endpoints.is_empty();
            let body = if to_some { json!({"endpoint_ids": endpoints}) } else { json!({}) };
            output::answer(client.output, &client.send(Method::POST, &path, &body).await?)
        }
    }
}

/// So many items of a list, however short its pages are.
async fn first_pages(
    client: &Client,
    path: &str,
    query: Vec<(&'static str, String)>,
    limit: usize,
) -> Result<Value, Failure> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = (limit - items.len()).clamp(1, limits::PAGE_ITEMS_MAX);
        let mut query = query.clone();
        query.push(("limit", page.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let mut page = client.get(path, &query).await?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        items.truncate(limit);
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || items.len() >= limit {
            return Ok(json!({"items": items, "next_cursor": cursor}));
        }
    }
}

/// JSON, `@FILE`, or `-` for stdin.
pub fn read_data(argument: &str) -> Result<Box<RawValue>, Failure> {
    let unreadable = |error| Failure::usage(format!("--data {argument}: {error}"));
    let text = match argument.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(unreadable)?,
        None if argument == "-" => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map_err(unreadable)?;
            text
        }
        None => argument.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("--data is no JSON: {error}")))
}
