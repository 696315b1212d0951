//! What a process tells of itself, so that others see it.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{Clock, WorkerId, limits};
use hookfleet_store::{Process, Store};
use hookfleet_worker::Worker;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Role;

/// Often enough to be seen three times before it is forgotten.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// What saying goodbye may take.
const GOODBYE_WAIT_MAX: Duration = Duration::from_secs(2);

/// Tells the store of this process.
pub struct Presence {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    worker: Option<Arc<Worker>>,
    process: Process,
}

impl Presence {
    /// Of a process that begins now.
    pub fn new(
        (store, clock): (Arc<dyn Store>, Arc<dyn Clock>),
        role: Role,
        worker: Option<Arc<Worker>>,
    ) -> Self {
        let now = clock.now();
        let id = worker.as_ref().map_or_else(|| WorkerId::generate(now), |it| it.id().clone());
        let process = Process {
            id,
            role: role.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host(),
            started_at: now,
            seen_at: now,
            in_flight: None,
            slots: None,
        };
        Self { store, clock, worker, process }
    }

    /// Tells every few seconds; says goodbye at the end.
    pub async fn run(mut self, end: CancellationToken) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while end.run_until_cancelled(ticks.tick()).await.is_some() {
            if end.run_until_cancelled(self.tell()).await.is_none() {
                break;
            }
        }
        let goodbye = timeout(GOODBYE_WAIT_MAX, self.store.process_ended(&self.process.id));
        if !matches!(goodbye.await, Ok(Ok(()))) {
            tracing::debug!("nobody was told that this process ends");
        }
    }

    async fn tell(&mut self) {
        self.process.seen_at = self.clock.now();
        if let Some(worker) = &self.worker {
            let (in_flight, slots) = worker.in_hand();
            (self.process.in_flight, self.process.slots) = (Some(in_flight), Some(slots));
        }
        if let Err(error) = self.store.process_seen(&self.process).await {
            tracing::debug!(%error, "nobody was told that this process is there");
        }
    }
}

/// The machine's name, as the kernel knows it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match limits::cut(name.trim(), limits::NAME_CHARS_MAX) {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}
