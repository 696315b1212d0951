//! Being there before being ready: while broker and store are awaited, health answers and everything
//! else is told to come back.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookfleet_api::Ready;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What a role will be once it has begun.
#[derive(Clone)]
pub struct Starting {
    ready: Arc<OnceLock<Arc<dyn Ready>>>,
    router: Arc<OnceLock<Router>>,
    stop: CancellationToken,
}

impl Starting {
    /// Not begun. From `stop` on it is not ready any more.
    pub fn new(stop: CancellationToken) -> Self {
        Self { ready: Arc::default(), router: Arc::default(), stop }
    }

    /// From now on readiness is what `ready` says, and requests go to `router`.
    pub fn begun(&self, ready: Arc<dyn Ready>, router: Option<Router>) {
        // A role begins once: a second call would change nothing.
        drop(self.ready.set(ready));
        if let Some(router) = router {
            drop(self.router.set(router));
        }
    }

    /// Health, and the role's own routes once it has begun.
    pub fn router(&self) -> Router {
        let starting = self.clone();
        Router::new().fallback(move |request: Request<Body>| {
            let starting = starting.clone();
            async move { starting.answer(request).await }
        })
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        let router = match self.router.get() {
            Some(router) => router.clone(),
            None => hookfleet_api::health_router(Arc::new(self.clone())).fallback(not_yet),
        };
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn not_yet() -> Response {
    let problem = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"still waiting for broker and store"}"#;
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "2")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, problem).into_response()
}

#[async_trait]
impl Ready for Starting {
    async fn check(&self) -> Result<(), String> {
        if self.stop.is_cancelled() {
            return Err("told to stop: finishing what is under way".to_owned());
        }
        match self.ready.get() {
            Some(ready) => ready.check().await,
            None => Err("still waiting for broker and store".to_owned()),
        }
    }
}
