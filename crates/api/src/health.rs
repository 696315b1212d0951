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
        match self.queue.readiness() {
            Readiness::Ready => {}
            Readiness::Blocked(why) | Readiness::Unavailable(why) => return Err(why),
        }
        match tokio::time::timeout(CHECK_WAIT_MAX, self.store.ping()).await {
            Ok(answered) => answered.map_err(|error| error.to_string()),
            Err(_) => Err("the store does not answer".to_owned()),
        }
    }
}

/// `/healthz` and `/readyz`, unauthenticated.
pub fn health_router(ready: Arc<dyn Ready>) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"status": "live"}))))
        .route("/readyz", get(readiness))
        .with_state(ready)
}

/// Health and `/metrics`, unauthenticated, for a port of their own.
pub fn ops_router(registry: Registry, ready: Arc<dyn Ready>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(registry)
        .merge(health_router(ready))
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
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
