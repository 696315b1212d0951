//! The contract that every backend keeps, as tests that a backend's own tests call.
//!
//! Every part takes an open store and a `prefix` of letters and digits, at most 24, out of which
//! all ids are made: a new prefix for each run lets the suite run against a store that holds other
//! things. Two parts look at what a store has only once, and must not run beside anything else that
//! uses the same store: [`dead_letters`] clears the view, [`jobs`] ends all jobs.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "these are tests: they fail by panicking"
)]

mod attempts;
mod dead_letters;
mod endpoints;
mod gate;
mod intake;
mod jobs;
mod processes;
mod record;
mod stats;
mod status;
mod throttle;
mod tokens;

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    AttemptNumber, AttemptRecord, AttemptSummary, Endpoint, EndpointId, EndpointPatch,
    EndpointPolicy, Event, Generation, TenantId, Timestamp,
};

use crate::{Entry, EventStatus, Passage, Recorded, Settlement, Stage, Store};

pub use attempts::attempts;
pub use dead_letters::dead_letters;
pub use endpoints::{changes, endpoints};
pub use gate::gate;
pub use intake::intake;
pub use jobs::jobs;
pub use processes::processes;
pub use record::record;
pub use stats::stats;
pub use status::status;
pub use throttle::throttle;
pub use tokens::tokens;

/// When the tests begin.
const T0: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// Runs every part, one after the other.
pub async fn contract(store: &dyn Store, prefix: &str) {
    store.ping().await.expect("the store answers");
    intake(store, prefix).await;
    gate(store, prefix).await;
    record(store, prefix).await;
    throttle(store, prefix).await;
    attempts(store, prefix).await;
    status(store, prefix).await;
    endpoints(store, prefix).await;
    changes(store, prefix).await;
    tokens(store, prefix).await;
    stats(store, prefix).await;
    processes(store, prefix).await;
    dead_letters(store, prefix).await;
    jobs(store, prefix).await;
}

/// `T0`, so many seconds later.
fn at(seconds: u64) -> Timestamp {
    T0.after(Duration::from_secs(seconds))
}

/// A store, and the names that one part of the suite uses in it.
struct Scene<'a> {
    store: &'a dyn Store,
    prefix: String,
}

impl<'a> Scene<'a> {
    /// `part` keeps the names of two parts apart.
    fn new(store: &'a dyn Store, prefix: &str, part: &str) -> Self {
        let prefix = format!("{prefix}-{part}");
        Self { store, prefix }
    }

    /// The id of that name.
    fn id<T: FromStr<Err: Debug>>(&self, name: &str) -> T {
        let id = format!("{}-{name}", self.prefix);
        id.parse().expect("the prefix is short and plain")
    }

    fn tenant(&self) -> TenantId {
        self.id("tenant")
    }

    fn event(&self, name: &str) -> Event {
        Event {
            id: self.id(name),
            tenant: self.tenant(),
            event_type: "order.paid".parse().expect("it is an event type"),
            project: None,
            timestamp: T0,
            accepted_at: at(1),
            idempotency_key: None,
            trace: None,
            data: serde_json::value::RawValue::NULL.to_owned().into(),
        }
    }

    async fn known(&self, event: &Event) -> EventStatus {
        let status = self.store.event_status(&event.tenant, &event.id).await;
        status.expect("the status is read").expect("it is known")
    }

    async fn remember(&self, event: &Event, endpoints: Option<&[EndpointId]>) {
        let remembered = self.store.remember_event(event, endpoints).await;
        remembered.expect("the event is remembered");
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        let patch = r#"{"url":"https://receiver.example/hook","secret":"hush-secret",
            "auth":{"type":"header","name":"X-API-Key","token":"hush-token"}}"#;
        let patch: EndpointPatch = serde_json::from_str(patch).expect("it is a patch");
        let policy = &EndpointPolicy::default();
        let endpoint = patch.create(self.tenant(), T0, policy, |_| unreachable!("it has a secret"));
        Endpoint { id: self.id(name), ..endpoint.expect("it is a valid endpoint") }
    }
}

/// One delivery: what a worker asks and tells of it.
struct Case<'a> {
    store: &'a dyn Store,
    event: Arc<Event>,
    endpoint: EndpointId,
    generation: Generation,
}

impl<'a> Case<'a> {
    /// The delivery of the event of that name to the endpoint of that name.
    fn new(scene: &Scene<'a>, event: &str, endpoint: &str) -> Self {
        Self {
            store: scene.store,
            event: Arc::new(scene.event(event)),
            endpoint: scene.id(endpoint),
            generation: Generation::FIRST,
        }
    }

    /// The same delivery, begun anew.
    fn replayed(&self) -> Self {
        Self {
            store: self.store,
            event: Arc::clone(&self.event),
            endpoint: self.endpoint.clone(),
            generation: self.generation.next(),
        }
    }

    /// A worker before the gate, with a lease of one minute.
    fn entry(&self, attempt: u32, worker: &str, now: Timestamp) -> Entry {
        let owner = format!("{}-{worker}", self.event.id);
        Entry {
            event: self.event.id.clone(),
            endpoint: self.endpoint.clone(),
            generation: self.generation,
            attempt: AttemptNumber::new(attempt),
            owner: owner.parse().expect("it is a worker's id"),
            lease_until: now.after(Duration::from_mins(1)),
            rate: None,
            patient_until: None,
        }
    }

    async fn enter(&self, attempt: u32, worker: &str, now: Timestamp) -> Passage {
        let entry = self.entry(attempt, worker, now);
        self.store.enter(&entry, now).await.expect("the gate answers")
    }

    /// Gives a worker's sign of life, so that its leases count.
    async fn alive(&self, worker: &str) {
        let owner = self.entry(1, worker, T0).owner;
        let given = self.store.still_alive(&owner).await;
        given.expect("the sign is given");
    }

    fn made(&self, attempt: u32, http_status: u16) -> AttemptRecord {
        AttemptRecord {
            event_id: self.event.id.clone(),
            event_type: self.event.event_type.clone(),
            success: http_status == 200,
            summary: AttemptSummary {
                attempt: AttemptNumber::new(attempt),
                at: at(u64::from(attempt)),
                duration_ms: 12,
                http_status: (http_status != 0).then_some(http_status),
                error: (http_status != 200).then(|| "no luck".to_owned()),
            },
            response_body: Some("\"ok\" ✓".to_owned()),
        }
    }

    /// Records an attempt; status 0 stands for no answer at all.
    async fn record(&self, attempt: u32, http_status: u16, stage: Stage) -> Recorded {
        let made = self.made(attempt, http_status);
        self.settle(Some(&made), stage).await
    }

    async fn settle(&self, attempt: Option<&AttemptRecord>, stage: Stage) -> Recorded {
        let settlement = Settlement {
            event: &self.event,
            endpoint: &self.endpoint,
            generation: self.generation,
            attempt,
            stage,
            now: attempt.map_or(at(30), |made| made.summary.at.after(Duration::from_secs(1))),
        };
        let recorded = self.store.record(&settlement).await;
        recorded.expect("the attempt is recorded")
    }
}
