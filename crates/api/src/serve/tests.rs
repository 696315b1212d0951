use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;
use crate::extract;

const LARGE: usize = 32 * 1024 * 1024;

/// A server with room for so many connections; it ends when the set is dropped.
async fn server(room: usize) -> (SocketAddr, JoinSet<()>) {
    let router = Router::new()
        .route(
            "/",
            get(async |request: Request| format!("{:?}", request.extensions().get::<Peer>())),
        )
        .route("/body", post(async |extract::Body(bytes): extract::Body| bytes))
        .route("/large", get(async || vec![0_u8; LARGE]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(within(room, listener, router, CancellationToken::new()));
    (address, server)
}

/// Sends this, and answers all that comes until the server hangs up.
async fn exchange(to: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_the_head_is_cut_off() {
    let (address, _server) = server(1).await;
    for begun in ["", "G", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let before = Instant::now();
        let answer = exchange(address, begun).await;
        assert!(!answer.contains("200"), "{answer}");
        assert!(before.elapsed() >= limits::HEAD_WAIT_MAX);
    }
    let before = Instant::now();
    let answer = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.ends_with("Some(Peer(127.0.0.1))"), "{answer}");
    assert!(before.elapsed() >= limits::HEAD_WAIT_MAX, "idle connections are kept for as long");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_the_body_is_told_so() {
    let (address, _server) = server(1).await;
    let begun = "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfour";
    let before = Instant::now();
    let answer = exchange(address, begun).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(before.elapsed() >= limits::BODY_WAIT_MAX);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_the_answer_loses_it() {
    let (address, _server) = server(1).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // There is room for one: the next one is served when the first is given up.
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let before = Instant::now();
    assert!(exchange(address, request).await.starts_with("HTTP/1.1 200 "));
    assert!(before.elapsed() >= limits::ANSWER_STALL_MAX);
    let mut answer = Vec::new();
    // Its end may be a reset.
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.len() < LARGE);
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted() {
    let (address, _server) = server(2).await;
    let holders = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let third = timeout(Duration::from_secs(1), exchange(address, request)).await;
    assert!(third.is_err(), "it waits to be accepted");
    drop(holders);
    assert!(exchange(address, request).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn heads_are_bounded() {
    let (address, _server) = server(10).await;
    let status = async |url_bytes: usize, headers: usize, value_bytes: usize| {
        let (url, value) = ("x".repeat(url_bytes - 2), "v".repeat(value_bytes));
        let headers = (2..headers).map(|n| format!("x-{n}: {value}\r\n")).collect::<Vec<_>>();
        let rest = "host: a\r\nconnection: close\r\n";
        let head = format!("GET /?{url} HTTP/1.1\r\n{rest}{}\r\n", headers.concat());
        exchange(address, &head).await.get(9..12).unwrap_or_default().to_owned()
    };
    let (url, count) = (limits::REQUEST_URL_BYTES_MAX, limits::REQUEST_HEADERS_MAX);
    assert_eq!(status(url, count, 100).await, "200");
    assert_eq!(status(url + 1, 2, 0).await, "414");
    assert_eq!(status(100, count + 1, 100).await, "431");
    assert_eq!(status(100, 3, limits::HEAD_BYTES_MAX).await, "431");
}
