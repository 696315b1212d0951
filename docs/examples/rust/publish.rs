//! Publishes an event by HTTP. Dependencies: `reqwest`, `serde_json`, `tokio`, `rand`, and `rustls` to
//! choose a provider of cryptography (reqwest's default features bring one).

#![expect(clippy::disallowed_methods, reason = "a program's outermost layer reads its settings")]

use std::env::var;
use std::error::Error;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

const TRIES: i32 = 8;

struct Publisher {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What a try came to.
enum Tried {
    Published(Value),
    /// At least so long from now.
    Again(Duration),
}

impl Publisher {
    /// Returns once the event is durable. `key` makes it one event, however often it is tried.
    async fn publish(&self, event_type: &str, data: Value, key: &str) -> Result<Value, String> {
        let body = json!({"type": event_type, "data": data}).to_string();
        for attempt in 0..TRIES {
            match self.try_once(body.clone(), key).await? {
                Tried::Published(published) => return Ok(published),
                Tried::Again(wait) => {
                    let backoff = rand::random::<f64>() * 2_f64.powi(attempt).min(30.0);
                    tokio::time::sleep(wait.max(Duration::from_secs_f64(backoff))).await;
                }
            }
        }
        Err(format!("not published after {TRIES} tries"))
    }

    async fn try_once(&self, body: String, key: &str) -> Result<Tried, String> {
        let request = self.http.post(&self.url).bearer_auth(&self.token).body(body);
        let request = request.header("Content-Type", "application/json");
        let Ok(response) = request.header("Idempotency-Key", key).send().await else {
            // It may or may not be durable, and the same key finds out.
            return Ok(Tried::Again(Duration::ZERO));
        };
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        if status == 429 || status.is_server_error() {
            return Ok(Tried::Again(Duration::from_secs(wait)));
        }
        let Ok(text) = response.text().await else {
            return Ok(Tried::Again(Duration::ZERO));
        };
        if !status.is_success() {
            return Err(format!("refused: {text}"));
        }
        serde_json::from_str(&text).map(Tried::Published).map_err(|error| error.to_string())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = var("HOOKFLEET_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let tenant = var("HOOKFLEET_TENANT").unwrap_or_else(|_| "default".to_owned());
    let publisher = Publisher {
        http: reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?,
        url: format!("{url}/v1/tenants/{tenant}/events"),
        token: var("HOOKFLEET_TOKEN")?,
    };
    println!("{}", publisher.publish("order.paid", json!({"order": 42}), "order-42-paid").await?);
    Ok(())
}
