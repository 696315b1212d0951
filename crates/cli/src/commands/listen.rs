//! `hookfleet listen`: a receiver for trying things out.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use hookfleet_domain::{Clock, Secret, Signature, limits};
use hookfleet_signing::{
    Key, KeyError, PublicKey, Received, TOLERANCE_S, Tolerance, verify_hex, verify_sha256_hex,
    verify_standard, verify_standard_v1a,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::args::{ListenArgs, OutputFormat};
use crate::clock::SystemClock;
use crate::failure::Failure;
use crate::{lifecycle, output};

struct Receiver {
    signature: Signature,
    key: Option<VerifyingKey>,
    status: StatusCode,
    delay: std::time::Duration,
    output: OutputFormat,
}

/// Runs it, until it is told to stop.
pub async fn run(arguments: ListenArgs) -> Result<(), Failure> {
    let signature = arguments.profile.settings().signature;
    let key = arguments.secret.map(|secret| key(&signature, &secret.0)).transpose();
    let receiver = Receiver {
        key: key.map_err(|error| Failure::usage(format!("--secret: {error}")))?,
        signature,
        status: StatusCode::from_u16(arguments.status).map_err(Failure::usage)?,
        delay: arguments.delay.0,
        output: arguments.output,
    };
    let bound = TcpListener::bind((arguments.host, arguments.port)).await;
    let listener =
        bound.map_err(|error| Failure::failed(format!("port {}: {error}", arguments.port)))?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    output::tell(&format!("listening on http://{address} (profile {})", arguments.profile));
    let mut tasks = JoinSet::new();
    let stop = lifecycle::stop_on_signal(&mut tasks)?;
    let router = Router::new()
        .fallback(receive)
        .layer(DefaultBodyLimit::max(2 * limits::EVENT_BYTES_MAX))
        .with_state(Arc::new(receiver));
    hookfleet_api::serve(listener, router, stop).await;
    Ok(())
}

/// What signatures are verified with.
enum VerifyingKey {
    Secret(Key),
    Public(PublicKey),
}

fn key(signature: &Signature, secret: &Secret) -> Result<VerifyingKey, KeyError> {
    let text = secret.expose();
    if signature.is_standard() && text.starts_with("whpk_") {
        return PublicKey::standard(text).map(VerifyingKey::Public);
    }
    let key = if signature.is_standard() { Key::standard(text) } else { Key::text(text) };
    key.map(VerifyingKey::Secret)
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signature = receiver.verify(&headers, &body);
    if receiver.print(&method, &uri, &headers, (&body, &signature)).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    tokio::time::sleep(receiver.delay).await;
    receiver.status
}

impl Receiver {
    /// `valid`, `unsigned`, `not checked`, or what is wrong.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> String {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let name = match &self.signature {
            Signature::None => return "unsigned".to_owned(),
            Signature::Standard | Signature::StandardV1a => "webhook-signature",
            Signature::Hex { header } | Signature::Sha256 { header } => header.as_str(),
        };
        let Some(signature) = header(name) else {
            return "unsigned".to_owned();
        };
        let Some(key) = &self.key else {
            return "not checked (no --secret)".to_owned();
        };
        let id = header("webhook-id").unwrap_or_default();
        let timestamp = header("webhook-timestamp").unwrap_or_default();
        let received = Received { id, timestamp, signature, body };
        let now_unix_s = SystemClock.now().unix_s();
        let tolerance = Tolerance { now_unix_s, seconds: TOLERANCE_S };
        let verified = match (&self.signature, key) {
            (Signature::Hex { .. }, VerifyingKey::Secret(key)) => verify_hex(key, signature, body),
            (Signature::Sha256 { .. }, VerifyingKey::Secret(key)) => {
                verify_sha256_hex(key, signature, body)
            }
            (_, VerifyingKey::Secret(key)) => {
                verify_standard(std::slice::from_ref(key), &received, tolerance)
            }
            (_, VerifyingKey::Public(key)) => verify_standard_v1a(&[*key], &received, tolerance),
        };
        verified.map_or_else(|error| format!("INVALID: {error}"), |()| "valid".to_owned())
    }

    fn print(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        (body, signature): (&[u8], &str),
    ) -> Result<(), Failure> {
        let body = String::from_utf8_lossy(body);
        let text = |value: &axum::http::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        match self.output {
            OutputFormat::Json => {
                let fields: serde_json::Map<_, _> =
                    headers.into_iter().map(|(name, value)| (name, value.into())).collect();
                let request = json!({
                    "method": method.as_str(),
                    "path": uri.to_string(),
                    "headers": fields,
                    "body": body,
                    "signature": signature,
                    "answered": self.status.as_u16(),
                });
                output::line(&request.to_string())
            }
            OutputFormat::Text => {
                let mut lines = vec![format!("{method} {uri}")];
                lines.extend(headers.iter().map(|(name, value)| format!("  {name}: {value}")));
                lines.push(format!("  {body}"));
                lines
                    .push(format!("  signature: {signature}; answered {}\n", self.status.as_u16()));
                output::line(&lines.join("\n"))
            }
        }
    }
}
