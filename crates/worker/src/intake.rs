//! Taking messages in, never more than there are slots for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookfleet_queue::{Lease, Leases, Pauses};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Worker;

/// How long messages that were fetched wait for the store to come back. After that they are given
/// back, once, and none is fetched until it is.
const STORE_PATIENCE: Duration = Duration::from_mins(5);

enum Ended {
    Stop,
    Again,
}

/// Takes messages in until `stop`.
pub async fn run(worker: &Arc<Worker>, under_way: &TaskTracker, stop: &CancellationToken) {
    let mut pauses = Pauses::new();
    loop {
        let begun = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            begun = begin(worker) => begun,
        };
        match begun {
            Ok(leases) => {
                pauses.reset();
                if let Ended::Stop = lease_all(worker, leases, under_way, stop).await {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "no messages are taken in, trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pauses.next_pause()) => {}
        }
    }
}

async fn begin(
    worker: &Worker,
) -> Result<Box<dyn Leases>, Box<dyn std::error::Error + Send + Sync>> {
    worker.store.ping().await?;
    // Leases hold while their worker is known to be alive: that comes before the first of them.
    worker.store.still_alive(&worker.id).await?;
    worker.health.set(true);
    // A few more than there are slots for: those that are settled may be acknowledged a little later, and
    // the broker sends the next ones some milliseconds after that.
    let slots = worker.options.concurrency;
    Ok(worker.queue.leases(slots.saturating_add(slots / 4)).await?)
}

async fn lease_all(
    worker: &Arc<Worker>,
    mut leases: Box<dyn Leases>,
    under_way: &TaskTracker,
    stop: &CancellationToken,
) -> Ended {
    loop {
        // The permit first: a message that nobody has a slot for is not taken from others.
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => Taken::Stop,
            () = worker.health.down() => Taken::StoreDown,
            taken = take(worker, leases.as_mut()) => taken,
        };
        match taken {
            Taken::One(lease, slot) => {
                drop(under_way.spawn(Arc::clone(worker).handle(*lease, slot)));
            }
            Taken::StoreDown if store_came_back(worker, stop).await => {}
            Taken::Stop => {
                leases.close().await;
                return Ended::Stop;
            }
            Taken::StoreDown | Taken::Ended => {
                leases.close().await;
                return Ended::Again;
            }
        }
    }
}

enum Taken {
    One(Box<Lease>, OwnedSemaphorePermit),
    StoreDown,
    Ended,
    Stop,
}

/// A slot that is held for a message to come; until then it is in nobody's hand.
struct Expecting<'a>(&'a AtomicUsize);

impl<'a> Expecting<'a> {
    fn one(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Cancel-safe: a permit that was taken is given back, and leasing loses nothing.
async fn take(worker: &Worker, leases: &mut dyn Leases) -> Taken {
    let Ok(slot) = Arc::clone(&worker.slots).acquire_owned().await else {
        return Taken::Stop;
    };
    let _expecting = Expecting::one(&worker.expecting);
    match leases.next().await {
        Ok(lease) => Taken::One(Box::new(lease), slot),
        Err(error) => {
            tracing::warn!(%error, "the intake broke, beginning again");
            Taken::Ended
        }
    }
}

/// Waits for the store with the intake paused: nothing is returned, so nothing comes round.
async fn store_came_back(worker: &Worker, stop: &CancellationToken) -> bool {
    tracing::warn!("the store is out of reach: the intake pauses");
    let mut pauses = Pauses::new();
    let came_back = async {
        while let Err(error) = worker.store.ping().await {
            tracing::debug!(%error, "the store is still out of reach");
            sleep(pauses.next_pause()).await;
        }
        worker.health.set(true);
    };
    tokio::select! {
        () = stop.cancelled() => false,
        waited = timeout(STORE_PATIENCE, came_back) => waited.is_ok(),
    }
}
