//! Passes over the dead letters: replay, discard, reindex.
//!
//! A pass looks at everything that was there when it began. What it does not want it puts back, and
//! a letter is settled only after what became of it is durable; so a pass that dies is done again
//! from the beginning, and does no harm: a replay that was published already carries the same
//! generation, and the gate lets one of the two through.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hookfleet_domain::{DeadLetter, DeadLetterFilter, Delay, Delivery, Rate, Remains, limits};
use hookfleet_queue::{Outgoing, QueueError, RawMessage, Receipt};
use hookfleet_store::{Job, JobKind, JobState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Worker;
use crate::hold::GiveBack;

/// How often a worker looks for a job.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a claim on a job lasts; it is renewed while the pass goes on.
const CLAIM: Duration = Duration::from_mins(1);
/// Letters that are under way at once.
const LETTERS_AT_ONCE: usize = 128;
/// How often progress is written, in letters.
const REPORT_EVERY: u64 = 500;

/// What becomes of a letter.
enum Fate {
    PutBack,
    Replay(Delay),
    Discard,
    Reindex,
}

impl Worker {
    /// Runs jobs as they come, until `stop`.
    pub(crate) async fn run_jobs(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.claim().await {
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "no look for jobs"),
                Ok(Some(job)) => {
                    tokio::select! {
                        // The claim ends by itself, and another worker begins the pass again.
                        () = stop.cancelled() => return,
                        () = self.run_job(job) => {}
                    }
                }
            }
        }
    }

    async fn claim(&self) -> Result<Option<Job>, hookfleet_store::StoreError> {
        let now = self.clock.now();
        self.store.claim_job(&self.id, now, now.after(CLAIM)).await
    }

    async fn run_job(&self, mut job: Job) {
        tracing::info!(job.id = %job.id, "job {} begins", job.id);
        (job.state, job.seen, job.done) = (JobState::Running, 0, 0);
        let ended = match job.kind.clone() {
            JobKind::Recover { endpoint, since } => {
                self.recover(&mut job, (&endpoint, since)).await
            }
            JobKind::Replay { .. } | JobKind::Discard { .. } | JobKind::Reindex => {
                self.pass(&mut job).await
            }
        };
        match ended {
            Ok(()) => job.state = JobState::Done,
            // Still queued: the pass begins again, here or elsewhere, when its claim has ended.
            Err(QueueError::PassBusy) => return,
            Err(error @ (QueueError::Unavailable(_) | QueueError::Blocked(_))) => {
                tracing::warn!(job.id = %job.id, %error, "the pass broke; it will begin again");
                return;
            }
            Err(error @ QueueError::Refused(_)) => {
                tracing::error!(job.id = %job.id, %error, "job {} failed", job.id);
                (job.state, job.error) = (JobState::Failed, Some(error.to_string()));
            }
        }
        job.finished_at = Some(self.clock.now());
        tracing::info!(job.id = %job.id, "job {} ended: {} of {} letters", job.id, job.done, job.seen);
        self.report(&job).await;
    }

    async fn report(&self, job: &Job) {
        let put = || self.store.put_job(job);
        if self.remembered("writing a job's progress", put).await.is_err() {
            tracing::warn!(job.id = %job.id, "progress was not written; the pass begins again");
        }
    }

    async fn pass(&self, job: &mut Job) -> Result<(), QueueError> {
        if job.kind == JobKind::Reindex {
            // Before the pass begins: what is shown from now on is newer than its end, or seen.
            let clear = || self.store.clear_dead_letters();
            self.remembered("clearing the view", clear).await.map_err(given_back)?;
        }
        let mut pass = self.queue.pass().await?;
        let mut under_way = FuturesUnordered::new();
        let mut renewed = Instant::now();
        while let Some((letter, receipt)) = pass.next().await? {
            job.seen += 1;
            let fate = fate(&job.kind, &letter, job.done);
            if !matches!(fate, Fate::PutBack) {
                job.done += 1;
            }
            under_way.push(self.settle_letter(letter, receipt, fate));
            if under_way.len() >= LETTERS_AT_ONCE {
                under_way.next().await.transpose().map_err(given_back)?;
            }
            self.renew(job, &mut renewed).await?;
        }
        while let Some(settled) = under_way.next().await {
            settled.map_err(given_back)?;
        }
        Ok(())
    }

    /// Tells how far the job is, and keeps the claim on it.
    pub(crate) async fn renew(&self, job: &Job, renewed: &mut Instant) -> Result<(), QueueError> {
        if job.seen.is_multiple_of(REPORT_EVERY) || renewed.elapsed() > CLAIM / 4 {
            self.report(job).await;
            self.claim().await.map_err(|error| QueueError::Unavailable(error.to_string()))?;
            *renewed = Instant::now();
        }
        Ok(())
    }

    async fn settle_letter(
        &self,
        letter: DeadLetter,
        receipt: Receipt,
        fate: Fate,
    ) -> Result<(), GiveBack> {
        match fate {
            Fate::PutBack => self.put_back(&letter).await?,
            Fate::Reindex => {
                self.put_back(&letter).await?;
                let show = || self.store.show_dead_letter(&letter);
                self.remembered("showing a dead letter", show).await?;
            }
            Fate::Discard => self.discard(&letter).await?,
            Fate::Replay(delay) => self.replay(&letter, delay).await?,
        }
        // Settled or not, what became of the letter is durable; unsettled, it comes again.
        drop(receipt.settle().await);
        Ok(())
    }

    async fn put_back(&self, letter: &DeadLetter) -> Result<(), GiveBack> {
        let publish = || self.queue.publish(Outgoing::DeadLetter(letter));
        self.confirmed("putting a dead letter back", publish).await
    }

    async fn replay(&self, letter: &DeadLetter, delay: Delay) -> Result<(), GiveBack> {
        match letter.remains.clone() {
            Remains::Delivery(delivery) => {
                let delivery = delivery.replayed();
                let message = Outgoing::Delivery(&delivery, delay);
                self.confirmed("replaying a delivery", || self.queue.publish(message)).await?;
                let Delivery { event, endpoint, generation, .. } = &delivery;
                let reopen = || self.store.reopen(&event.id, endpoint, *generation);
                self.remembered("reopening a delivery", reopen).await?;
            }
            Remains::Event(event) => {
                let publish = || self.queue.publish(Outgoing::Event(&event));
                self.confirmed("replaying an event", publish).await?;
            }
            Remains::Raw { bytes, error, idempotency_key, trace } => {
                let raw = RawMessage { bytes, error, idempotency_key, trace };
                let publish = || self.queue.publish(Outgoing::Raw(&raw));
                self.confirmed("replaying a message", publish).await?;
            }
        }
        self.hide(letter).await
    }

    async fn discard(&self, letter: &DeadLetter) -> Result<(), GiveBack> {
        if let Remains::Delivery(Delivery { event, endpoint, generation, .. }) = &letter.remains {
            let discard = || self.store.discard(&event.id, endpoint, *generation);
            self.remembered("discarding a delivery", discard).await?;
        }
        self.hide(letter).await
    }

    async fn hide(&self, letter: &DeadLetter) -> Result<(), GiveBack> {
        let ids = std::slice::from_ref(&letter.id);
        let hide = || self.store.hide_dead_letters(ids);
        self.remembered("hiding a dead letter", hide).await
    }
}

pub fn given_back(_: GiveBack) -> QueueError {
    QueueError::Unavailable("what follows could not be made durable".to_owned())
}

/// `done` letters went before this one: a rate costs no waiting here, the delays do the pacing.
fn fate(kind: &JobKind, letter: &DeadLetter, done: u64) -> Fate {
    let chosen = |filter: &DeadLetterFilter| filter.matches(letter);
    match kind {
        JobKind::Reindex => Fate::Reindex,
        JobKind::Discard { filter } if chosen(filter) => Fate::Discard,
        JobKind::Replay { filter, rate } if chosen(filter) => Fate::Replay(paced(*rate, done)),
        // A pass over the archive meets no letters.
        JobKind::Discard { .. } | JobKind::Replay { .. } | JobKind::Recover { .. } => Fate::PutBack,
    }
}

/// When the n-th replay is due.
fn paced(rate: Option<Rate>, n: u64) -> Delay {
    let due = rate.map_or(Duration::ZERO, |rate| rate.nth(n));
    // Rounded down to the second: the first second's share goes at once.
    Delay::exactly(Duration::from_secs(due.min(limits::RETRY_WAIT_MAX).as_secs()))
}
