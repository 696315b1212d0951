//! What a delivery would send: to an endpoint that is not registered yet, or to one that is.
//!
//! Nothing is stored and nobody is called. Tokens are masked, and the signature is made with a key
//! that was made for it: the request can be shown to anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::{
    Auth, Draft, Endpoint, EndpointId, EndpointPatch, Event, EventId, EventType, Secret, TenantId,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::endpoints::{TEST_DATA, TEST_TYPE, check_secret, find};
use crate::event_list;
use crate::extract::{Body, Fields, Names, object};
use crate::problem::Problem;
use crate::random::NewSecret;
use crate::{Api, Preview};

/// Stands for what is not shown.
const MASK: &str = "********";

/// The request that a delivery would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    method: String,
    /// With a token in its query masked.
    url: String,
    /// As they are written over HTTP/1.1; over HTTP/2 all names are in lower case.
    headers: Vec<HeaderView>,
    body: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewHeader)]
struct HeaderView {
    name: String,
    value: String,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        let Preview { method, url, headers, body } = preview;
        let header = |(name, value)| HeaderView { name, value };
        Self { method, url, headers: headers.into_iter().map(header).collect(), body }
    }
}

/// An endpoint as it is registered, and an event to send it.
pub struct PreviewRequest {
    endpoint: EndpointPatch,
    event: Option<SampleEvent>,
}

/// The event that is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleEvent {
    #[serde(rename = "type")]
    event_type: EventType,
    #[schema(value_type = Value)]
    data: Arc<RawValue>,
}

impl PreviewRequest {
    /// Reads a body.
    pub fn read(json: &[u8]) -> Result<Self, Problem> {
        let mut fields: BTreeMap<String, Box<RawValue>> = object(json)?;
        let event = fields.remove("event");
        let event = event.map(|event| {
            object(event.get().as_bytes()).map_err(|problem: Problem| problem.within("event"))
        });
        // What is left is read as it is on creation, and refused in the same words.
        let endpoint = serde_json::to_vec(&fields).map_err(Problem::unprocessable)?;
        Ok(Self { endpoint: object(&endpoint)?, event: event.transpose()? })
    }
}

impl PartialSchema for PreviewRequest {
    fn schema() -> RefOr<Schema> {
        let event = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("event", Ref::from_schema_name("SampleEvent"));
        AllOfBuilder::new().item(Ref::from_schema_name("NewEndpoint")).item(event).into()
    }
}

impl ToSchema for PreviewRequest {}

/// Show what an endpoint would be sent
///
/// Takes what registering one takes, and an `event`; else it is a `webhook.test`. Nothing is stored, and
/// nobody is called. Tokens are masked, and the signature is made with a key of its own.
#[utoipa::path(
    post, path = "/endpoints/preview", operation_id = "preview_endpoint", tag = "endpoints",
    request_body(content = inline(PreviewRequest), examples(
        ("a URL is enough" = (value = json!({"url": "https://example.com/hook"}))),
        ("with an event of your own" = (value = json!({
            "url": "https://example.com/hook", "profile": "content-engine",
            "auth": {"type": "header", "name": "X-Api-Key", "token": "opensesame"},
            "event": {"type": "content.published", "data": {"title": "News"}}
        })))
    )),
    responses(
        (status = 200, description = "The request.", body = PreviewView),
        (status = 409, description = "Fields that contradict each other.")
    )
)]
pub async fn of_new(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Body(body): Body,
) -> Result<Answer<PreviewView>, Problem> {
    let PreviewRequest { endpoint, event } = PreviewRequest::read(&body)?;
    let (now, mut new_secret) = (api.clock.now(), NewSecret::prepare()?);
    let endpoint = endpoint
        .create(tenant, now, &api.policy, |signature| new_secret.make(signature))
        .map(|endpoint| new_secret.complete(endpoint))?;
    check_secret(&endpoint)?;
    let event = sample(&endpoint, event, now)?;
    preview(&api, endpoint, &event)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// This event, out of the archive; else it is a `webhook.test`.
    event: Option<EventId>,
}

/// Show what an endpoint is sent
///
/// As it is set now. Nobody is called. Tokens are masked, and the signature is made with a key of its own.
#[utoipa::path(
    get, path = "/endpoints/{endpoint}/preview", operation_id = "preview_delivery",
    tag = "endpoints", params(PreviewQuery),
    responses((status = 200, description = "The request.", body = PreviewView))
)]
pub async fn of_endpoint(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    Fields(query): Fields<PreviewQuery>,
) -> Result<Answer<PreviewView>, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    let event = match &query.event {
        Some(event) => event_list::find(&api, &tenant, event).await?,
        None => sample(&endpoint, None, api.clock.now())?,
    };
    preview(&api, endpoint, &event)
}

fn sample(
    endpoint: &Endpoint,
    event: Option<SampleEvent>,
    now: Timestamp,
) -> Result<Event, Problem> {
    let test = || {
        let event_type = TEST_TYPE.parse().map_err(Problem::unprocessable)?;
        let data = RawValue::from_string(TEST_DATA.to_owned()).map_err(Problem::unprocessable)?;
        Ok::<_, Problem>(SampleEvent { event_type, data: data.into() })
    };
    let SampleEvent { event_type, data } = event.map_or_else(test, Ok)?;
    let draft = Draft {
        tenant: endpoint.tenant.clone(),
        event_type,
        project: endpoint.project.clone(),
        timestamp: Some(now),
        idempotency_key: None,
        trace: None,
        data,
    };
    Ok(draft.accept(EventId::generate(now), now))
}

fn preview(api: &Api, endpoint: Endpoint, event: &Event) -> Result<Answer<PreviewView>, Problem> {
    let shown = without_secrets(endpoint)?;
    let conflict = |why| Problem::new(axum::http::StatusCode::CONFLICT, why);
    let preview = api.prober.preview(&shown, event).map_err(conflict)?;
    Ok(Answer(preview.into()))
}

/// The endpoint with secrets that are none.
fn without_secrets(endpoint: Endpoint) -> Result<Endpoint, Problem> {
    let mask = || Secret::new(MASK);
    let auth = match endpoint.auth {
        Auth::None => Auth::None,
        Auth::Header { name, .. } => Auth::Header { name, token: mask() },
        Auth::Query { .. } => Auth::Query { token: mask() },
    };
    let mut new_secret = NewSecret::prepare()?;
    let secret = endpoint.secret.map(|_| new_secret.make(&endpoint.settings.signature));
    let (retired_secret, client_certificate) = (None, None);
    let masked = Endpoint { auth, secret, retired_secret, client_certificate, ..endpoint };
    Ok(new_secret.complete(masked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<Option<&str>, u16>) {
        let read = PreviewRequest::read(body.as_bytes());
        let read = read.map(|request| request.event.map(|event| event.data.get().to_owned()));
        let read = read.as_ref().map(Option::as_deref).map_err(|problem| problem.status);
        assert_eq!(read, expected, "{body}");
    }

    #[test]
    fn an_endpoint_and_an_event() {
        check(r#"{"url":"https://a.example"}"#, Ok(None));
        let event = r#"{"url":"https://a.example","event":{"type":"a.b","data":{"n": 1.10}}}"#;
        check(event, Ok(Some(r#"{"n": 1.10}"#)));
        for bad in [
            "[]",
            r#"{"url":"https://a.example","event":null}"#,
            r#"{"url":"https://a.example","event":[]}"#,
            r#"{"url":"https://a.example","event":{"type":"a.b"}}"#,
            r#"{"url":"https://a.example","events":"all"}"#,
            r#"{"url":"https://a.example","secret":5}"#,
            r#"{"nothing":1}"#,
        ] {
            check(bad, Err(422));
        }
        check("{", Err(400));
    }
}
