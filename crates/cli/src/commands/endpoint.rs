//! `hookfleet endpoint …`

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::job::follow;
use crate::args::{EndpointArgs, EndpointCommand, EndpointFields};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

const NOT_TAKEN: &str = "see `error`, `http_status` and `response_body` above. 401 or 403: does the \
    receiver have this endpoint's secret? No status: does it listen, and may the server reach it?";

/// Runs it.
pub async fn run(arguments: EndpointArgs) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let of = |tenant: &str| format!("/v1/tenants/{tenant}/endpoints");
    match arguments.command {
        EndpointCommand::Create { tenant, fields } => {
            let created = client.send(Method::POST, &of(&tenant.tenant), &body(*fields)?).await?;
            output::answer(client.output, &created)
        }
        EndpointCommand::Preview(preview) => super::preview::show(&client, *preview).await,
        EndpointCommand::List { tenant, project, active, event_type } => {
            let query = [
                ("project", project),
                ("active", active.map(|active| active.to_string())),
                ("event_type", event_type),
            ];
            let list = all_pages(&client, &of(&tenant.tenant), given(query)).await?;
            let columns = ["id", "active", "failureCount", "url", "events", "profile", "project"];
            output::table(client.output, &list, &columns)
        }
        EndpointCommand::Show { tenant, id } => {
            let path = format!("{}/{id}", of(&tenant.tenant));
            output::answer(client.output, &client.get(&path, &[]).await?)
        }
        EndpointCommand::Update { tenant, id, fields } => {
            let path = format!("{}/{id}", of(&tenant.tenant));
            let changed = client.send(Method::PATCH, &path, &body(*fields)?).await?;
            output::answer(client.output, &changed)
        }
        EndpointCommand::Delete { tenant, id } => {
            client.delete(&format!("{}/{id}", of(&tenant.tenant))).await?;
            output::answer(client.output, &json!({"id": id, "deleted": true}))
        }
        EndpointCommand::Test { tenant, id } => {
            let path = format!("{}/{id}/test", of(&tenant.tenant));
            let attempt = client.send(Method::POST, &path, &json!({})).await?;
            output::answer(client.output, &attempt)?;
            match attempt.get("status").and_then(Value::as_str) {
                Some("success") => Ok(()),
                _ => Err(Failure::failed("the endpoint did not take it").next(NOT_TAKEN)),
            }
        }
        EndpointCommand::RotateSecret { tenant, id, secret, grace } => {
            let path = format!("{}/{id}/rotate-secret", of(&tenant.tenant));
            let mut body = json!({"grace": grace});
            if let (Some(fields), Some(secret)) = (body.as_object_mut(), secret) {
                fields.insert("secret".to_owned(), secret.0.expose().into());
            }
            output::answer(client.output, &client.send(Method::POST, &path, &body).await?)
        }
        EndpointCommand::Recover { tenant, id, since, no_wait } => {
            let path = format!("{}/{id}/recover", of(&tenant.tenant));
            let body = json!({"since": since.to_string()});
            follow(&client, client.send(Method::POST, &path, &body).await?, no_wait).await
        }
        EndpointCommand::Attempts { tenant, id, event, limit } => {
            let path = format!("{}/{id}/attempts", of(&tenant.tenant));
            let list = client
                .get(&path, &given([("event", event), ("limit", Some(limit.to_string()))]))
                .await?;
            let columns =
                ["at", "event_type", "attempt", "status", "http_status", "duration_ms", "error"];
            output::table(client.output, &list, &columns)
        }
    }
}

/// What was given, as the query's pairs.
pub fn given<const N: usize>(
    pairs: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Every page of a list, as one.
pub async fn all_pages(
    client: &Client,
    path: &str,
    query: Vec<(&'static str, String)>,
) -> Result<Value, Failure> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = query.clone();
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(path, &query).await?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(json!({"items": items, "next_cursor": null}));
        }
    }
}

/// The fields as the API takes them.
pub fn body(fields: EndpointFields) -> Result<Value, Failure> {
    let mut body = match fields.json.as_deref().map(serde_json::from_str) {
        None => Map::new(),
        Some(Ok(Value::Object(body))) => body,
        Some(Ok(_)) => return Err(Failure::usage("--json is invalid: expected an object")),
        Some(Err(error)) => return Err(Failure::usage(format!("--json is invalid: {error}"))),
    };
    let retry = fields.retry.map(|waits| {
        let waits: Vec<&str> = waits.split(',').filter(|wait| !wait.is_empty()).collect();
        json!({"schedule": waits})
    });
    let flags = [
        ("url", fields.endpoint_url.map(Value::from)),
        ("profile", fields.profile.map(Value::from)),
        ("name", fields.name.map(Value::from)),
        ("project", fields.project.map(Value::from)),
        ("events", fields.events.map(Value::from)),
        ("secret", fields.secret.map(|secret| Value::from(secret.0.expose()))),
        ("timeout", fields.timeout.map(Value::from)),
        ("retry", retry),
        ("active", fields.active.map(Value::from)),
    ];
    for (name, value) in flags {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    }
    Ok(Value::Object(body))
}
