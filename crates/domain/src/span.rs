//! What is recorded of each step of an event's way. docs/tracing.md lists it.

use std::time::Duration;

use crate::{
    Delivery, Endpoint, Event, EventId, EventType, Method, Outcome, Place, SpanId, TenantId,
    Timestamp, TraceId, WorkerId,
};

/// One step, begun and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// What it happened under.
    pub parent: Option<SpanId>,
    /// A span of the same trace that it follows from: the attempt before.
    pub link: Option<SpanId>,
    /// Which step.
    pub kind: SpanKind,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What went wrong; none after a success.
    pub error: Option<String>,
    /// What else is told of it: names and values.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// A step of an event's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// An event is made durable.
    Publish,
    /// It is found out whom an event is for.
    FanOut,
    /// One HTTP request of a delivery.
    Attempt,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// An event that was handed in, and what became of it.
#[derive(Debug)]
pub struct Published<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What it is about.
    pub event_type: &'a EventType,
    /// Its id; that of the first one, if it was a duplicate.
    pub id: &'a EventId,
    /// The id that a duplicate would have got.
    pub duplicate: Option<&'a EventId>,
    /// What became of it, in a word.
    pub outcome: &'static str,
    /// Why it was not taken in.
    pub error: Option<String>,
}

impl SpanKind {
    /// The name of its spans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::FanOut => "fan out",
            Self::Attempt => "attempt",
        }
    }
}

impl Place {
    /// An event is made durable.
    pub fn published(&self, of: Published<'_>, (began, took): (Timestamp, Duration)) -> Span {
        let Published { tenant, event_type, id, duplicate, outcome, error } = of;
        let mut attributes = about(tenant, event_type, id);
        attributes.push(("hookfleet.outcome", outcome.into()));
        // The first one has the place's own.
        let own = duplicate.map(|never| SpanId::of(&format!("publish/{never}")));
        Span {
            trace: self.trace,
            id: own.unwrap_or(self.publish),
            parent: self.caller,
            link: None,
            kind: SpanKind::Publish,
            began,
            took,
            error,
            attributes,
        }
    }

    /// It was found out that an event is for so many endpoints.
    pub fn fanned_out(
        &self,
        (event, endpoints): (&Event, usize),
        worker: &WorkerId,
        (began, took): (Timestamp, Duration),
    ) -> Span {
        let mut attributes = about(&event.tenant, &event.event_type, &event.id);
        let endpoints = i64::try_from(endpoints).unwrap_or(i64::MAX);
        attributes.push(("hookfleet.endpoints", Attribute::Number(endpoints)));
        let name = format!("fan out/{}/{worker}/{}", event.id, began.unix_ms());
        Span {
            trace: self.trace,
            id: SpanId::of(&name),
            parent: Some(self.publish),
            link: None,
            kind: SpanKind::FanOut,
            began,
            took,
            error: None,
            attributes,
        }
    }

    /// The attempt that was due was made.
    pub fn attempted(
        &self,
        (delivery, endpoint): (&Delivery, &Endpoint),
        outcome: &Outcome,
        (began, took): (Timestamp, Duration),
    ) -> Span {
        Span {
            trace: self.trace,
            id: self.attempt(delivery),
            parent: Some(self.publish),
            link: self.attempt_before(delivery),
            kind: SpanKind::Attempt,
            began,
            took,
            error: outcome.error(),
            attributes: about_attempt(delivery, endpoint, outcome),
        }
    }
}

fn about(
    tenant: &TenantId,
    event_type: &EventType,
    id: &EventId,
) -> Vec<(&'static str, Attribute)> {
    let mut attributes = Vec::with_capacity(14);
    attributes.push(("hookfleet.tenant", tenant.as_str().into()));
    attributes.push(("hookfleet.event.id", id.as_str().into()));
    attributes.push(("hookfleet.event.type", event_type.as_str().into()));
    attributes
}

/// Of the endpoint's URL only scheme, host and port: path and query may hold a secret.
fn about_attempt(
    Delivery { event, endpoint: id, generation, attempt, .. }: &Delivery,
    endpoint: &Endpoint,
    outcome: &Outcome,
) -> Vec<(&'static str, Attribute)> {
    let mut attributes = about(&event.tenant, &event.event_type, &event.id);
    attributes.push(("hookfleet.endpoint.id", id.as_str().into()));
    attributes.push(("hookfleet.generation", generation.get().into()));
    attributes.push(("hookfleet.attempt", attempt.get().into()));
    attributes.push(("hookfleet.outcome", outcome.label().into()));
    attributes.push(("http.request.method", method(endpoint.settings.method).into()));
    let url = endpoint.url.as_url();
    attributes.push(("url.scheme", url.scheme().into()));
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    attributes.push(("server.address", host.into()));
    if let Some(port) = url.port_or_known_default() {
        attributes.push(("server.port", u32::from(port).into()));
    }
    let status = outcome.http_status();
    if let Some(status) = status {
        attributes.push(("http.response.status_code", u32::from(status).into()));
    }
    if !outcome.is_success() {
        let error = status.map_or_else(|| outcome.label().to_owned(), |code| code.to_string());
        attributes.push(("error.type", Attribute::Text(error)));
    }
    attributes
}

fn method(of: Method) -> &'static str {
    match of {
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Attribute {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}
