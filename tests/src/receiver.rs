//! A receiver that keeps every request byte for byte, and answers as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::eventually;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it was complete.
    pub at: Instant,
    /// Request line and headers, byte for byte.
    pub head: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub answered: u16,
}

impl Request {
    /// `POST /path HTTP/1.1`
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Headers in the order in which they came, names as they were written.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect()
    }

    /// One header; names are the same in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(other, _): &(&str, &str)| other.eq_ignore_ascii_case(name);
        self.headers().into_iter().find(same).map(|(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Does the reference library of Standard Webhooks verify it?
    pub fn verifies(&self, secret: &str) -> bool {
        self.verifies_with(secret, &self.body)
    }

    /// Would it verify with this body?
    pub fn verifies_with(&self, secret: &str, body: &[u8]) -> bool {
        let mut headers = reqwest::header::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, self.header(name).unwrap().parse().unwrap());
        }
        standardwebhooks::Webhook::new(secret).unwrap().verify(body, &headers).is_ok()
    }

    /// Does one of its `v1a` entries match this `whpk_` key? No reference library knows them.
    pub fn verifies_v1a(&self, public_key: &str) -> bool {
        let decode = |text| BASE64.decode(text).unwrap();
        let key = decode(public_key.strip_prefix("whpk_").unwrap());
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
        let [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"]
            .map(|name| self.header(name).unwrap());
        let signed = [id.as_bytes(), timestamp.as_bytes(), &self.body].join(&b'.');
        let mut entries = signatures.split(' ').filter_map(|entry| entry.strip_prefix("v1a,"));
        entries.any(|entry| key.verify(&signed, &decode(entry)).is_ok())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Further header lines, each with its line end.
    pub headers: String,
    /// How long to wait before.
    pub after: Duration,
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self { status, headers: String::new(), after: Duration::ZERO }
    }
}

type Decide = dyn Fn(&Request) -> Answer + Send + Sync;

/// Requests under way, and the most there ever were.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// What a connection answers by.
#[derive(Clone)]
struct Desk {
    decide: Arc<Decide>,
    seen: Arc<Mutex<Vec<Request>>>,
    load: Arc<Load>,
}

/// A receiver; it ends when it is dropped.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    load: Arc<Load>,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Listens, and answers what `decide` says.
    pub async fn new(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let load = Arc::<Load>::default();
        let mut server = JoinSet::new();
        let desk = Desk { decide: Arc::new(decide), seen: requests.clone(), load: load.clone() };
        server.spawn(accept(listener, desk));
        Self { url, requests, load, _server: server }
    }

    /// Answers this status to everything.
    pub async fn answering(status: u16) -> Self {
        Self::new(move |_| status.into()).await
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How often each `webhook-id` was answered with a success.
    pub fn succeeded(&self) -> HashMap<String, usize> {
        let mut tally = HashMap::new();
        for request in self.requests().iter().filter(|request| request.answered < 300) {
            *tally.entry(request.header("webhook-id").unwrap().to_owned()).or_default() += 1;
        }
        tally
    }

    /// The most requests that were ever under way at once.
    pub fn busiest(&self) -> usize {
        self.load.most.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come, and answers them.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> Vec<Request> {
        eventually(&format!("{count} requests"), patience, || async {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
        .await
    }
}

async fn accept(listener: TcpListener, desk: Desk) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, desk.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, desk: Desk) {
    let mut bytes = Vec::new();
    while let Some(request) = read(&mut stream, &mut bytes).await {
        let now = desk.load.now.fetch_add(1, Ordering::SeqCst) + 1;
        desk.load.most.fetch_max(now, Ordering::SeqCst);
        let answer = (desk.decide)(&request);
        let request = Request { answered: answer.status, ..request };
        desk.seen.lock().unwrap().push(request);
        sleep(answer.after).await;
        desk.load.now.fetch_sub(1, Ordering::SeqCst);
        let Answer { status, headers, .. } = answer;
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n{headers}\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request; what came after it stays in `bytes`.
pub async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
            let length = |line: &str| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok()).flatten()
            };
            let length: usize = head.lines().find_map(length).unwrap_or(0);
            let whole = end + 4 + length;
            if bytes.len() >= whole {
                let rest = bytes.split_off(whole);
                let body = bytes.split_off(end + 4);
                *bytes = rest;
                return Some(Request { at: Instant::now(), head, body, answered: 0 });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(chunk.get(..read)?),
        }
    }
}
