//! Receives webhooks: `PORT=9000 SECRET=whsec_… INBOX=inbox`. Dependencies: `axum`, `tokio`, and
//! `hookfleet-signing` of this repository.
//!
//! A delivery is verified, put aside and answered; what it asks for is done later, by whoever works off
//! INBOX.

#![expect(clippy::disallowed_methods, reason = "a program's outermost layer reads its settings")]

use std::env::var;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use hookfleet_signing::{Key, Received, TOLERANCE_S, Tolerance, verify_standard};

const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
static DRAFTS: AtomicU64 = AtomicU64::new(0);

struct Receiver {
    key: Key,
    inbox: PathBuf,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").unwrap_or_default().to_owned();
    let delivery = Received {
        id: &id,
        timestamp: header("webhook-timestamp").unwrap_or_default(),
        signature: header("webhook-signature").unwrap_or_default(),
        body: &body,
    };
    let tolerance = Tolerance { now_unix_s: now_unix_s(), seconds: TOLERANCE_S };
    if verify_standard(std::slice::from_ref(&receiver.key), &delivery, tolerance).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let put_aside = tokio::task::spawn_blocking(move || put_aside(&receiver.inbox, &id, &body));
    match put_aside.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT,
        // Hookfleet comes again.
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A file named for the delivery's id: one that comes again finds it there.
fn put_aside(inbox: &std::path::Path, id: &str, body: &[u8]) -> std::io::Result<()> {
    let file = inbox.join(format!("{id}.json"));
    if file.exists() {
        return Ok(());
    }
    // Two requests that bring the same delivery at once do not share a draft.
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = inbox.join(format!("{id}.draft{number}"));
    let mut written = std::fs::File::create(&draft)?;
    written.write_all(body)?;
    written.sync_all()?;
    std::fs::rename(draft, file)
}

fn now_unix_s() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let inbox = PathBuf::from(var("INBOX").unwrap_or_else(|_| "inbox".to_owned()));
    std::fs::create_dir_all(&inbox)?;
    let receiver = Receiver { key: Key::standard(&var("SECRET")?)?, inbox };
    let router = Router::new()
        .fallback(receive)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(receiver));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT")?)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}
