//! What the API counts, by route and never by name.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramOpts, HistogramVec, Registry};
use tokio::time::Instant;

use crate::Api;

/// Counters of the API.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    /// `hookfleet_http_request_duration_seconds{route,method,status_class}`
    requests: HistogramVec,
}

const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

impl ApiMetrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let name = "hookfleet_http_request_duration_seconds";
        let options = HistogramOpts::new(name, "How long the API took to answer, by route.");
        let labels = ["route", "method", "status_class"];
        let requests = HistogramVec::new(options.buckets(SECONDS.to_vec()), &labels)?;
        registry.register(Box::new(requests.clone()))?;
        // Routes appear with their first request; a request that met none, at once.
        for class in ["2xx", "3xx", "4xx", "5xx"] {
            requests.with_label_values(&[NO_ROUTE, "GET", class]);
        }
        Ok(Self { requests })
    }
}

const NO_ROUTE: &str = "none";

/// Measures a request.
pub async fn measure(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = method(request.method());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let class = match response.status().as_u16() {
        ..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    let labels = [route, method, class];
    api.metrics.requests.with_label_values(&labels).observe(begun.elapsed().as_secs_f64());
    response
}

/// Callers can make methods up; labels must not follow.
fn method(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_methods_are_one_label() {
        assert_eq!(method(&axum::http::Method::PATCH), "PATCH");
        assert_eq!(method(&"BREW".parse().unwrap()), "other");
    }
}
