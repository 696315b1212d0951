//! Writing the archive: what is accepted while one message is on its way goes together in the next.
//!
//! A message costs a stream about as much as a queue, however much is in it. Nobody waits for company:
//! an event that comes alone is written at once.

use hookfleet_domain::Event;
use hookfleet_queue::QueueError;
use lapin::Channel;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::publish;

/// Events that wait to be written; past that, callers wait to put theirs.
const WAITING_MAX: usize = 1024;
/// Events in one message; fewer than a search has places for.
const TOGETHER_MAX: usize = 256;
/// Bytes of data in one message, if there are several events in it: readers hold many at once.
const TOGETHER_BYTES_MAX: usize = 64 * 1024;

type Reply = oneshot::Sender<Result<(), QueueError>>;

/// Takes events; its task ends with it.
pub struct Archiving {
    events: mpsc::Sender<(Event, Reply)>,
    _task: JoinSet<()>,
}

impl Archiving {
    /// Over a channel in confirm mode.
    pub fn over(channel: Channel) -> Self {
        let (events, waiting) = mpsc::channel(WAITING_MAX);
        let mut task = JoinSet::new();
        task.spawn(write_all(channel, waiting));
        Self { events, _task: task }
    }

    /// Makes an event durable in the archive.
    pub async fn keep(&self, event: &Event) -> Result<(), QueueError> {
        let (reply, answer) = oneshot::channel();
        let gone = || QueueError::Unavailable("the connection broke".to_owned());
        self.events.reserve().await.map_err(|_| gone())?.send((event.clone(), reply));
        answer.await.map_err(|_| gone())?
    }
}

async fn write_all(channel: Channel, mut waiting: mpsc::Receiver<(Event, Reply)>) {
    while let Some((event, reply)) = waiting.recv().await {
        let mut bytes = event.data.get().len();
        let (mut events, mut replies) = (vec![event], vec![reply]);
        while events.len() < TOGETHER_MAX
            && bytes < TOGETHER_BYTES_MAX
            && let Ok((event, reply)) = waiting.try_recv()
        {
            bytes += event.data.get().len();
            events.push(event);
            replies.push(reply);
        }
        let written = publish::archive(&channel, &events).await;
        for reply in replies {
            // Whoever asked may have gone.
            drop(reply.send(written.clone()));
        }
    }
}
