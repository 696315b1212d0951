//! How many slots one tenant holds: while they are scarce and others have work, half at most.
//!
//! A tenant with many slow endpoints, each within its lane, would hold them all, and what others
//! published stand behind it. Its deliveries beyond the half are deferred, like those that find a lane
//! full, and the others come forward. Where slots are held for moments only, nobody is deferred: to
//! deliver is less work, and the others' turn comes as soon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookfleet_domain::{TenantId, Timestamp};
use tokio::time::Instant;

use crate::pace::Pace;

/// How long a tenant counts as one that has work, after its last.
const REMEMBERED: Duration = Duration::from_mins(1);
/// A slot that is held longer is held long.
const LONG: Duration = Duration::from_secs(1);
/// Tenants that are counted; past that, those that hold nothing are forgotten.
const TENANTS_MAX: usize = 10_000;

/// The shares of all tenants.
pub struct Shares {
    half: u32,
    tenants: Mutex<Tenants>,
}

#[derive(Default)]
struct Tenants {
    by_id: HashMap<TenantId, Share>,
    /// Who came last, and when another one did before.
    last: Option<TenantId>,
    others_until: Option<Instant>,
}

#[derive(Default)]
struct Share {
    held: u32,
    pace: Pace,
}

/// A slot that counts for its tenant, until it is dropped.
pub struct Held<'a> {
    shares: &'a Shares,
    tenant: &'a TenantId,
    begun: Instant,
}

impl Shares {
    /// Of so many slots.
    pub fn of(slots: u16) -> Self {
        Self { half: (u32::from(slots) / 2).max(1), tenants: Mutex::default() }
    }

    /// Counts a slot for a tenant, or says when to come again.
    pub fn enter<'a>(
        &'a self,
        tenant: &'a TenantId,
        scarce: Scarce,
        now: Timestamp,
    ) -> Result<Held<'a>, Timestamp> {
        let (mut tenants, begun) = (self.lock(), Instant::now());
        let others = tenants.others(tenant, begun);
        if tenants.by_id.len() >= TENANTS_MAX {
            tenants.by_id.retain(|_, share| share.held > 0);
        }
        let share = match tenants.by_id.get_mut(tenant) {
            Some(share) => share,
            None => tenants.by_id.entry(tenant.clone()).or_default(),
        };
        if scarce.0 && others && share.held >= self.half && share.pace.is_over(LONG) {
            return Err(share.pace.reserve(self.half, Duration::ZERO, now));
        }
        share.held += 1;
        Ok(Held { shares: self, tenant, begun })
    }

    fn lock(&self) -> MutexGuard<'_, Tenants> {
        // A count that is off by one after a panic does no harm.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenants {
    /// Has another tenant had work of late?
    fn others(&mut self, tenant: &TenantId, now: Instant) -> bool {
        if self.last.as_ref() != Some(tenant) {
            let first = self.last.replace(tenant.clone()).is_none();
            self.others_until = (!first).then(|| now + REMEMBERED);
        }
        self.others_until.is_some_and(|until| now < until)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut tenants = self.shares.lock();
        if let Some(share) = tenants.by_id.get_mut(self.tenant) {
            share.held = share.held.saturating_sub(1);
            share.pace.learn(self.begun.elapsed());
        }
    }
}

/// Are few slots free?
#[derive(Debug, Clone, Copy)]
pub struct Scarce(pub bool);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

    #[tokio::test(start_paused = true)]
    async fn half_while_others_have_work() {
        let shares = Shares::of(4);
        let [large, small] = ["large", "small"].map(|id| id.parse::<TenantId>().unwrap());
        let enter = |tenant, scarce| shares.enter(tenant, Scarce(scarce), NOW);
        let slot = || enter(&large, true).ok().unwrap();
        let mut held: Vec<_> = (0..4).map(|_| slot()).collect();
        let of_small = enter(&small, true).ok().unwrap();
        held.push(slot());
        tokio::time::advance(LONG * 2).await;
        held.truncate(3);
        // A slot is held for two seconds, and two are at once: one a second.
        for n in 1..=3 {
            assert_eq!(enter(&large, true).err(), Some(NOW.after(Duration::from_secs(n))));
        }
        drop(enter(&large, false).ok().unwrap());
        held.truncate(1);
        drop((slot(), of_small));
        tokio::time::advance(REMEMBERED).await;
        held.extend((0..3).map(|_| slot()));
    }
}
