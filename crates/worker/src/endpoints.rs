//! The endpoints of the tenants that this worker serves, cached.
//!
//! A change is announced and takes the tenant out of the cache at once. A look-up that was under way
//! then still answers those who waited for it, but is not kept: no announcement can be overtaken by
//! the answer that it makes stale. Behind all that stands a short time to live.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookfleet_domain::{Endpoint, EndpointId, Event, EventType, ProjectId, Subscription, TenantId};
use hookfleet_store::{Change, Changes, Store, StoreError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::signer::Signer;

const TIME_TO_LIVE: Duration = Duration::from_mins(1);
/// Tenants in the cache; past that, all are forgotten.
const TENANTS_MAX: usize = 10_000;

/// An endpoint, ready to be delivered to.
#[derive(Debug)]
pub struct Target {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Makes its signatures.
    pub signer: Signer,
}

/// The endpoints of one tenant.
#[derive(Debug)]
pub struct Targets {
    all: Vec<Target>,
    by_id: HashMap<EndpointId, usize>,
    /// What an event costs must not grow with the endpoints that do not want it.
    by_project: HashMap<Option<ProjectId>, Wishes>,
}

/// Where those stand who wish for events, of one project or of all.
#[derive(Debug, Default)]
struct Wishes {
    exactly: HashMap<EventType, Vec<usize>>,
    /// By a prefix, or everything.
    broadly: Vec<usize>,
}

impl Target {
    /// The endpoint with its keys.
    pub fn new(endpoint: impl Into<Arc<Endpoint>>) -> Self {
        let endpoint = endpoint.into();
        Self { signer: Signer::new(&endpoint), endpoint }
    }
}

impl Targets {
    fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        let ids = endpoints.iter().enumerate().map(|(n, endpoint)| (endpoint.id.clone(), n));
        let by_id = ids.collect();
        let mut by_project = HashMap::<_, Wishes>::new();
        for (n, endpoint) in endpoints.iter().enumerate() {
            by_project.entry(endpoint.project.clone()).or_default().add(endpoint, n);
        }
        Self { by_id, by_project, all: endpoints.into_iter().map(Target::new).collect() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.all.iter()
    }

    /// Those that want this event.
    pub fn wanting<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a Target> {
        let of_its_project = event.project.is_some().then_some(&event.project);
        let wishes = [Some(&None), of_its_project].into_iter().flatten();
        let wishes = wishes.filter_map(|project| self.by_project.get(project));
        let found = wishes.flat_map(|wishes| {
            wishes.exactly.get(&event.event_type).into_iter().chain([&wishes.broadly]).flatten()
        });
        let targets = found.filter_map(|n| self.all.get(*n));
        targets.filter(|target| target.endpoint.wants(event))
    }

    pub fn get(&self, id: &EndpointId) -> Option<&Target> {
        self.by_id.get(id).and_then(|n| self.all.get(*n))
    }
}

impl Wishes {
    fn add(&mut self, endpoint: &Endpoint, n: usize) {
        let exact = endpoint.events.iter().map(|wanted| match wanted {
            Subscription::Exactly(event_type) => Some(event_type),
            Subscription::All | Subscription::Below(_) => None,
        });
        match exact.collect::<Option<HashSet<_>>>() {
            Some(types) if !types.is_empty() => {
                for event_type in types {
                    self.exactly.entry(event_type.clone()).or_default().push(n);
                }
            }
            Some(_) | None => self.broadly.push(n),
        }
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

#[cfg(test)]
mod tests {
    use hookfleet_domain::{EndpointPatch, EndpointPolicy, Secret, Timestamp};
    use serde_json::value::RawValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

    fn endpoint(wishes: &str) -> Endpoint {
        let json = format!(r#"{{"url":"https://a.example/",{wishes}}}"#);
        let patch: EndpointPatch = serde_json::from_str(&json).unwrap();
        let made = |_: &_| Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let policy = &EndpointPolicy::default();
        patch.create("acme".parse().unwrap(), NOW, policy, made).unwrap()
    }

    fn event(event_type: &str, project: Option<&str>) -> Event {
        Event {
            id: "0190b3a4-0000-7000-8000-000000000001".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            event_type: event_type.parse().unwrap(),
            project: project.map(|project| project.parse().unwrap()),
            timestamp: NOW,
            accepted_at: NOW,
            idempotency_key: None,
            trace: None,
            data: Arc::from(RawValue::from_string("1".to_owned()).unwrap()),
        }
    }

    #[test]
    fn those_are_found_that_want_an_event_and_each_once() {
        let wishes = [
            r#""events":[]"#,
            r#""events":["a.b"]"#,
            r#""events":["a.b","a.b","a.c"]"#,
            r#""events":["a.b","a.*"]"#,
            r#""events":["*"],"project":"p""#,
            r#""events":["a.b"],"project":"p""#,
            r#""events":["a.b"],"project":"q""#,
            r#""events":["a.b"],"active":false"#,
        ];
        let targets = Targets::new(wishes.map(|wishes| Arc::new(endpoint(wishes))).to_vec());
        for (event_type, project) in
            [("a.b", None), ("a.b", Some("p")), ("a.c", Some("q")), ("b", None), ("b", Some("p"))]
        {
            let event = event(event_type, project);
            let id = |target: &Target| target.endpoint.id.clone();
            let mut found: Vec<_> = targets.wanting(&event).map(id).collect();
            let mut all: Vec<_> =
                targets.iter().filter(|target| target.endpoint.wants(&event)).map(id).collect();
            found.sort();
            all.sort();
            assert_eq!(found, all, "{event_type} of {project:?}");
        }
    }
}
