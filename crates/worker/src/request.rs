//! The exact bytes of a delivery: URL, headers, body. Built once, signed as sent.

use bytes::Bytes;
use hookfleet_domain::{Auth, BodyShape, Event, Method, Timestamp};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::{MapAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::endpoints::Target;

/// A request, ready to be sent.
#[derive(Debug)]
pub struct WireRequest {
    pub method: reqwest::Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl From<WireRequest> for reqwest::Request {
    fn from(of: WireRequest) -> Self {
        let mut request = Self::new(of.method, of.url);
        *request.headers_mut() = of.headers;
        *request.body_mut() = Some(of.body.into());
        request
    }
}

/// Names that most requests have: made here, they cost no memory of their own.
static KNOWN: [HeaderName; 3] = [
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-timestamp"),
    HeaderName::from_static("webhook-signature"),
];

/// A setting that makes no request; the text names it, and never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsendable(String);

/// Builds the request for an attempt made at `now`.
pub fn build(target: &Target, event: &Event, now: Timestamp) -> Result<WireRequest, Unsendable> {
    let settings = &target.endpoint.settings;
    let body = body(settings.body, event);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(settings.body)));
    if let Some(accept) = &settings.accept {
        insert(&mut headers, "accept", accept)?;
    }
    for (name, value) in &settings.headers {
        insert(&mut headers, name.as_str(), value)?;
    }
    if let Some(name) = &settings.event_header {
        insert(&mut headers, name.as_str(), event.event_type.as_str())?;
    }
    if let Some(name) = &settings.idempotency_header {
        let key = event.idempotency_key.as_ref().map_or(event.id.as_str(), |key| key.as_str());
        insert(&mut headers, name.as_str(), key)?;
    }
    if let Some(trace) = &event.trace {
        insert(&mut headers, "traceparent", trace.as_str())?;
    }
    let unusable = |error| Unsendable(format!("the endpoint's secret is unusable: {error}"));
    let signatures = target.signer.sign(event.id.as_str(), now, &body).map_err(unusable)?;
    for (name, value) in &signatures {
        insert(&mut headers, name, value)?;
    }
    let url = authenticate(&target.endpoint.auth, target.endpoint.url.as_url(), &mut headers)?;
    Ok(WireRequest { method: method(settings.method), url, headers, body: body.into() })
}

fn content_type(shape: BodyShape) -> &'static str {
    match shape {
        BodyShape::CloudEvents => "application/cloudevents+json",
        BodyShape::Raw | BodyShape::Standard | BodyShape::Wrapped | BodyShape::Flat => {
            "application/json"
        }
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Unsendable> {
    let invalid = || Unsendable(format!("header {name:?} cannot be sent"));
    let header = match KNOWN.iter().find(|known| known.as_str() == name) {
        Some(known) => known.clone(),
        None => HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?,
    };
    headers.insert(header, HeaderValue::from_str(value).map_err(|_| invalid())?);
    Ok(())
}

/// `Authorization` sends `Bearer TOKEN`, any other header the bare token.
fn authenticate(auth: &Auth, url: &Url, headers: &mut HeaderMap) -> Result<Url, Unsendable> {
    let mut url = url.clone();
    match auth {
        Auth::None => {}
        Auth::Query { token } => {
            url.query_pairs_mut().append_pair("token", token.expose());
        }
        Auth::Header { name, token } => {
            let bearer = name.as_str().eq_ignore_ascii_case("authorization");
            let value = if bearer {
                format!("Bearer {}", token.expose())
            } else {
                token.expose().to_owned()
            };
            insert(headers, name.as_str(), &value)?;
            if let Some(value) = headers.get_mut(name.as_str()) {
                value.set_sensitive(true);
            }
        }
    }
    Ok(url)
}

fn body(shape: BodyShape, event: &Event) -> Vec<u8> {
    #[derive(Serialize)]
    struct Standard<'a> {
        #[serde(rename = "type")]
        event_type: &'a str,
        timestamp: Timestamp,
        data: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Wrapped<'a> {
        event: &'a str,
        timestamp: Timestamp,
        data: &'a RawValue,
    }
    #[derive(Serialize)]
    struct CloudEvent<'a> {
        specversion: &'a str,
        id: &'a str,
        source: String,
        #[serde(rename = "type")]
        event_type: &'a str,
        time: Timestamp,
        datacontenttype: &'a str,
        data: &'a RawValue,
    }
    let (event_type, timestamp) = (event.event_type.as_str(), event.timestamp);
    let data = event.data.as_ref();
    match shape {
        BodyShape::Raw => data.get().as_bytes().to_vec(),
        BodyShape::Standard => around(data, &Standard { event_type, timestamp, data }),
        BodyShape::Wrapped => around(data, &Wrapped { event: event_type, timestamp, data }),
        BodyShape::Flat => flat(event_type, data.get()),
        BodyShape::CloudEvents => {
            let (id, source) = (event.id.as_str(), source(event));
            let (specversion, datacontenttype, time) = ("1.0", "application/json", timestamp);
            let event =
                CloudEvent { specversion, id, source, event_type, time, datacontenttype, data };
            around(data, &event)
        }
    }
}

/// Where an event comes from, as a URI reference.
fn source(event: &Event) -> String {
    let tenant = &event.tenant;
    match &event.project {
        Some(project) => format!("/tenants/{tenant}/projects/{project}"),
        None => format!("/tenants/{tenant}"),
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    write(Vec::new(), body)
}

/// With room for the data at once, and for what stands around it.
fn around(data: &RawValue, body: &impl Serialize) -> Vec<u8> {
    write(Vec::with_capacity(data.get().len() + 512), body)
}

#[expect(clippy::expect_used, reason = "texts, times and raw JSON always serialise")]
fn write(mut bytes: Vec<u8>, body: &impl Serialize) -> Vec<u8> {
    serde_json::to_writer(&mut bytes, body).expect("bodies are always JSON");
    bytes
}

/// `{"event":TYPE, …members of data}`. A member of `data` that is itself called `event` gives way:
/// most parsers would take the last of two, and the receiver would lose the event's type. Data that
/// is no object stands under `data`.
fn flat(event_type: &str, data: &str) -> Vec<u8> {
    let head = json(&event_type);
    let mut body = [b"{\"event\":".as_slice(), &head].concat();
    match members(data) {
        None => body.extend([b",\"data\":", data.as_bytes()].concat()),
        Some(members) if members.is_empty() => {}
        Some(members) => body.extend([b",", members.as_bytes()].concat()),
    }
    body.push(b'}');
    body
}

/// The members of a JSON object as text, byte for byte unless one is called `event`.
fn members(data: &str) -> Option<String> {
    let inner = data.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let all = serde_json::Deserializer::from_str(data).deserialize_map(Members).ok()?;
    if all.iter().all(|(key, _)| key != "event") {
        return Some(inner.to_owned());
    }
    let kept = all.iter().filter(|(key, _)| key != "event");
    let texts = kept.map(|(key, value)| {
        let key = String::from_utf8_lossy(&json(key)).into_owned();
        format!("{key}:{}", value.get())
    });
    Some(texts.collect::<Vec<_>>().join(","))
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
pub(crate) mod tests;
