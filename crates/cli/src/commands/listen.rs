//! `hookfleet listen`: a receiver for trying things out, and a relay to a developer's own program.

mod forward;
mod shown;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{Clock, Secret, Signature, limits};
use hookfleet_signing::{
    Key, KeyError, PublicKey, Received, TOLERANCE_S, Tolerance, verify_hex, verify_sha256_hex,
    verify_standard, verify_standard_v1a,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::args::{ListenArgs, OutputFormat};
use crate::clock::SystemClock;
use crate::failure::Failure;
use crate::{lifecycle, output};

use forward::{Answer, Forward, Forwarded};
use shown::Shown;

struct Receiver {
    signature: Signature,
    key: Option<VerifyingKey>,
    status: StatusCode,
    delay: std::time::Duration,
    forward: Option<Forward>,
    output: OutputFormat,
}

/// A request as it came.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
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
        forward: arguments.forward.map(Forward::new).transpose()?,
        output: arguments.output,
    };
    let bound = TcpListener::bind((arguments.host, arguments.port)).await;
    let listener = bound.map_err(|error| {
        let failure = Failure::failed(format!("port {}: {error}", arguments.port));
        failure.next("name another by --port; 0 picks a free one")
    })?;
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
) -> Response {
    let request = Request { method, uri, headers, body };
    let signature = receiver.verify(&request.headers, &request.body);
    let Some(forward) = &receiver.forward else {
        let shown = Shown { request: &request, signature: &signature, forwarded: None };
        if shown.print(receiver.output, Some(receiver.status)).is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        tokio::time::sleep(receiver.delay).await;
        return receiver.status.into_response();
    };
    let mut shown = AtLast { request, signature, output: receiver.output, forwarded: None };
    tokio::time::sleep(receiver.delay).await;
    let forwarded = forward.pass(&shown.request).await;
    match shown.forwarded.insert(forwarded).answer.clone() {
        Ok(Answer { status, headers, body }) => (status, headers, body).into_response(),
        Err(why) => {
            (StatusCode::BAD_GATEWAY, format!("hookfleet listen: no answer: {why}")).into_response()
        }
    }
}

/// Shows a request when all is known of it; also when its sender did not wait for the answer, which
/// ends its handler early.
struct AtLast {
    request: Request,
    signature: String,
    output: OutputFormat,
    forwarded: Option<Forwarded>,
}

impl Drop for AtLast {
    fn drop(&mut self) {
        let forwarded = self.forwarded.as_ref();
        let answered = forwarded.map(|forwarded| match &forwarded.answer {
            Ok(answer) => answer.status,
            Err(_) => StatusCode::BAD_GATEWAY,
        });
        let shown = Shown { request: &self.request, signature: &self.signature, forwarded };
        // Whoever closed our stdout does not want to read it.
        drop(shown.print(self.output, answered));
    }
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
}
