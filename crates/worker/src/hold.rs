//! Holding on while queue or store are out of reach.
//!
//! A message in hand is kept, not returned: returned at once, it would come again at once, and a
//! short outage would make every message look like poison. Meanwhile the intake takes no more.

use std::fmt::Display;
use std::future::{Future, pending};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hookfleet_queue::{Pauses, QueueError};
use hookfleet_store::StoreError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::Worker;

/// The longest hold: far below the broker's consumer time-out of 30 minutes.
const HOLD_MAX: Duration = Duration::from_mins(10);

/// The message must go back to the queue; why has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiveBack;

/// Whether the store answered when it was last asked.
pub struct StoreHealth(watch::Sender<bool>);

impl StoreHealth {
    pub fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    pub fn set(&self, up: bool) {
        self.0.send_if_modified(|was| std::mem::replace(was, up) != up);
    }

    /// Cancel-safe: waits until the store does not answer.
    pub async fn down(&self) {
        let mut health = self.0.subscribe();
        // The sender lives as long as `self`: this waits, and cannot fail.
        drop(health.wait_for(|up| !up).await);
    }

    /// Cancel-safe: waits until the store answers again.
    async fn up(&self) {
        let mut health = self.0.subscribe();
        drop(health.wait_for(|up| *up).await);
    }
}

impl Worker {
    /// Asks the store until it answers.
    pub(crate) async fn remembered<T, F>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<T, GiveBack>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut hold = None;
        loop {
            match call().await {
                Ok(answer) => {
                    self.health.set(true);
                    return Ok(answer);
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    self.health.set(false);
                    Hold::of(&mut hold, what).pause(&error, self, self.health.up()).await?;
                }
                // The store is there: only somebody who mends it helps, not that it answers.
                Err(
                    error @ (StoreError::Refused(_)
                    | StoreError::Corrupt { .. }
                    | StoreError::Newer { .. }),
                ) => {
                    Hold::of(&mut hold, what).pause(&error, self, pending()).await?;
                }
            }
        }
    }

    /// Publishes until the queue has confirmed.
    pub(crate) async fn confirmed<F>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<(), GiveBack>
    where
        F: Future<Output = Result<(), QueueError>>,
    {
        let mut hold = None;
        while let Err(error) = call().await {
            Hold::of(&mut hold, what).pause(&error, self, pending()).await?;
        }
        Ok(())
    }
}

/// Nearly every call succeeds at once: whatever is needed when one does not is made then, and boxed, so
/// that what waits for an answer stays small.
struct Hold<'a> {
    what: &'a str,
    pauses: Pauses,
    until: Instant,
    told: bool,
}

impl<'a> Hold<'a> {
    /// The hold, which begins with the first failure.
    fn of<'h>(hold: &'h mut Option<Box<Self>>, what: &'a str) -> &'h mut Self {
        hold.get_or_insert_with(|| {
            let (pauses, until) = (Pauses::new(), Instant::now() + HOLD_MAX);
            Box::new(Self { what, pauses, until, told: false })
        })
    }

    /// Pauses, at most until `better`; [`GiveBack`] when it has been too long, or the worker ends.
    fn pause<'p>(
        &'p mut self,
        error: &'p (impl Display + Sync),
        worker: &'p Worker,
        better: impl Future<Output = ()> + Send + 'p,
    ) -> BoxFuture<'p, Result<(), GiveBack>> {
        Box::pin(self.pause_unless(error, worker, better))
    }

    async fn pause_unless(
        &mut self,
        error: &impl Display,
        worker: &Worker,
        better: impl Future<Output = ()>,
    ) -> Result<(), GiveBack> {
        let what = self.what;
        if Instant::now() > self.until {
            tracing::error!(%error, "{what} did not succeed in time; the message goes back");
            return Err(GiveBack);
        }
        if std::mem::replace(&mut self.told, true) {
            tracing::debug!(%error, "{what} did not succeed, trying again");
        } else {
            tracing::warn!(%error, "{what} did not succeed, trying until it does");
        }
        tokio::select! {
            () = worker.abandon.cancelled() => Err(GiveBack),
            () = sleep(self.pauses.next_pause()) => Ok(()),
            () = better => Ok(()),
        }
    }
}
