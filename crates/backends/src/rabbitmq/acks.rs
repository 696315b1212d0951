//! Acknowledging in runs: once every message up to some one is settled, one `basic.ack` with
//! `multiple` serves them all (AMQP 0-9-1, 1.8.3.13). It costs the broker about what one message's does.
//!
//! A message in somebody's hands holds up the run of those behind it, and must not hold up them: when
//! many wait for a run, or few more come, each is acknowledged by itself. Until then they are
//! settled all the same: one that the broker hands out again is skipped at the gate.
//!
//! While few come, those of a moment are acknowledged together: the broker flushes its log to disk for
//! each that comes alone, and what is published meanwhile waits for that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use hookfleet_queue::{QueueError, Settle};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a run is gathered.
const PAUSE: Duration = Duration::from_millis(2);
/// Fewer than this are gathered for longer.
const MANY: usize = 8;
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// Settled messages that wait for their run: as many as a worker with 512 slots
/// fetches beyond them.
const LOOSE_MAX: usize = 128;
/// How long what is in hand may still be acknowledged after its consumers were cancelled. A broker that
/// loses a node forgets to take back what a cancelled consumer had there (`rabbit_fifo` looks again after
/// those that were up): so none stays in that state for as long as attempts may take. What is given
/// back before it is settled waits at the gate for the lease of whoever has it in hand.
const GRACE: Duration = Duration::from_secs(1);
/// What is heard at once.
const HEARD_MAX: usize = 1024;

/// Where receipts say what became of their messages. Never fuller than the channel's prefetch.
#[derive(Clone)]
pub struct Acks(mpsc::UnboundedSender<Said>);

enum Said {
    Settled(u64),
    GivenBack(u64),
    /// Nothing more is leased.
    Ending,
}

impl Acks {
    /// Acknowledges what is settled on this channel, for as long as somebody could say so and
    /// nobody is `closing` it.
    pub fn over(channel: Arc<Channel>, tasks: &TaskTracker, closing: CancellationToken) -> Self {
        let (sender, said) = mpsc::unbounded_channel();
        tasks.spawn(acknowledge(channel, said, closing));
        Self(sender)
    }

    /// No more messages come: those in hand go back to the broker unless they are settled soon.
    pub fn end(&self) {
        drop(self.0.send(Said::Ending));
    }

    /// The receipt of the message with this delivery tag.
    pub fn receipt(&self, tag: u64) -> AckReceipt {
        AckReceipt { acks: self.clone(), tag }
    }
}

/// Settles one message of a channel.
pub struct AckReceipt {
    acks: Acks,
    tag: u64,
}

#[async_trait]
impl Settle for AckReceipt {
    async fn settle(self: Box<Self>) -> Result<(), QueueError> {
        let closed = || QueueError::Unavailable("the connection is closed".to_owned());
        self.acks.0.send(Said::Settled(self.tag)).map_err(|_| closed())
    }

    fn give_back(self: Box<Self>) {
        // Over a closed connection the broker takes everything back anyway.
        drop(self.acks.0.send(Said::GivenBack(self.tag)));
    }
}

async fn acknowledge(
    channel: Arc<Channel>,
    mut said: mpsc::UnboundedReceiver<Said>,
    closing: CancellationToken,
) {
    let (mut ledger, mut heard, mut ending) = (Ledger::default(), Vec::new(), None);
    loop {
        let wait_max = if ledger.loose > 0 { PAUSE } else { Duration::MAX };
        let count = tokio::select! {
            () = closing.cancelled(), if !said.is_closed() => {
                said.close();
                continue;
            }
            () = sleep_until(ending.unwrap_or_else(Instant::now)), if ending.is_some() => {
                tracing::debug!("what is in hand goes back to the broker");
                drop(channel.close(200, "what is in hand goes back".into()).await);
                return;
            }
            count = timeout(wait_max, said.recv_many(&mut heard, HEARD_MAX)) => count,
        };
        let mut given_back = Vec::new();
        for said in heard.drain(..) {
            match said {
                Said::Settled(tag) => ledger.settled(tag),
                Said::GivenBack(tag) => {
                    ledger.ended(tag);
                    given_back.push(tag);
                }
                Said::Ending => ending = Some(Instant::now() + GRACE),
            }
        }
        let run = ledger.run();
        let many = matches!(count, Ok(MANY..));
        let each = if many && ledger.loose < LOOSE_MAX { Vec::new() } else { ledger.each() };
        if let Err(error) = tell(&channel, &given_back, run, &each).await {
            // A run must not reach past what could not be given back: no more is said over this channel.
            tracing::debug!(%error, "messages were not acknowledged; they will be skipped");
            return;
        }
        match count {
            Ok(0) => return,
            Ok(_) => sleep(if many { PAUSE } else { LONG_PAUSE }).await,
            Err(_) => {}
        }
    }
}

async fn tell(
    channel: &Channel,
    given_back: &[u64],
    run: Option<u64>,
    each: &[u64],
) -> lapin::Result<()> {
    // First, or a run that reaches past them would acknowledge them.
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let nack = |tag: &u64| channel.basic_nack(*tag, options);
    try_join_all(given_back.iter().map(nack)).await?;
    if let Some(tag) = run {
        channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
    }
    let ack = |tag: &u64| channel.basic_ack(*tag, BasicAckOptions::default());
    try_join_all(each.iter().map(ack)).await.map(drop)
}

/// What is known of a channel's messages. Their tags count up from 1.
#[derive(Default)]
struct Ledger {
    /// Of the messages after this tag.
    after: u64,
    known: VecDeque<State>,
    /// Settled messages that no run has reached.
    loose: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    InHand,
    /// Settled, and the broker does not know it yet.
    Settled,
    /// The broker knows, or has it back.
    Ended,
}

impl Ledger {
    fn settled(&mut self, tag: u64) {
        self.put(tag, State::Settled);
        self.loose += 1;
    }

    fn ended(&mut self, tag: u64) {
        self.put(tag, State::Ended);
    }

    fn put(&mut self, tag: u64, state: State) {
        let Some(at) = tag.checked_sub(self.after + 1).and_then(|at| usize::try_from(at).ok())
        else {
            return;
        };
        if self.known.len() <= at {
            self.known.resize(at + 1, State::InHand);
        }
        if let Some(known) = self.known.get_mut(at) {
            *known = state;
        }
    }

    /// The last tag of the run from the first message on, if it has any to acknowledge.
    fn run(&mut self) -> Option<u64> {
        let mut last = None;
        while let Some(state) = self.known.pop_front_if(|state| *state != State::InHand) {
            self.after += 1;
            if state == State::Settled {
                self.loose -= 1;
                last = Some(self.after);
            }
        }
        last
    }

    /// The tags that no run has reached.
    fn each(&mut self) -> Vec<u64> {
        self.loose = 0;
        let mut tags = Vec::new();
        for (tag, state) in (self.after + 1..).zip(&mut self.known) {
            if *state == State::Settled {
                *state = State::Ended;
                tags.push(tag);
            }
        }
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_before_the_first_in_hand() {
        let mut ledger = Ledger::default();
        for tag in [2, 3, 5] {
            ledger.settled(tag);
        }
        assert_eq!(ledger.run(), None);
        ledger.settled(1);
        assert_eq!((ledger.run(), ledger.loose), (Some(3), 1));
        assert_eq!((ledger.run(), ledger.loose), (None, 1));
        ledger.settled(4);
        assert_eq!((ledger.run(), ledger.loose), (Some(5), 0));
    }

    #[test]
    fn what_the_broker_knows_is_not_said_twice() {
        let mut ledger = Ledger::default();
        for tag in [2, 4] {
            ledger.settled(tag);
        }
        assert_eq!((ledger.each(), ledger.loose), (vec![2, 4], 0));
        assert_eq!(ledger.each(), [] as [u64; 0]);
        ledger.settled(3);
        ledger.ended(1);
        assert_eq!(ledger.run(), Some(3));
        ledger.ended(5);
        assert_eq!(ledger.run(), None);
        ledger.settled(6);
        assert_eq!(ledger.run(), Some(6));
    }
}
