//! Live, ready, and the metrics page.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hookfleet_queue::{Queue, Readiness};
use hookfleet_store::Store;
use prometheus::{Registry, TextEncoder};
use serde_json::json;

use crate::problem::Problem;

/// What does not answer in this time is not ready.
const CHECK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Tells whether a role can do its work.
#[async_trait]
pub trait Ready: Send + Sync {
    /// Else: why not.
    async fn check(&self) -> Result<(), String>;
}

/// Ready when queue and store answer.
pub struct QueueAndStore {
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
}

impl QueueAndStore {
    /// Of these two.
    pub fn new(queue: Arc<dyn Queue>, store: Arc<dyn Store>) -> Self {
        Self { queue, store }
    }
}

#[async_trait]
impl Ready for QueueAndStore {
    async fn check(&self) -> Result<(), String> {
        let queue = match self.queue.readiness() {
            Readiness::Ready => None,
            Readiness::Blocked(why) | Readiness::Unavailable(why) => Some(why),
        };
        let store = match tokio::time::timeout(CHECK_WAIT_MAX, self.store.ping()).await {
            Ok(answered) => answered.err().map(|error| error.to_string()),
            Err(_) => Some("the store does not answer".to_owned()),
        };
        let reasons: Vec<String> = [queue, store].into_iter().flatten().collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(reasons.join("; "))
    }
}

/// `/healthz` and `/readyz`, unauthenticated.
pub fn health_router(ready: Arc<dyn Ready>) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"status": "live"}))))
        .route("/readyz", get(readiness))
        .method_not_allowed_fallback(Problem::method_not_allowed)
        .with_state(ready)
}

/// Health and `/metrics`, unauthenticated, for a port of their own.
pub fn ops_router(registry: Registry, ready: Arc<dyn Ready>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(Problem::method_not_allowed)
        .with_state(registry)
        .merge(health_router(ready))
        .fallback(Problem::no_route)
}

async fn readiness(State(ready): State<Arc<dyn Ready>>) -> Response {
    match ready.check().await {
        Ok(()) => Json(json!({"status": "ready"})).into_response(),
        Err(why) => {
            let body = json!({"status": "not ready", "reason": why});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn metrics(State(registry): State<Registry>) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(page) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], page).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    struct Fixed(Result<(), String>);

    #[async_trait]
    impl Ready for Fixed {
        async fn check(&self) -> Result<(), String> {
            self.0.clone()
        }
    }

    async fn check(request: (&str, &str), ready: Result<(), String>, expected: (u16, &str)) {
        let (method, path) = request;
        let router = ops_router(Registry::new(), Arc::new(Fixed(ready)));
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!((response.status().as_u16(), content_type), expected, "{path}");
    }

    #[tokio::test]
    async fn the_operators_port() {
        const PROBLEM: &str = "application/problem+json";
        let not_ready = Err("the queue is out of reach".to_owned());
        check(("GET", "/healthz"), not_ready.clone(), (200, "application/json")).await;
        check(("GET", "/readyz"), not_ready, (503, "application/json")).await;
        check(("GET", "/readyz"), Ok(()), (200, "application/json")).await;
        check(("GET", "/metrics"), Ok(()), (200, prometheus::TEXT_FORMAT)).await;
        check(("POST", "/readyz"), Ok(()), (405, PROBLEM)).await;
        check(("POST", "/metrics"), Ok(()), (405, PROBLEM)).await;
        check(("GET", "/nothing"), Ok(()), (404, PROBLEM)).await;
    }
}
