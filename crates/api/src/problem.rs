//! Errors as problem details (RFC 9457).

use std::fmt::Display;

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{InvalidData, InvalidEndpoint, limits};
use hookfleet_producer::PublishError;
use hookfleet_queue::QueueError;
use hookfleet_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;
use utoipa::ToSchema;

/// An error as callers see it. `detail` names what is wrong and what is expected, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    /// The HTTP status.
    pub status: u16,
    detail: String,
    #[serde(skip)]
    retry_after_s: Option<u16>,
}

/// When a caller should come again while broker or store are out of reach.
const RETRY_AFTER_S: u16 = 5;

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, detail: impl Display) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: limits::cut(&detail.to_string(), 1000).to_owned(),
            retry_after_s: None,
        }
    }

    /// The request is no JSON, or no HTTP that we understand.
    pub fn bad_request(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The request is understood, and breaks a rule.
    pub fn unprocessable(detail: impl Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// What it is about is not there.
    pub fn not_found(detail: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Something is out of reach for the moment.
    pub fn unavailable(detail: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER_S)
    }

    /// The same, with the time after which to come again.
    #[must_use]
    pub fn retry_after(self, seconds: u16) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// There is no such path.
    #[expect(clippy::unused_async, reason = "the router takes asynchronous handlers")]
    pub async fn no_route(uri: Uri) -> Self {
        Self::not_found(format!("there is nothing at {}", uri.path()))
    }

    /// The path has no such method.
    #[expect(clippy::unused_async, reason = "the router takes asynchronous handlers")]
    pub async fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have that method")
    }

    /// JSON that does not parse is a bad request; JSON of the wrong form breaks a rule. `json` is
    /// the object that the error is about.
    pub fn of_json(error: &serde_json::Error, json: &[u8]) -> Self {
        match error.classify() {
            Category::Data if may_quote_a_secret(json) => Self::unprocessable(
                "expected `secret` to be a text, `auth` an object whose `token` is a text, and \
                 `client_certificate` one whose `key` is a text",
            ),
            Category::Data => Self::unprocessable(error),
            Category::Io | Category::Syntax | Category::Eof => {
                Self::bad_request(format!("invalid JSON: {error}"))
            }
        }
    }

    /// The same, told of one field.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        let detail = format!("{field}: {}", self.detail);
        Self { detail, ..self }
    }
}

/// Serde quotes a value of the wrong type: could that be a secret or a token?
fn may_quote_a_secret(json: &[u8]) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Hidden {
        secret: Value,
        auth: Value,
        client_certificate: Value,
    }
    let text_or_none = |value: &Value| value.is_string() || value.is_null();
    let Ok(Hidden { secret, auth, client_certificate }) = serde_json::from_slice(json) else {
        return true;
    };
    let well_formed = |value: &Value, field| match value {
        Value::Object(fields) => fields.get(field).is_none_or(text_or_none),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    };
    !(text_or_none(&secret)
        && well_formed(&auth, "token")
        && well_formed(&client_certificate, "key"))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let problem_json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem_json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read: the connection ends, and its client must know.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if !matches!(error, StoreError::Unavailable(_)) {
            tracing::error!(%error, "the store needs attention");
        }
        Self::unavailable(error)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        if matches!(error, QueueError::Refused(_)) {
            tracing::error!(%error, "the queue needs attention");
        }
        Self::unavailable(error)
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match &error {
            PublishError::Invalid(InvalidData::TooLarge(_)) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, error)
            }
            PublishError::Invalid(InvalidData::TooDeep(_)) => Self::unprocessable(error),
            PublishError::Busy(_) | PublishError::Unavailable(_) => Self::unavailable(error),
            PublishError::Refused(_) => {
                tracing::error!(%error, "an event could not be published");
                Self::unavailable(error)
            }
        }
    }
}

impl From<InvalidEndpoint> for Problem {
    fn from(error: InvalidEndpoint) -> Self {
        let status = match &error {
            InvalidEndpoint::HttpNotAllowed | InvalidEndpoint::Forbidden(_) => {
                StatusCode::FORBIDDEN
            }
            InvalidEndpoint::HttpsRequired | InvalidEndpoint::Conflict { .. } => {
                StatusCode::CONFLICT
            }
            InvalidEndpoint::UrlMissing
            | InvalidEndpoint::Url(_)
            | InvalidEndpoint::Header(_)
            | InvalidEndpoint::Field { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error)
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use hookfleet_domain::EndpointPatch;

    use super::*;

    #[test]
    fn unavailable_says_when_to_come_again() {
        let response = Problem::unavailable("the store is out of reach").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn json_that_does_not_parse_differs_from_json_that_breaks_a_rule() {
        let status = |text| {
            let error = serde_json::from_str::<hookfleet_domain::Rate>(text).unwrap_err();
            Problem::of_json(&error, b"{}").status
        };
        assert_eq!(status("\"fas"), 400);
        assert_eq!(status("\"fast\""), 422);
        assert_eq!(status("5"), 422);
    }
    #[test]
    fn no_secret_is_quoted() {
        for body in [
            r#"{"secret":8675309}"#,
            r#"{"secret":["8675309"]}"#,
            r#"{"auth":"8675309"}"#,
            r#"{"auth":{"type":"header","token":8675309}}"#,
            r#"{"auth":{"type":"query","token":["8675309"]}}"#,
            r#"{"client_certificate":"8675309"}"#,
            r#"{"client_certificate":{"certificate":"c","key":8675309}}"#,
            r#"{"secret":"x","secret":8675309}"#,
        ] {
            let error = serde_json::from_str::<EndpointPatch>(body).unwrap_err();
            let problem = Problem::of_json(&error, body.as_bytes());
            assert_eq!(problem.status, 422, "{body}");
            assert!(!problem.detail.contains("8675309"), "{}", problem.detail);
        }
        let body = r#"{"auth":{"type":"none"},"secret":"s","active":"yes"}"#;
        let error = serde_json::from_str::<EndpointPatch>(body).unwrap_err();
        let problem = Problem::of_json(&error, body.as_bytes());
        assert!(problem.detail.contains("expected a boolean"), "what is no secret is quoted");
    }

    #[test]
    fn an_unknown_token_asks_for_a_bearer() {
        let response = Problem::new(StatusCode::UNAUTHORIZED, "no token").into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(response.headers().get(header::RETRY_AFTER), None);
    }
}
