//! What handlers take from a request, refused as problems.

use axum::Json as Answer;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use hookfleet_domain::limits;
use hookfleet_store::PageRequest;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Problem;

/// A body as it is.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = timeout(limits::BODY_WAIT_MAX, Bytes::from_request(request, state)).await;
        let late = |_| {
            let detail = format!("the body did not arrive within {:?}", limits::BODY_WAIT_MAX);
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
        };
        Ok(Self(bytes.map_err(late)??))
    }
}

/// A JSON object as the body.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let is_json = media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"));
        if !is_json {
            let detail = "expected `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        object(&bytes).map(Self)
    }
}

/// A JSON object as the body, or no body at all.
pub struct MaybeJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        object(&bytes).map(Self)
    }
}

/// `Content-Type` without its parameters, in lower case; empty if there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a JSON object. Without this check serde would take an array, too, as the fields in their
/// order: `[]` would be a filter that matches everything.
pub fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    if json.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(json).map_err(|error| Problem::of_json(&error, json));
    }
    match serde_json::from_slice::<IgnoredAny>(json) {
        Ok(_) => Err(Problem::unprocessable("expected a JSON object")),
        Err(error) => Err(Problem::of_json(&error, json)),
    }
}

/// The names in a path. One that is invalid names nothing.
pub struct Names<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names)).map_err(|error| Problem::not_found(error.body_text()))
    }
}

/// The query's fields; an unknown one is refused where its type says so.
pub struct Fields<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Fields<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(fields)| Self(fields))
            .map_err(|error| Problem::unprocessable(error.body_text()))
    }
}

/// `limit` as a list takes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "usize")]
pub struct Limit(usize);

impl Limit {
    /// At most so many items.
    pub fn get(self) -> usize {
        self.0
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        limit.maximum(Some(limits::PAGE_ITEMS_MAX)).into()
    }
}

impl ToSchema for Limit {}

impl TryFrom<usize> for Limit {
    type Error = String;

    fn try_from(limit: usize) -> Result<Self, String> {
        let max = limits::PAGE_ITEMS_MAX;
        if (1..=max).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(format!("limit {limit} is out of range: expected 1 to {max}"))
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What stands on it.
    pub items: Vec<T>,
    /// Where the next one begins; none: this is the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The only page of a list.
    pub fn whole(items: impl Iterator<Item = T>) -> Answer<Self> {
        Answer(Self { items: items.collect(), next_cursor: None })
    }
}

/// The page that a list is asked for.
pub fn page(limit: Option<Limit>, cursor: Option<String>) -> PageRequest {
    PageRequest { limit: limit.map_or(50, |limit| limit.0), cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Filter {
        _tenant: Option<String>,
    }

    #[test]
    fn only_an_object_is_an_object() {
        let status = |json: &str| object::<Filter>(json.as_bytes()).err().map(|no| no.status);
        assert_eq!(status(" {}"), None);
        for other in ["[]", "5", "null", "\"{}\""] {
            assert_eq!(status(other), Some(422), "{other}");
        }
        for broken in ["", "{", "[", "{} {}", "no"] {
            assert_eq!(status(broken), Some(400), "{broken}");
        }
    }

    #[test]
    fn media_types() {
        let mut headers = HeaderMap::new();
        assert_eq!(media_type(&headers), "");
        let value = "Application/X-NDJSON ; charset=utf-8".parse().unwrap();
        headers.insert(header::CONTENT_TYPE, value);
        assert_eq!(media_type(&headers), "application/x-ndjson");
    }
}
