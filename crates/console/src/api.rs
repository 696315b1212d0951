//! The API, as one caller sees it: its own router, called in the process.

use std::fmt::Display;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use hookfleet_api::{Caller, Peer, Visit};
use hookfleet_domain::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;

/// The largest answer: a page of attempts or of events, each with its body.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Asks in the name of one caller.
#[derive(Clone)]
pub struct Api {
    router: Router,
    principal: Principal,
    peer: Option<Peer>,
}

/// In whose name the API is asked.
#[derive(Clone)]
pub enum Principal {
    /// The holder of a token.
    Token(Secret),
    /// Somebody who came by a link.
    Visitor(Visit),
}

/// Why the API did not do it, for people: its problem's status and detail.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// As the API has it.
    pub status: StatusCode,
    /// What is wrong, and what is expected.
    pub detail: String,
}

/// An answer with what stands beside its body.
pub struct Answer<T> {
    pub headers: HeaderMap,
    pub value: T,
    /// Who the API takes us for.
    pub caller: Option<Caller>,
}

impl Api {
    /// In this name, from this address.
    pub fn new(router: Router, principal: Principal, peer: Option<Peer>) -> Self {
        Self { router, principal, peer }
    }

    /// GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        Ok(self.ask(Ask::get(path)).await?.value)
    }

    /// The same; what is not there is none.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Refusal> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// POST.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Refusal> {
        Ok(self.ask(Ask::new(Method::POST, path).json(body)).await?.value)
    }

    /// Asks, and reads the answer's JSON; an answer without a body is `null`.
    pub async fn ask<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<Answer<T>, Refusal> {
        let mut request = Request::builder().method(ask.method).uri(ask.path);
        if let Principal::Token(token) = &self.principal {
            let bearer = format!("Bearer {}", token.expose());
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let body = ask.body.map_or_else(Body::empty, Body::from);
        let mut request = request.body(body).map_err(Refusal::ours)?;
        if let Principal::Visitor(visit) = &self.principal {
            request.extensions_mut().insert(visit.clone());
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let response = forward(self.router.clone(), request).await;
        read(response).await
    }
}

/// What is asked for.
pub struct Ask<'a> {
    method: Method,
    path: &'a str,
    body: Option<String>,
    headers: Vec<(&'static str, &'a str)>,
}

impl<'a> Ask<'a> {
    pub fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, body: None, headers: Vec::new() }
    }

    pub fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    /// A body that is JSON already, kept as it is.
    #[must_use]
    pub fn text(self, body: String) -> Self {
        Self { body: Some(body), ..self }
    }

    /// An empty value is not sent.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'a str) -> Self {
        if !value.is_empty() {
            self.headers.push((name, value));
        }
        self
    }
}

/// Hands a request to the router, which never fails.
pub async fn forward(router: Router, request: Request) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<Answer<T>, Refusal> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(Refusal::ours)?;
    if !parts.status.is_success() {
        return Err(Refusal::of(parts.status, &bytes));
    }
    let bytes = if bytes.is_empty() { b"null".as_slice() } else { bytes.as_ref() };
    let value = serde_json::from_slice(bytes).map_err(Refusal::ours)?;
    let caller = parts.extensions.get::<Caller>().cloned();
    Ok(Answer { headers: parts.headers, value, caller })
}

impl Refusal {
    /// The API's answer is not what it should be: a fault of ours.
    pub fn ours(error: impl Display) -> Self {
        tracing::error!(%error, "the console does not understand the API");
        let detail = "the console does not understand the API's answer".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, detail }
    }

    fn of(status: StatusCode, problem: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Problem {
            detail: String,
        }
        let detail = serde_json::from_slice(problem).map(|problem: Problem| problem.detail);
        let detail = detail.unwrap_or_else(|_| status.to_string());
        Self { status, detail }
    }
}
