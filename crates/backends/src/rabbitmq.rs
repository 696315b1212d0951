//! The queue port over RabbitMQ 3.10 to 4.x.
//!
//! A supervisor keeps one link up. When it breaks, publishing and leasing fail with
//! [`QueueError::Unavailable`] until the supervisor has connected and declared everything again;
//! whatever was leased and not settled is handed out again by the broker. lapin's own recovery is
//! off: a confirm that is lost with its connection must become an error, so that its message is
//! published again under the same id.

mod acks;
mod archive;
mod archiving;
mod depths;
mod errors;
mod frames;
mod inspect;
mod leases;
mod link;
mod pass;
mod publish;
mod search;
#[cfg(test)]
mod tests;
mod topology;
mod values;
mod version;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{Clock, Timestamp};
use hookfleet_queue::{
    Archive as ArchiveReader, Depth, Found, Leases, Outgoing, Pass, Queue, QueueError, Readiness,
    Search,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use frames::Frames;
use hookfleet_queue::Pauses;
use link::Link;

pub use inspect::{Finding, inspect};
pub use link::RabbitOptions;
pub use topology::Archive;

/// How often the supervisor looks whether the link is still up.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A queue on RabbitMQ.
pub struct RabbitQueue {
    state: watch::Receiver<State>,
    clock: Arc<dyn Clock>,
    /// What is still to be said over the link before it is closed.
    receipts: TaskTracker,
    closing: CancellationToken,
    supervisor: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone)]
enum State {
    Up(Arc<Link>),
    Down(String),
}

impl RabbitQueue {
    /// Connects once, and then stays connected until [`Self::close`]. An error of this first time is
    /// the caller's to handle: wait and call again, or, if it is [`QueueError::Refused`], give up.
    pub async fn connect(
        options: RabbitOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QueueError> {
        let frames = Frames::default();
        let link = Link::connect(&options, &frames).await?;
        let (sender, state) = watch::channel(State::Up(link));
        let (supervisor, stop) = (TaskTracker::new(), CancellationToken::new());
        supervisor.spawn(supervise((options, frames), sender, stop.clone()));
        let (receipts, closing) = (TaskTracker::new(), CancellationToken::new());
        Ok(Self { state, clock, receipts, closing, supervisor, stop })
    }

    /// Closes the connections. Unsettled leases go back to the queue.
    pub async fn close(&self) {
        for (stop, tasks) in [(&self.closing, &self.receipts), (&self.stop, &self.supervisor)] {
            stop.cancel();
            tasks.close();
            tasks.wait().await;
        }
    }

    fn link(&self) -> Result<Arc<Link>, QueueError> {
        match &*self.state.borrow() {
            State::Up(link) if link.is_up() => Ok(Arc::clone(link)),
            State::Up(_) => Err(QueueError::Unavailable("the connection broke".to_owned())),
            State::Down(why) => Err(QueueError::Unavailable(why.clone())),
        }
    }
}

async fn supervise(
    (options, frames): (RabbitOptions, Frames),
    state: watch::Sender<State>,
    stop: CancellationToken,
) {
    let mut pauses = Pauses::new();
    while let Some(pause) = next_look(&state, &mut pauses, &stop).await {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        match Link::connect(&options, &frames).await {
            Ok(link) => {
                tracing::info!("connected to the broker again");
                pauses.reset();
                state.send_replace(State::Up(link));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection to the broker, trying again");
                state.send_replace(State::Down(error.to_string()));
            }
        }
    }
    let link = match &*state.borrow() {
        State::Up(link) => Some(Arc::clone(link)),
        State::Down(_) => None,
    };
    if let Some(link) = link {
        link.close().await;
    }
}

/// Waits until the link is down, and tells how long to pause before connecting; `None`: stop.
async fn next_look(
    state: &watch::Sender<State>,
    pauses: &mut Pauses,
    stop: &CancellationToken,
) -> Option<Duration> {
    loop {
        let broken = match &*state.borrow() {
            State::Up(link) if link.is_up() => None,
            State::Up(link) => Some(Arc::clone(link)),
            State::Down(_) => return Some(pauses.next_pause()),
        };
        if let Some(link) = broken {
            tracing::warn!("the connection to the broker broke");
            state.send_replace(State::Down("the connection broke".to_owned()));
            link.close().await;
            return Some(pauses.next_pause());
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let link = self.link()?;
        publish::publish(&link, message).await
    }

    async fn leases(&self, prefetch: u16) -> Result<Box<dyn Leases>, QueueError> {
        let clock = Arc::clone(&self.clock);
        let link = self.link()?;
        let receipts = (&self.receipts, self.closing.clone());
        let leases = leases::RabbitLeases::begin(&link, prefetch, clock, receipts).await?;
        Ok(Box::new(leases))
    }

    async fn pass(&self) -> Result<Box<dyn Pass>, QueueError> {
        let clock = Arc::clone(&self.clock);
        let link = self.link()?;
        let pass = pass::RabbitPass::begin(&link, clock, &self.receipts).await?;
        Ok(Box::new(pass))
    }

    async fn archive_since(&self, since: Timestamp) -> Result<Box<dyn ArchiveReader>, QueueError> {
        let (link, now) = (self.link()?, self.clock.now());
        Ok(Box::new(archive::RabbitArchive::begin(&link, since, now).await?))
    }

    async fn search_archive(&self, search: &Search) -> Result<Found, QueueError> {
        search::search(&*self.link()?, search, self.clock.now()).await
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let link = self.link()?;
        depths::depths(&link).await
    }

    fn readiness(&self) -> Readiness {
        match self.link() {
            Ok(link) if link.is_blocked() => Readiness::Blocked(publish::BLOCKED.to_owned()),
            Ok(_) => Readiness::Ready,
            Err(error) => Readiness::Unavailable(error.to_string()),
        }
    }
}

/// The partition of whatever has this id.
fn partition(id: &impl Hash, partitions: u16) -> u16 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
    u16::try_from(hash % u64::from(partitions.max(1))).unwrap_or(0)
}
