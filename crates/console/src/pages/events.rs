//! A tenant's events: looking for them, one with its deliveries, sending again, publishing.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hookfleet_domain::{EventId, TenantId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::endpoint_form::once;
use crate::Console;
use crate::answers::{Content, Event, Found, Page, Published};
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form, List, Query};
use crate::filters;
use crate::html::moment;
use crate::json::pretty;
use crate::page::{Section, Shell, render, render_as};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/tenants/{tenant}/events", get(list).post(publish))
        .route("/tenants/{tenant}/events/{event}", get(show))
        .route("/tenants/{tenant}/events/{event}/resend", post(resend))
}

#[derive(Template)]
#[template(path = "events.html")]
struct ListPage<'a> {
    shell: Shell,
    tenant: &'a TenantId,
    query: &'a Fields,
    form: &'a Fields,
    events: Vec<Found>,
    next: Option<String>,
    is_first: bool,
    once: String,
    error: String,
}

async fn list(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Query(query): Query,
) -> Result<Response, Refusal> {
    if let Ok(id) = query.get("id").parse::<EventId>() {
        return Ok(Redirect::to(&format!("/tenants/{tenant}/events/{id}")).into_response());
    }
    page(&caller, &tenant, (&query, &Fields::default()), None).await
}

async fn page(
    caller: &SignedIn,
    tenant: &TenantId,
    (query, form): (&Fields, &Fields),
    refused: Option<Refusal>,
) -> Result<Response, Refusal> {
    let here = format!("/tenants/{tenant}/events");
    let times = ["since", "until"].map(|name| moment(query.get(name)));
    let fields = vec![
        ("type", query.get("type")),
        ("since", times[0].as_str()),
        ("until", times[1].as_str()),
    ];
    let list = List { fields };
    let path = list.asked(&format!("/v1{here}"), query.get("cursor"));
    let found: Page<Found> = caller.api.get(&path).await?;
    let next = list.next(&here, found.next_cursor);
    let status = refused.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
    let page = ListPage {
        shell: caller.tenant_shell(Section::Events, tenant, "Events"),
        tenant,
        query,
        form,
        events: found.items,
        next,
        is_first: query.get("cursor").is_empty(),
        once: once().map_err(Refusal::ours)?,
        error: refused.map(|refusal| refusal.detail).unwrap_or_default(),
    };
    Ok(render_as(status, &page))
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage<'a> {
    shell: Shell,
    tenant: &'a TenantId,
    event: Event,
    data: Option<String>,
    next: Option<String>,
    is_first: bool,
}

async fn show(
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, EventId)>,
    Query(query): Query,
) -> Result<Response, Refusal> {
    let path = format!("/v1/tenants/{tenant}/events/{id}");
    let (deliveries, cursor) = (List { fields: Vec::new() }, query.get("cursor"));
    let mut event: Event = caller.api.get(&deliveries.asked(&path, cursor)).await?;
    let here = format!("/tenants/{tenant}/events/{id}");
    let next = deliveries.next(&here, event.next_cursor.take());
    // The archive may be off, or have forgotten it.
    let content: Option<Content> = caller.api.find(&format!("{path}/content")).await?;
    let data = content.map(|content| pretty(&content.data));
    let shell =
        caller.tenant_shell(Section::Events, &tenant, &event.kind).noticing(query.get("done"));
    let is_first = cursor.is_empty();
    Ok(render(&EventPage { shell, tenant: &tenant, event, data, next, is_first }))
}

/// To every endpoint that wants it, or to those that are named.
async fn resend(
    caller: SignedIn,
    Path((tenant, id)): Path<(TenantId, EventId)>,
    Form(form): Form,
) -> Result<Redirect, Refusal> {
    let named: Vec<&str> = form.all("endpoint").collect();
    let body = if named.is_empty() { json!({}) } else { json!({ "endpoint_ids": named }) };
    let path = format!("/v1/tenants/{tenant}/events/{id}/resend");
    caller.api.ask::<Value>(Ask::new(Method::POST, &path).json(&body)).await?;
    Ok(Redirect::to(&format!("/tenants/{tenant}/events/{id}?done=resent")))
}

/// The data goes out as it was typed in: nothing here reads it.
async fn publish(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Form(form): Form,
) -> Result<Response, Refusal> {
    let path = format!("/v1/tenants/{tenant}/events");
    let asked = Ask::new(Method::POST, &path).header("idempotency-key", form.get("once"));
    let outcome = match body(&form) {
        Ok(body) => caller.api.ask::<Published>(asked.text(body)).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(answer) => {
            let id = answer.value.id;
            Ok(Redirect::to(&format!("/tenants/{tenant}/events/{id}?done=published"))
                .into_response())
        }
        Err(refusal) => page(&caller, &tenant, (&Fields::default(), &form), Some(refusal)).await,
    }
}

fn body(form: &Fields) -> Result<String, Refusal> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        #[serde(rename = "type")]
        event_type: &'a str,
        data: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        project: Option<&'a str>,
    }
    let data: &RawValue = serde_json::from_str(form.get("data")).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        detail: format!("data is no JSON: {error}"),
    })?;
    let body = Body { event_type: form.get("type"), data, project: form.some("project") };
    serde_json::to_string(&body).map_err(Refusal::ours)
}
