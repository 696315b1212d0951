//! The gate before an attempt, the record after it, and what became of an event.

use async_trait::async_trait;
use hookfleet_domain::{
    AttemptNumber, AttemptRecord, EndpointId, Event, EventId, EventType, Generation, ProjectId,
    Rate, TenantId, Timestamp, WorkerId,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{PageRequest, StoreError};

/// A worker before the gate, with one attempt to make.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event.
    pub event: EventId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The delivery's generation.
    pub generation: Generation,
    /// The attempt that is due.
    pub attempt: AttemptNumber,
    /// Who wants to make it.
    pub owner: WorkerId,
    /// Until when it will have made it, or have died.
    pub lease_until: Timestamp,
    /// The endpoint's rate.
    pub rate: Option<Rate>,
    /// It may be told to wait for the endpoint's breaker until then; none: it must not.
    pub patient_until: Option<Timestamp>,
}

/// A worker with an event that it has not heard of before.
#[derive(Debug, Clone)]
pub struct Beginning<'a> {
    /// The event.
    pub event: &'a Event,
    /// Whom it is for.
    pub deliveries: &'a [Planned],
    /// Who wants to make the first attempts of those that are ready.
    pub owner: &'a WorkerId,
    /// Until when it will have made them, or have died.
    pub lease_until: Timestamp,
}

/// A delivery that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// To whom.
    pub endpoint: EndpointId,
    /// Can its first attempt be made at once? So it is where no rate has to be asked, and the endpoint
    /// answered well a moment ago.
    pub ready: bool,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Make the attempt; it is leased to you.
    Go,
    /// This attempt was settled already, or its delivery was begun anew: nothing is left to do.
    Skip,
    /// Not now: come again at this time.
    Wait {
        /// When.
        until: Timestamp,
        /// Why.
        reason: WaitReason,
    },
}

/// Why a delivery waits without an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// Another worker is making this attempt, as far as is known.
    Leased,
    /// The endpoint's breaker is open; this is a time of its own after it.
    Breaker,
    /// The endpoint's rate has this time for it, and for no other.
    Rate,
}

impl WaitReason {
    /// A name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Breaker => "breaker",
            Self::Rate => "rate",
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryStatus)]
pub enum Stage {
    /// Its first attempt is to come, or under way.
    Pending,
    /// It succeeded.
    Delivered,
    /// An attempt failed; the next one is to come.
    Retrying,
    /// It was given up, and lies in the dead letters.
    Dead,
    /// It was given up, and an operator threw it away.
    Discarded,
}

impl Stage {
    /// The name that callers see.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }

    /// The stage of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Retrying, Self::Dead, Self::Discarded]
            .into_iter()
            .find(|stage| stage.label() == label)
    }
}

/// An attempt that was made, with what follows from it already durable in the queue.
#[derive(Debug, Clone)]
pub struct Settlement<'a> {
    /// Whose event it is.
    pub event: &'a Event,
    /// The endpoint.
    pub endpoint: &'a EndpointId,
    /// The delivery's generation.
    pub generation: Generation,
    /// What the attempt met; none: it was given up without one.
    pub attempt: Option<&'a AttemptRecord>,
    /// Where the delivery stands now.
    pub stage: Stage,
    /// When.
    pub now: Timestamp,
}

/// What a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// `false`: this attempt had been recorded before, and was not counted again.
    pub first: bool,
    /// Failed attempts of the endpoint since its last success; if this is one, and was counted: how
    /// many came before it.
    pub failure_count: u64,
}

/// How far one delivery of an event has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// To whom.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub stage: Stage,
    /// Attempts made in its newest generation.
    pub attempts: u32,
    /// The last answer's status, if there was one.
    pub http_status: Option<u16>,
    /// How often it was begun anew.
    pub generation: Generation,
    /// When it was last heard of.
    pub updated_at: Option<Timestamp>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStatus {
    /// The event.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is about.
    pub event_type: EventType,
    /// The part of the tenant that it belongs to.
    pub project: Option<ProjectId>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Was it fanned out? Until then its deliveries are not known.
    pub fanned_out: bool,
    /// Its deliveries.
    pub deliveries: Vec<Progress>,
}

/// The gate, the record, and what became of events. All of it expires.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Remembers an event; with `endpoints`, that these are its deliveries (in addition to those
    /// remembered before).
    async fn remember_event(
        &self,
        event: &Event,
        endpoints: Option<&[EndpointId]>,
    ) -> Result<(), StoreError>;

    /// Remembers whom an event is for, and leases the first attempts of those that are ready: one
    /// question, in place of one for each delivery.
    ///
    /// `false`: the event was begun before, by whomever. Then these are remembered in addition, nothing
    /// is leased, and every delivery must pass the gate.
    async fn begin(&self, beginning: &Beginning<'_>, now: Timestamp) -> Result<bool, StoreError>;

    /// What became of an event; `None`: not known, or forgotten.
    async fn event_status(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<EventStatus>, StoreError> {
        let whole = PageRequest { limit: usize::MAX, cursor: None };
        let found = self.event_page(tenant, id, &whole).await?;
        Ok(found.map(|(status, _)| status))
    }

    /// What became of an event, with a page of its deliveries, in the order of their endpoints' ids,
    /// from the id after `page.cursor` on; and where the next page begins.
    async fn event_page(
        &self,
        tenant: &TenantId,
        id: &EventId,
        page: &PageRequest,
    ) -> Result<Option<(EventStatus, Option<String>)>, StoreError>;

    /// Asks the gate. Many who ask at once share a round trip.
    ///
    /// An attempt leased by another owner whose lease has not ended is [`Passage::Wait`], unless
    /// that owner is known to be gone ([`Self::still_alive`]). Then come the endpoint's breaker and
    /// rate ([`hookfleet_domain::Throttle`]): who is held has no lease, and a time of its own.
    async fn enter(&self, entry: &Entry, now: Timestamp) -> Result<Passage, StoreError>;

    /// Records an attempt as settled: the endpoint's counters, its attempt log, the delivery's
    /// stage. The same attempt again is not counted again. A success always settles its delivery.
    async fn record(&self, settlement: &Settlement<'_>) -> Result<Recorded, StoreError>;

    /// A dead delivery was begun anew under this generation; an older one changes nothing.
    async fn reopen(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError>;

    /// A dead delivery was thrown away.
    async fn discard(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError>;

    /// Endpoints whose breaker is not closed, and until when each is (or was) open: at most `max`,
    /// those that failed last.
    async fn broken_endpoints(
        &self,
        max: usize,
    ) -> Result<Vec<(EndpointId, Timestamp)>, StoreError>;

    /// A worker's sign of life, to be given every second or so: leases of a worker that gave none
    /// for some seconds can be taken over before they end.
    async fn still_alive(&self, worker: &WorkerId) -> Result<(), StoreError>;
}
