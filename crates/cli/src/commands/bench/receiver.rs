//! The receiver: as cheap as can be, for its share of the machine is taken from what is measured.

use std::collections::HashSet;
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
const REFUSING: &str = "/refuse";
const HANGING: &str = "/hang";
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
    events: u64,
    /// Requests of events that had arrived before, in this phase or in an earlier one.
    pub duplicates: u64,
    /// From when an event was due to its first arrival.
    pub latencies: Vec<Duration>,
    first: Option<Instant>,
    last: Option<Instant>,
    refused: u64,
    /// Requests that were left hanging.
    pub hung: u64,
}

/// What arrived since counting began, and every event that ever did: one that comes again in a later
/// phase is not taken for one of that phase's own.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<String>,
    arrived: Arrived,
}

impl Arrived {
    /// Different events.
    pub fn count(&self) -> u64 {
        self.events
    }

    /// From the first to the last of them.
    pub fn took(&self) -> Duration {
        self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| last - first)
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
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Where every request is answered with 500.
    pub fn refusing_url(&self) -> String {
        format!("http://127.0.0.1:{}{REFUSING}", self.port)
    }

    /// Where no request is answered for a long time.
    pub fn hanging_url(&self) -> String {
        format!("http://127.0.0.1:{}{HANGING}", self.port)
    }

    /// Requests that were.
    pub fn refused(&self) -> u64 {
        lock(&self.seen).arrived.refused
    }

    /// What due times are counted from.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Different events that arrived since counting began.
    pub fn count(&self) -> u64 {
        lock(&self.seen).arrived.count()
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
            let hang = request.hang;
            let answer = note(&request, epoch, seen);
            buffer.drain(..length);
            if hang {
                sleep(HANG).await;
            }
            stream.write_all(answer).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

struct Request<'a> {
    refuse: bool,
    hang: bool,
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
    let to = |path: &str| head.lines().next().is_some_and(|line| line.contains(path));
    let (refuse, hang) = (to(REFUSING), to(HANGING));
    Some((Request { refuse, hang, id: header("webhook-id:"), due_us }, end + length))
}

/// Counts a request; what it is answered with.
fn note(request: &Request<'_>, epoch: Instant, seen: &Mutex<Seen>) -> &'static [u8] {
    let now = Instant::now();
    let mut seen = lock(seen);
    let Seen { ids, arrived } = &mut *seen;
    if request.hang {
        arrived.hung += 1;
        return ANSWER;
    }
    if request.refuse {
        arrived.refused += 1;
        return REFUSAL;
    }
    let Some(id) = request.id else {
        return ANSWER;
    };
    if !ids.insert(id.to_owned()) {
        arrived.duplicates += 1;
        return ANSWER;
    }
    arrived.events += 1;
    arrived.first.get_or_insert(now);
    arrived.last = Some(now);
    if let Some(due_us) = request.due_us {
        arrived.latencies.push((now - epoch).saturating_sub(Duration::from_micros(due_us)));
    }
    ANSWER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let first =
            "POST / HTTP/1.1\r\nWebhook-Id: e1\r\ncontent-length: 14\r\n\r\n{\"due_us\":700}";
        let two = format!("{first}GET");
        let (request, length) = whole(two.as_bytes()).unwrap();
        assert_eq!((request.id, request.due_us, length), (Some("e1"), Some(700), first.len()));
        assert!(whole(&first.as_bytes()[..first.len() - 1]).is_none());
    }

    #[test]
    fn what_comes_again_in_a_later_phase_is_a_duplicate() {
        let (epoch, seen) = (Instant::now(), Mutex::default());
        let take = |id| {
            note(&Request { refuse: false, hang: false, id: Some(id), due_us: None }, epoch, &seen)
        };
        let told = || {
            let arrived = std::mem::take(&mut lock(&seen).arrived);
            (arrived.count(), arrived.duplicates)
        };
        take("e1");
        take("e2");
        take("e1");
        assert_eq!(told(), (2, 1));
        take("e2");
        take("e3");
        assert_eq!(told(), (1, 1));
    }
}
