//! Connections, each within bounds: how many there are, what a request's head may hold, and how long
//! each phase may take. Whoever is slower, or holds on, is cut off.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hookfleet_domain::limits;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::problem::Problem;
use crate::shield::shield;

/// Whose connection a request came by: behind a balancer, the balancer's.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// A pause after an error of the listener's own, such as no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, then answers what is under way.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    within(limits::CONNECTIONS_MAX, listener, router, stop).await;
}

/// The same, with room for so many connections.
async fn within(room: usize, listener: TcpListener, router: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(room));
    let mut connections = JoinSet::new();
    while let Some((stream, peer, place)) = next(&listener, &room, &stop).await {
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            converse(stream, peer, router, stop).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is room for it; none: it is time to stop.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                Err(error) if is_the_callers(error.kind()) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

fn is_the_callers(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Answers the requests of one connection, one after the other.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits::ANSWER_STALL_MAX));
    let service = service_fn(|request| answer(request, Peer(peer.ip()), router.clone()));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    builder.header_read_timeout(limits::HEAD_WAIT_MAX);
    builder.max_header_size(limits::HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: Peer,
    router: Router,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let mut response = if target > limits::REQUEST_URL_BYTES_MAX {
        let detail = format!("expected a URL of at most {} bytes", limits::REQUEST_URL_BYTES_MAX);
        Problem::new(StatusCode::URI_TOO_LONG, detail).into_response()
    } else {
        request.extensions_mut().insert(peer);
        router.oneshot(request).await?
    };
    shield(response.headers_mut());
    Ok(response)
}

#[cfg(test)]
mod tests;
