//! Counts for the charts: gathered in memory, and added to the store every few seconds.
//!
//! A delivery costs an addition under a lock that nobody holds for long. Whatever was gathered when
//! the process is killed, or when the store takes nothing, is lost: counts are for people to look at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookfleet_domain::{AttemptRecord, EndpointId, TenantId};
use hookfleet_store::{EndpointCount, EndpointTally, Tally};
use tokio::time::{MissedTickBehavior, timeout};

use crate::Worker;

/// How often what was gathered is added to the store.
const ADD_EVERY: Duration = Duration::from_secs(5);
/// How often that of endpoints is: there are more of them, and nobody charts them.
const ENDPOINTS_EVERY: u32 = 12;
/// Tenants that are counted at once; those past that are counted in the whole alone.
const TENANTS_MAX: usize = 1000;
/// Endpoints that are counted at once; those past that are not.
const ENDPOINTS_MAX: usize = 10_000;
/// What adding may take at the end.
const LAST_WAIT_MAX: Duration = Duration::from_secs(2);

/// What was counted since it was last added to the store.
#[derive(Default)]
pub struct Tallies(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    whole: Tally,
    tenants: HashMap<TenantId, Tally>,
    endpoints: HashMap<EndpointId, (TenantId, EndpointTally)>,
}

impl Gathered {
    fn add(&mut self, tenant: Option<&TenantId>, tally: &Tally) {
        self.whole.add(tally);
        let Some(tenant) = tenant else {
            return;
        };
        if let Some(before) = self.tenants.get_mut(tenant) {
            before.add(tally);
        } else if self.tenants.len() < TENANTS_MAX {
            self.tenants.insert(tenant.clone(), *tally);
        }
    }

    fn add_endpoint(&mut self, (tenant, endpoint): (&TenantId, &EndpointId), made: &AttemptRecord) {
        let full = self.endpoints.len() >= ENDPOINTS_MAX;
        let tally = match self.endpoints.entry(endpoint.clone()) {
            Entry::Occupied(known) => &mut known.into_mut().1,
            Entry::Vacant(_) if full => return,
            Entry::Vacant(room) => &mut room.insert((tenant.clone(), EndpointTally::default())).1,
        };
        tally.attempts += 1;
        tally.failures += u64::from(!made.success);
        tally.duration_ms += made.summary.duration_ms;
    }
}

impl Tallies {
    /// An event was taken up for the first time.
    pub fn event(&self, tenant: &TenantId) {
        self.lock().add(Some(tenant), &Tally { events: 1, ..Tally::default() });
    }

    /// An attempt was made, and recorded for the first time.
    pub fn attempt(&self, (tenant, endpoint): (&TenantId, &EndpointId), made: &AttemptRecord) {
        let tally = Tally {
            delivered: made.success.into(),
            failed: (!made.success).into(),
            duration_ms: made.summary.duration_ms,
            ..Tally::default()
        };
        let mut gathered = self.lock();
        gathered.add(Some(tenant), &tally);
        gathered.add_endpoint((tenant, endpoint), made);
    }

    /// Something was given up; not everything has a tenant.
    pub fn dead_letter(&self, tenant: Option<&TenantId>) {
        self.lock().add(tenant, &Tally { dead_letters: 1, ..Tally::default() });
    }

    /// Takes what was gathered of the whole and of tenants.
    fn take(&self) -> Vec<(Option<TenantId>, Tally)> {
        let mut gathered = self.lock();
        let whole = std::mem::take(&mut gathered.whole);
        let tenants = std::mem::take(&mut gathered.tenants);
        drop(gathered);
        if whole == Tally::default() {
            return Vec::new();
        }
        let tenants = tenants.into_iter().map(|(tenant, tally)| (Some(tenant), tally));
        std::iter::once((None, whole)).chain(tenants).collect()
    }

    fn take_endpoints(&self) -> Vec<EndpointCount> {
        let endpoints = std::mem::take(&mut self.lock().endpoints);
        let count = |(endpoint, (tenant, tally))| EndpointCount { tenant, endpoint, tally };
        endpoints.into_iter().map(count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Numbers are whole after any panic: each change to one is one addition.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is added to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Tenants,
    Everything,
}

impl Worker {
    /// Adds what was gathered, again and again.
    pub(crate) async fn add_tallies(self: std::sync::Arc<Self>) {
        let mut ticks = tokio::time::interval(ADD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in (0..ENDPOINTS_EVERY).cycle() {
            ticks.tick().await;
            let last = round + 1 == ENDPOINTS_EVERY;
            self.add_gathered(if last { What::Everything } else { What::Tenants }).await;
        }
    }

    /// Adds what is left at the end.
    pub(crate) async fn add_last_tallies(&self) {
        if timeout(LAST_WAIT_MAX, self.add_gathered(What::Everything)).await.is_err() {
            tracing::debug!("the store does not take what was counted last");
        }
    }

    async fn add_gathered(&self, what: What) {
        let now = self.clock.now();
        let tallies = self.tallies.take();
        if !tallies.is_empty()
            && let Err(error) = self.store.add_tallies(now, &tallies).await
        {
            tracing::debug!(%error, "what was counted lately is lost");
        }
        if what == What::Tenants {
            return;
        }
        let endpoints = self.tallies.take_endpoints();
        if !endpoints.is_empty()
            && let Err(error) = self.store.add_endpoint_tallies(now, &endpoints).await
        {
            tracing::debug!(%error, "what was counted of endpoints lately is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tenants_than_can_be_counted_are_in_the_whole() {
        let tallies = Tallies::default();
        for n in 0..TENANTS_MAX + 5 {
            tallies.event(&format!("t{n}").parse().unwrap());
        }
        tallies.dead_letter(None);
        let taken = tallies.take();
        assert_eq!(taken.len(), TENANTS_MAX + 1);
        let (whole, tally) = taken.first().unwrap();
        let expected =
            Tally { events: TENANTS_MAX as u64 + 5, dead_letters: 1, ..Tally::default() };
        assert_eq!((whole, tally), (&None, &expected));
        assert!(tallies.take().is_empty(), "taken once");
    }
}
