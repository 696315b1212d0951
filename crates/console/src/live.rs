//! What comes live: a page's parts, sent again whenever they look different (server-sent events).
//!
//! The API is asked once a second by each stream, in its caller's name: so a stream ends when the
//! token is revoked, like everything else. There are only so many streams; a page without one shows
//! what it showed when it was loaded.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use hookfleet_domain::{Clock, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Streams of this process at once.
const STREAMS_MAX: usize = 200;
/// How often the API is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A sign of life, so that a browser that went away is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// What a look at the API showed.
pub struct Seen {
    /// Parts of the page by their ids, as HTML.
    pub parts: Vec<(&'static str, String)>,
    /// Will nothing change any more?
    pub is_last: bool,
}

/// A look at the API; none: there is nothing to be seen any more.
pub type Look = Pin<Box<dyn Future<Output = Option<Seen>> + Send>>;

/// The streams of this process.
pub struct Streams {
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

/// One stream.
struct Following<F> {
    look: F,
    next: Instant,
    end: Instant,
    shown: Vec<(&'static str, String)>,
    waiting: Vec<Event>,
    ended: bool,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Streams {
    pub fn new(stop: CancellationToken) -> Self {
        Self { room: Arc::new(Semaphore::new(STREAMS_MAX)), stop }
    }

    /// A stream of what `look` shows, until the session's end or ours.
    pub fn follow<F: FnMut() -> Look + Send + 'static>(
        &self,
        until: Timestamp,
        clock: &Arc<dyn Clock>,
        look: F,
    ) -> Response {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let following = Following {
            look,
            next: Instant::now(),
            end: Instant::now() + until.since(clock.now()),
            shown: Vec::new(),
            waiting: Vec::new(),
            ended: false,
            stop: self.stop.clone(),
            _place: place,
        };
        let alive = KeepAlive::new().interval(ALIVE_EVERY);
        Sse::new(events(following)).keep_alive(alive).into_response()
    }
}

fn events<F: FnMut() -> Look + Send + 'static>(
    following: Following<F>,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    })
}

impl<F: FnMut() -> Look + Send> Following<F> {
    /// The next change. None: it is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop() {
                return Some(event);
            }
            let stop = self.stop.clone();
            if self.ended || self.next > self.end {
                return None;
            }
            stop.run_until_cancelled(sleep_until(self.next)).await?;
            let seen = stop.run_until_cancelled((self.look)()).await?;
            self.next = Instant::now() + LOOK_EVERY;
            self.take_in(seen);
        }
    }

    /// Gathers what looks different from before, to be sent from the end of the list.
    fn take_in(&mut self, seen: Option<Seen>) {
        let Some(Seen { parts, is_last }) = seen else {
            self.ended = true;
            self.waiting.push(ended());
            return;
        };
        if is_last {
            self.ended = true;
            self.waiting.push(ended());
        }
        for part in &parts {
            if !self.shown.contains(part) {
                let (id, html) = part;
                // Bodies may hold a CR, which an event cannot carry.
                let html = html.replace('\r', "");
                self.waiting.push(Event::default().event("part").id(*id).data(html));
            }
        }
        self.shown = parts;
    }
}

/// The browser would come again by itself.
fn ended() -> Event {
    Event::default().event("end").data("end")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::to_bytes;

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(0)
        }
    }

    fn looks(last: usize) -> impl FnMut() -> Look + Send {
        let count = Arc::new(AtomicUsize::new(0));
        move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let parts = vec![("same", "x".to_owned()), ("count", number.to_string())];
                Some(Seen { parts, is_last: number == last })
            })
        }
    }

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_is_sent_once_and_the_end_is_told() {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let streams = Streams::new(CancellationToken::new());
        let until = Timestamp::from_unix_ms(60_000);
        let sent = text(streams.follow(until, &clock, looks(2))).await;
        assert_eq!(sent.matches("id: same").count(), 1, "{sent}");
        assert_eq!(sent.matches("id: count").count(), 3, "{sent}");
        assert!(sent.trim_end().ends_with("event: end\ndata: end"), "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_session_and_with_us() {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let stop = CancellationToken::new();
        let streams = Streams::new(stop.clone());
        let until = Timestamp::from_unix_ms(3500);
        let sent = text(streams.follow(until, &clock, looks(usize::MAX))).await;
        assert_eq!(sent.matches("id: count").count(), 4, "{sent}");
        stop.cancel();
        let sent = text(streams.follow(until, &clock, looks(usize::MAX))).await;
        assert_eq!(sent, "");
    }

    #[tokio::test]
    async fn there_are_only_so_many() {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let streams = Streams::new(CancellationToken::new());
        let until = Timestamp::from_unix_ms(60_000);
        let open: Vec<_> =
            (0..STREAMS_MAX).map(|_| streams.follow(until, &clock, looks(9))).collect();
        let status = |response: Response| response.status().as_u16();
        assert_eq!(status(streams.follow(until, &clock, looks(9))), 503);
        drop(open);
        assert_eq!(status(streams.follow(until, &clock, looks(9))), 200);
    }
}
