//! Endpoints that keep the ledger's other side: what arrived, and was answered with a success.

use std::sync::Arc;
use std::time::Duration;

use e2e::receiver::read;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;

/// How endpoints that have moods answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Honest,
    /// After a second or so, before the endpoint's time-out.
    Slow,
    /// With something that is no answer.
    Lying,
}

/// What an endpoint is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Every request succeeds.
    Steady,
    /// One in ten fails.
    Flaky,
    /// Follows the mood.
    Moody,
    /// Every request fails.
    Failing,
    /// It is registered with https, and answers with what is no TLS.
    NoTls,
}

/// An endpoint; it ends when it is dropped.
pub struct Receiver {
    pub url: String,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Desk {
    number: usize,
    nature: Nature,
    mood: watch::Receiver<Mood>,
    ledger: Arc<Ledger>,
}

impl Receiver {
    /// The endpoint with this number in the ledger.
    pub async fn new(
        number: usize,
        nature: Nature,
        mood: watch::Receiver<Mood>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if nature == Nature::NoTls { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Desk { number, nature, mood, ledger }));
        Self { url, _server: server }
    }
}

async fn accept(listener: TcpListener, desk: Desk) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, desk.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Bytes of a TLS alert, where an answer should be.
const NO_TLS: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28 what is this?";

async fn serve(mut stream: TcpStream, desk: Desk) {
    if desk.nature == Nature::NoTls {
        drop(stream.write_all(NO_TLS).await);
        return;
    }
    let mut bytes = Vec::new();
    while let Some(request) = read(&mut stream, &mut bytes).await {
        let mood = if desk.nature == Nature::Moody { *desk.mood.borrow() } else { Mood::Honest };
        if mood == Mood::Lying {
            return lie(stream).await;
        }
        if mood == Mood::Slow {
            sleep(Duration::from_millis(rand::random_range(300..1500))).await;
        }
        let fails = match desk.nature {
            Nature::Failing => true,
            Nature::Flaky => rand::random_ratio(1, 10),
            Nature::Steady | Nature::Moody | Nature::NoTls => false,
        };
        let status = if fails { 500 } else { 200 };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if !fails {
            let id = request.header("webhook-id").unwrap_or_default();
            desk.ledger.arrived(desk.number, id, Instant::now());
        }
    }
}

/// None of these is a success: the delivery must come again.
async fn lie(mut stream: TcpStream) {
    let lie: &[u8] = match rand::random_range(0..5) {
        0 => b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ntruncated",
        1 => NO_TLS,
        2 => {
            drop(stream.set_zero_linger());
            return;
        }
        3 => return endless(stream, b"HTTP/1.1 500 X\r\n\r\n", 16 * 1024, Duration::ZERO).await,
        _ => {
            let pause = Duration::from_millis(200);
            return endless(stream, b"HTTP/1.1 200 OK\r\n\r\n", 1, pause).await;
        }
    };
    drop(stream.write_all(lie).await);
}

/// Until the other side has had enough.
async fn endless(mut stream: TcpStream, head: &[u8], bytes: usize, pause: Duration) {
    let chunk = vec![b'x'; bytes];
    let mut going_on = stream.write_all(head).await.is_ok();
    while going_on {
        sleep(pause).await;
        going_on = stream.write_all(&chunk).await.is_ok();
    }
}
