//! `hookfleet event …`

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use hookfleet_domain::limits;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::endpoint::given;
use crate::args::{EventArgs, EventCommand};
use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::output;

/// Lines of a file that go in one request.
const LINES_AT_ONCE: usize = 1000;

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
            publish_file(&client, &tenant.tenant, &file).await
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

async fn publish_file(client: &Client, tenant: &str, file: &Path) -> Result<(), Failure> {
    let name = file.display();
    let unreadable = |error| Failure::usage(format!("--ndjson {name}: {error}"));
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let bytes = opened.metadata().map_err(unreadable)?.len();
    let bar = progress(bytes);
    let path = format!("/v1/tenants/{tenant}/events/batch");
    let (mut tally, mut batch, mut lines) = (Tally::default(), String::new(), 0);
    let mut first_line = 1;
    for line in BufReader::new(opened).lines() {
        let line = line.map_err(unreadable)?;
        let full = lines == LINES_AT_ONCE
            || batch.len() + line.len() + 1 > limits::BATCH_BYTES_MAX && lines > 0;
        if full {
            tally.add(&post(client, &path, std::mem::take(&mut batch)).await?, first_line);
            (first_line, lines) = (first_line + lines, 0);
        }
        bar.inc(line.len() as u64 + 1);
        batch.push_str(&line);
        batch.push('\n');
        lines += 1;
    }
    if lines > 0 {
        tally.add(&post(client, &path, batch).await?, first_line);
    }
    bar.finish_and_clear();
    tally.report(client)
}

/// An answer for each line.
async fn post(client: &Client, path: &str, batch: String) -> Result<Vec<Value>, Failure> {
    let body = Body { content_type: "application/x-ndjson", bytes: batch.into() };
    let answers = client.post_text(path, body).await?;
    let read = |line| serde_json::from_str(line);
    let unreadable = |error| Failure::failed(format!("the answer is no JSON: {error}"));
    answers.lines().map(read).collect::<Result<_, _>>().map_err(unreadable)
}

fn progress(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    refused: u64,
}

impl Tally {
    fn add(&mut self, answers: &[Value], first_line: usize) {
        for (n, item) in answers.iter().enumerate() {
            if let Some(error) = item.get("error") {
                let detail = error.get("detail").and_then(Value::as_str).unwrap_or("refused");
                output::tell(&format!("line {}: {detail}", first_line + n));
                self.refused += 1;
            } else if item.get("duplicate") == Some(&Value::Bool(true)) {
                self.duplicates += 1;
            } else {
                self.accepted += 1;
            }
        }
    }

    fn report(&self, client: &Client) -> Result<(), Failure> {
        let Self { accepted, duplicates, refused } = self;
        let told = json!({"accepted": accepted, "duplicates": duplicates, "refused": refused});
        output::answer(client.output, &told)?;
        if *refused > 0 {
            return Err(Failure::failed(format!("{refused} lines were refused")));
        }
        Ok(())
    }
}
