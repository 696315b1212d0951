//! The receiver: as cheap as can be, for its share of the machine is taken from what is measured.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const REFUSAL: &[u8] = b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno";
const HOOK: &str = "/hook";
const REFUSING: &str = "/refuse";
const FAILING: &str = "/outage";
const HANGING: &str = "/hang";
const SLOW: &str = "/slow";
/// What a slow receiver takes.
const SLOW_WAIT: Duration = Duration::from_millis(50);
/// Longer than any time-out that the bench sets.
const HANG: Duration = Duration::from_secs(35);
const BUFFER_BYTES: usize = 64 * 1024;
/// Stands in an event's data, before the time at which it was due, in µs.
pub const DUE: &str = "\"due_us\":";

/// Takes deliveries on a port of its own, until it is dropped.
pub struct Receiver {
    port: u16,
    epoch: Instant,
    seen: Arc<Mutex<Seen>>,
    /// Its thread ends when this is dropped.
    _running: oneshot::Sender<()>,
}

/// The name of its thread, by which its CPU is told from the load's.
pub const THREAD: &str = "receiver";

/// What arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Different deliveries: events, each at a path.
    pub deliveries: u64,
    /// Requests of deliveries that had arrived before, in this phase or in an earlier one.
    pub duplicates: u64,
    /// From when an event was due to its first arrival.
    pub latencies: Vec<Duration>,
    first: Option<Instant>,
    last: Option<Instant>,
    /// Requests that were answered with 500.
    pub refused: u64,
    /// Requests that were left hanging.
    pub hung: u64,
}

/// What arrived since counting began, and every delivery that ever did: one that comes again in a
/// later phase is not taken for one of that phase's own.
#[derive(Debug, Default)]
struct Seen {
    /// Hashes of event and path: of ten million, two are the same once in 300,000 runs.
    known: HashSet<u64>,
    arrived: Arrived,
    /// Is the endpoint down that is so at times?
    down: bool,
}

impl Arrived {
    /// From the first to the last of them.
    pub fn took(&self) -> Duration {
        self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// From then to the last of them.
    pub fn since(&self, begun: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(begun))
    }
}

impl Receiver {
    pub async fn start() -> Result<Self, Failure> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(|error| Failure::failed(format!("receiver: {error}")))?;
        let port = listener.local_addr().map_err(Failure::failed)?.port();
        let listener = listener.into_std().map_err(Failure::failed)?;
        let (epoch, seen) = (Instant::now(), Arc::<Mutex<Seen>>::default());
        let (running, ended) = oneshot::channel();
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        let noting = Arc::clone(&seen);
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = accept(listener, epoch, noting) => {}
                    _ = ended => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name(THREAD.to_owned());
        thread.spawn(serve).map_err(Failure::failed)?;
        Ok(Self { port, epoch, seen, _running: running })
    }

    pub fn url(&self) -> String {
        self.at(HOOK)
    }

    /// One of many endpoints.
    pub fn url_of(&self, n: u64) -> String {
        self.at(&format!("{HOOK}/{n}"))
    }

    /// Where every request is answered with 500.
    pub fn refusing_url(&self) -> String {
        self.at(REFUSING)
    }

    /// Where it is while the endpoint is down.
    pub fn failing_url(&self) -> String {
        self.at(FAILING)
    }

    /// Where no request is answered for a long time.
    pub fn hanging_url(&self) -> String {
        self.at(HANGING)
    }

    /// Where every request takes 50 ms.
    pub fn slow_url(&self) -> String {
        self.at(SLOW)
    }

    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Takes the endpoint down that is so at times, or up again.
    pub fn set_down(&self, down: bool) {
        lock(&self.seen).down = down;
    }

    /// What due times are counted from.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Different deliveries that arrived since counting began.
    pub fn count(&self) -> u64 {
        lock(&self.seen).arrived.deliveries
    }

    /// As if nothing had ever arrived: what the bare client sent is no event.
    pub fn clear(&self) {
        *lock(&self.seen) = Seen::default();
    }

    /// What arrived; counting begins anew.
    pub fn forget(&self) -> Arrived {
        std::mem::take(&mut lock(&self.seen).arrived)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, epoch: Instant, seen: Arc<Mutex<Seen>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Answers are small, and the next request waits for them.
        drop(stream.set_nodelay(true));
        let seen = Arc::clone(&seen);
        connections.spawn(async move {
            // A connection that breaks off is the client's affair.
            drop(serve(stream, epoch, &seen).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, epoch: Instant, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        while let Some((request, length)) = whole(&buffer) {
            let wait = match request.path {
                HANGING => Some(HANG),
                SLOW => Some(SLOW_WAIT),
                _ => None,
            };
            let answer = note(&request, epoch, seen);
            buffer.drain(..length);
            if let Some(wait) = wait {
                sleep(wait).await;
            }
            stream.write_all(answer).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

struct Request<'a> {
    path: &'a str,
    id: Option<&'a str>,
    due_us: Option<u64>,
}

/// The first request in the buffer and its length, once all of it is there.
fn whole(buffer: &[u8]) -> Option<(Request<'_>, usize)> {
    let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(buffer.get(..end)?).ok()?;
    let header = |name: &str| {
        let line = head.lines().find(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        })?;
        line.get(name.len()..).map(str::trim)
    };
    let length = header("content-length:").and_then(|text| text.parse::<usize>().ok())?;
    let body = buffer.get(end..end + length)?;
    let body = str::from_utf8(body).unwrap_or_default();
    let due = body.split_once(DUE).map(|(_, rest)| rest);
    let due_us =
        due.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    let path = head.split(' ').nth(1)?;
    Some((Request { path, id: header("webhook-id:"), due_us }, end + length))
}

/// Counts a request; what it is answered with.
fn note(request: &Request<'_>, epoch: Instant, seen: &Mutex<Seen>) -> &'static [u8] {
    let now = Instant::now();
    let mut seen = lock(seen);
    let Seen { known, arrived, down } = &mut *seen;
    if request.path == HANGING {
        arrived.hung += 1;
        return ANSWER;
    }
    if request.path == REFUSING || (*down && request.path == FAILING) {
        arrived.refused += 1;
        return REFUSAL;
    }
    let Some(id) = request.id else {
        return ANSWER;
    };
    let mut hasher = DefaultHasher::new();
    (request.path, id).hash(&mut hasher);
    if !known.insert(hasher.finish()) {
        arrived.duplicates += 1;
        return ANSWER;
    }
    arrived.deliveries += 1;
    arrived.first.get_or_insert(now);
    arrived.last = Some(now);
    if let Some(due_us) = request.due_us {
        arrived.latencies.push((now - epoch).saturating_sub(Duration::from_micros(due_us)));
    }
    ANSWER
}
