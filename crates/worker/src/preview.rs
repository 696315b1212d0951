//! What would be sent, for people to look at.

use hookfleet_domain::{Clock, Endpoint, Event};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::clients::{Case, USER_AGENT};
use crate::endpoints::Target;
use crate::request::{self, WireRequest};
use crate::send::Sender;

/// A request as its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedRequest {
    /// `POST`
    pub method: String,
    /// All of it.
    pub url: String,
    /// Names as they are written over HTTP/1.1.
    pub headers: Vec<(String, String)>,
    /// As it is signed.
    pub body: String,
}

impl Sender {
    /// What a delivery of this event to this endpoint would send now: with all secrets that the
    /// endpoint has. Else why nothing would be sent.
    pub fn preview(
        &self,
        endpoint: &Endpoint,
        event: &Event,
        clock: &dyn Clock,
    ) -> Result<PreviewedRequest, String> {
        let target = Target::new(endpoint.clone());
        let request = request::build(&target, event, clock.now());
        let WireRequest { method, url, headers, body } =
            request.map_err(|error| error.to_string())?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let case = Case::of(endpoint);
        let mut all = vec![(case.write("host"), host)];
        all.extend(own_headers(&headers, case));
        for (name, value) in [
            ("accept", "*/*"),
            ("user-agent", USER_AGENT),
            ("content-length", &body.len().to_string()),
        ] {
            if !headers.contains_key(name) {
                all.push((case.write(name), value.to_owned()));
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(PreviewedRequest {
            method: method.to_string(),
            url: url.to_string(),
            headers: all,
            body,
        })
    }
}

fn own_headers(headers: &HeaderMap, case: Case) -> impl Iterator<Item = (String, String)> {
    let shown = move |(name, value): (&HeaderName, &HeaderValue)| {
        (case.write(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(shown)
}
