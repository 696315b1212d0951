//! Attempts that are being made. Only this process makes any, so nothing of this need outlive it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookfleet_domain::{EndpointId, EventId, Generation, Timestamp, WorkerId};
use hookfleet_store::kept;
use tokio::time::Instant;

/// One delivery of one generation.
pub type Key = (EventId, EndpointId, Generation);

/// Leases that are kept without a look whether they are over.
const LEASES_MIN: usize = 1024;

/// Who makes which attempts, and which workers are alive.
#[derive(Default)]
pub struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    leases: HashMap<Key, Lease>,
    /// How many there may be before those that are over are looked for.
    leases_max: usize,
    /// When each worker gave its last sign of life.
    signs: HashMap<WorkerId, Instant>,
}

/// Who makes an attempt, and until when it will have made it.
#[derive(Clone)]
pub struct Lease {
    pub owner: WorkerId,
    pub until: Timestamp,
}

/// Attempts that were just leased. Unless they are kept, dropping this gives them back.
pub struct Leased {
    attempts: Arc<Attempts>,
    keys: Vec<Key>,
}

impl Attempts {
    /// Leases all of these attempts, or tells until when one of them is leased. An owner's own lease counts,
    /// too: the attempt is still being made in that process.
    pub fn lease(
        self: &Arc<Self>,
        keys: Vec<Key>,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Leased, Timestamp> {
        let State { leases, leases_max, signs } = &mut *self.lock();
        let holds =
            |lease: &&Lease| lease.until > now && signs.get(&lease.owner).is_some_and(is_alive);
        if let Some(held) = keys.iter().filter_map(|key| leases.get(key)).find(holds) {
            return Err(held.until);
        }
        if leases.len() >= *leases_max {
            leases.retain(|_, lease| lease.until > now);
            *leases_max = (2 * leases.len()).max(LEASES_MIN);
        }
        leases.extend(keys.iter().map(|key| (key.clone(), lease.clone())));
        Ok(Leased { attempts: Arc::clone(self), keys })
    }

    /// An attempt is over.
    pub fn ended(&self, key: &Key) {
        self.lock().leases.remove(key);
    }

    /// A worker gives a sign of life. Whoever gave none for too long is forgotten.
    pub fn sign(&self, worker: &WorkerId) {
        let signs = &mut self.lock().signs;
        signs.retain(|_, at| is_alive(at));
        signs.insert(worker.clone(), Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Both maps are whole after any panic: each change to one is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_alive(sign: &Instant) -> bool {
    sign.elapsed() < kept::LIFE_SIGN_TTL
}

impl Leased {
    /// The attempts are made.
    pub fn keep(mut self) {
        self.keys.clear();
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        for key in &self.keys {
            self.attempts.ended(key);
        }
    }
}
