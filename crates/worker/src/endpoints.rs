//! The endpoints of the tenants that this worker serves, cached.
//!
//! A change is announced and takes the tenant out of the cache at once. A look-up that was under way
//! then still answers those who waited for it, but is not kept: no announcement can be overtaken by
//! the answer that it makes stale. Behind all that stands a short time to live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookfleet_domain::{Endpoint, EndpointId, TenantId};
use hookfleet_store::{Change, Changes, Store, StoreError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::signer::Signer;

const TIME_TO_LIVE: Duration = Duration::from_secs(10);
/// Tenants in the cache; past that, all are forgotten.
const TENANTS_MAX: usize = 10_000;

/// An endpoint, ready to be delivered to.
#[derive(Debug)]
pub struct Target {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Makes its signatures.
    pub signer: Signer,
}

/// The endpoints of one tenant.
#[derive(Debug)]
pub struct Targets {
    all: Vec<Target>,
    by_id: HashMap<EndpointId, usize>,
}

impl Target {
    /// The endpoint with its keys.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { signer: Signer::new(&endpoint), endpoint }
    }
}

impl Targets {
    fn new(endpoints: Vec<Endpoint>) -> Self {
        let ids = endpoints.iter().enumerate().map(|(n, endpoint)| (endpoint.id.clone(), n));
        let by_id = ids.collect();
        Self { by_id, all: endpoints.into_iter().map(Target::new).collect() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.all.iter()
    }

    pub fn get(&self, id: &EndpointId) -> Option<&Target> {
        self.by_id.get(id).and_then(|n| self.all.get(*n))
    }
}

/// The cache.
pub struct EndpointCache {
    store: Arc<dyn Store>,
    tenants: Mutex<HashMap<TenantId, Arc<Slot>>>,
}

struct Slot {
    begun: Instant,
    targets: OnceCell<Arc<Targets>>,
}

impl EndpointCache {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, tenants: Mutex::default() }
    }

    /// A tenant's endpoints. Many callers at once share one look-up.
    pub async fn of(&self, tenant: &TenantId) -> Result<Arc<Targets>, StoreError> {
        let slot = self.slot(tenant);
        let load = || async { self.store.endpoints(tenant).await.map(Targets::new).map(Arc::new) };
        slot.targets.get_or_try_init(load).await.cloned()
    }

    /// Forgets what changes say is stale, until the stream of changes is dropped.
    pub async fn follow(&self, mut changes: Box<dyn Changes>) {
        self.forget_all();
        loop {
            match changes.next().await {
                Change::Anything => self.forget_all(),
                Change::Tenant(tenant) => drop(self.tenants().remove(&tenant)),
            }
        }
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.tenants().clear();
    }

    fn slot(&self, tenant: &TenantId) -> Arc<Slot> {
        let mut tenants = self.tenants();
        if let Some(slot) = tenants.get(tenant).filter(|slot| slot.begun.elapsed() < TIME_TO_LIVE) {
            return Arc::clone(slot);
        }
        if tenants.len() >= TENANTS_MAX {
            tenants.clear();
        }
        let slot = Arc::new(Slot { begun: Instant::now(), targets: OnceCell::new() });
        tenants.insert(tenant.clone(), Arc::clone(&slot));
        slot
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Slot>>> {
        // The map is whole after any panic: each change to it is one call.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
