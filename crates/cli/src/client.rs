//! Talking to a server's HTTP API.

use std::time::Duration;

use hookfleet_domain::Secret;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::args::{OutputFormat, ServerArgs};
use crate::data_folder::{DataFolder, Missing};
use crate::failure::Failure;
use crate::hints;

/// A server's API.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Secret,
    /// What its answers are printed as.
    pub output: OutputFormat,
}

const ANSWER_WAIT_MAX: Duration = Duration::from_mins(1);

impl Client {
    /// The server that the arguments name.
    pub fn new(arguments: ServerArgs) -> Result<Self, Failure> {
        let url = arguments.url.trim_end_matches('/').to_owned();
        let parsed = url.parse::<url::Url>();
        let parsed =
            parsed.map_err(|error| Failure::usage(format!("--url {url:?} is invalid: {error}")))?;
        let token = match arguments.token {
            Some(token) => token.0,
            None => local_token(&parsed, &DataFolder::new(arguments.data_dir))?,
        };
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WAIT_MAX)
            .no_proxy()
            .build()
            .map_err(|error| Failure::failed(format!("no HTTP client: {error}")))?;
        Ok(Self { http, url, token, output: arguments.output })
    }

    /// GET.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.answered(self.request(Method::GET, &with_query(path, query))).await
    }

    /// A call with a JSON body.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.request(method, path).header("content-type", "application/json");
        self.answered(request.body(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.answered(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// A POST of JSON, with these headers besides.
    pub async fn publish(
        &self,
        path: &str,
        body: String,
        headers: &[(&str, String)],
    ) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        self.answered(request.body(body)).await
    }

    /// GET, the answer's text as it came.
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        self.text(self.request(Method::GET, path)).await
    }

    /// POST of any body, the answer's text as it came.
    pub async fn post_text(&self, path: &str, body: Body) -> Result<String, Failure> {
        let request = self.request(Method::POST, path).header("content-type", body.content_type);
        self.text(request.body(body.bytes)).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(self.token.expose())
    }

    async fn answered(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let text = self.text(request).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let unreadable = |error| Failure::failed(format!("the answer is no JSON: {error}"));
        serde_json::from_str(&text).map_err(unreadable)
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> Result<String, Failure> {
        let unreachable = |error: reqwest::Error| {
            let text = format!("no answer from {}: {}", self.url, deepest(&error));
            Failure::out_of_reach(text).next(hints::NOBODY)
        };
        let response = request.send().await.map_err(unreachable)?;
        let (status, path) = (response.status(), response.url().path().to_owned());
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(text);
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem.get("detail").or_else(|| problem.get("title"));
        let detail = detail.and_then(Value::as_str).unwrap_or("no reason given");
        let failure = failure(status, detail);
        Err(match hints::of(status, &path) {
            Some(hint) => failure.next(hint),
            None => failure,
        })
    }
}

/// The admin token of a server on this machine. It is sent to nobody else.
fn local_token(url: &url::Url, folder: &DataFolder) -> Result<Secret, Failure> {
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let missing = |why: &str| Failure::refused(format!("no token{why}"));
    if !is_local {
        return Err(missing("").next("give one by --token (HOOKFLEET_TOKEN)"));
    }
    let token = folder.admin_token(Missing::Refuse);
    token.map_err(|error| missing(&format!(": {error}")).next(NO_TOKEN))
}

const NO_TOKEN: &str = "start a server in this folder by `hookfleet serve`, name the folder of one by \
    --data-dir, or give a token by --token (HOOKFLEET_TOKEN)";

/// A request's body.
pub struct Body {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: bytes::Bytes,
}

fn failure(status: StatusCode, detail: &str) -> Failure {
    let text = format!("{detail} (status {})", status.as_u16());
    match status.as_u16() {
        401 | 403 => Failure::refused(text),
        404 => Failure::not_found(text),
        400 | 413 | 415 | 422 => Failure::usage(text),
        502..=504 => Failure::out_of_reach(text),
        _ => Failure::failed(text),
    }
}

/// What an error comes down to.
pub fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A path with its query, as far as values were given.
fn with_query(path: &str, query: &[(&str, String)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    serializer.extend_pairs(query);
    format!("{path}?{}", serializer.finish())
}
