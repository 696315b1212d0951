//! `hookfleet listen --forward`: what was received goes on to a program of the developer's, and its
//! answer goes back.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use hookfleet_domain::limits;
use reqwest::Url;
use tokio::time::Instant;

use super::Request;
use crate::client::deepest;
use crate::failure::Failure;

/// Of an answer no more than this is passed on, and held.
const ANSWER_BYTES_MAX: usize = limits::EVENT_BYTES_MAX;
/// Headers that are about one connection (RFC 9110, 7.6.1), or made anew on the next one.
const OF_A_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Where requests go on to.
pub struct Forward {
    http: reqwest::Client,
    to: Url,
}

/// What the program answered, or why it did not.
pub struct Forwarded {
    pub url: String,
    pub took: Duration,
    pub answer: Result<Answer, String>,
}

/// An answer, to be passed on.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Forward {
    /// To this URL: to all of it if it has a path, else to the path that was asked for.
    pub fn new(to: Url) -> Result<Self, Failure> {
        if !matches!(to.scheme(), "http" | "https") || !to.has_host() {
            return Err(Failure::usage(format!("--forward {to}: expected an http or https URL")));
        }
        let client = reqwest::Client::builder()
            .timeout(limits::TIMEOUT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        let http = client.map_err(|error| Failure::failed(format!("no HTTP client: {error}")))?;
        Ok(Self { http, to })
    }

    /// Passes a request on.
    pub async fn pass(&self, request: &Request) -> Forwarded {
        let url = self.url(&request.uri);
        let begun = Instant::now();
        let answer = self.ask(url.clone(), &request.method, request).await;
        Forwarded { url: url.to_string(), took: begun.elapsed(), answer }
    }

    async fn ask(&self, url: Url, method: &Method, request: &Request) -> Result<Answer, String> {
        let sent = self.http.request(method.clone(), url);
        let sent = sent.headers(passed_on(&request.headers)).body(request.body.clone());
        let mut response = sent.send().await.map_err(|error| deepest(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| deepest(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = passed_on(response.headers());
        Ok(Answer { status: response.status(), headers, body: body.into() })
    }

    fn url(&self, asked: &Uri) -> Url {
        let mut url = self.to.clone();
        if matches!(url.path(), "" | "/") {
            url.set_path(asked.path());
        }
        if url.query().is_none() {
            url.set_query(asked.query());
        }
        url
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut passed_on = headers.clone();
    for name in OF_A_CONNECTION {
        passed_on.remove(name);
    }
    passed_on.remove("keep-alive");
    passed_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: &str, asked: &str, expected: &str) {
        let forward =
            Forward { http: reqwest::Client::builder().build().unwrap(), to: to.parse().unwrap() };
        assert_eq!(forward.url(&asked.parse().unwrap()).as_str(), expected);
    }

    #[test]
    fn a_path_is_kept_or_taken_over() {
        drop(rustls::crypto::ring::default_provider().install_default());
        check("http://localhost:3000", "/hook?a=1", "http://localhost:3000/hook?a=1");
        check("http://localhost:3000/", "/hook", "http://localhost:3000/hook");
        check(
            "http://localhost:3000/api/hooks",
            "/hook?a=1",
            "http://localhost:3000/api/hooks?a=1",
        );
        check("http://localhost:3000/api?b=2", "/hook?a=1", "http://localhost:3000/api?b=2");
    }
}
