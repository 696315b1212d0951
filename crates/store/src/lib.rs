//! The store port: what the fleet remembers.
//!
//! Nothing in here is needed to keep an accepted event: the queue holds it. What a store forgets
//! costs duplicates (its deduplication), the history (attempts, event status) or the settings
//! (endpoints, which is why they can be exported), never a delivery.
//!
//! Secrets leave this crate only sealed ([`Sealer`]): a backend never sees one in clear.

mod cursor;
mod delivery;
mod endpoint_filter;
mod endpoints;
mod jobs;
pub mod kept;
mod processes;
mod seal;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
pub mod wire;

use async_trait::async_trait;
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, EventId, IdempotencyKey, TenantId,
};

pub use cursor::DeadLetterCursor;
pub use delivery::{
    Beginning, DeliveryStore, Entry, EventStatus, Passage, Planned, Progress, Recorded, Settlement,
    Stage, WaitReason,
};
pub use endpoint_filter::EndpointFilter;
pub use endpoints::{Change, Changes, EndpointStore, Written};
pub use jobs::{Job, JobKind, JobState, JobStore};
pub use processes::{Process, ProcessStore};
pub use seal::{InvalidMasterKey, SealError, Sealer};
pub use stats::{
    Bucket, ENDPOINTS_KEPT, EndpointCount, EndpointTally, StatsStore, Step, Tally, Worst,
};
pub use tokens::TokenStore;

/// Why a store did not do what it was asked for. Variants say what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach: try again later. A write may or may not have happened; every write can be
    /// repeated.
    #[error("store is out of reach: {0}")]
    Unavailable(String),
    /// It refuses us (password, permission), and will go on doing so: a person must act.
    #[error("store refuses: {0}")]
    Refused(String),
    /// It holds something that cannot be read: which record, and why.
    #[error("store holds an unreadable record {key}: {why}")]
    Corrupt {
        /// The record's name.
        key: String,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// It holds something of a later release: leave it alone, a process of that release reads it.
    #[error(
        "store holds record {key} of version {version}, expected {}: run the newer release",
        wire::VERSION
    )]
    Newer {
        /// The record's name.
        key: String,
        /// Its version.
        version: u32,
    },
}

/// What a publisher's idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing yet, or an event whose publisher has not said that it is durable: publish this id.
    Publish(EventId),
    /// An event that is durable.
    Published(EventId),
}

/// Deduplication at intake, in two phases: a publisher that crashes between them and tries again
/// gets the same event id, never a lost event.
#[async_trait]
pub trait IntakeStore: Send + Sync {
    /// Phase one: what does this key stand for? A new key is bound to `candidate`.
    async fn claim_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        candidate: &EventId,
    ) -> Result<Claim, StoreError>;

    /// Phase two: the event is durable. `true` for the first caller only: of several that published
    /// the same key at once, one was the first.
    async fn confirm_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        id: &EventId,
    ) -> Result<bool, StoreError>;
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next page begins; none: this is the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page out of what was found: where there is a next page, one item more than `limit`.
    pub fn of_found(mut found: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> String) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(cursor);
        Self { items: found, next_cursor }
    }
}

/// Which page of a list.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// At most so many items.
    pub limit: usize,
    /// Where it begins, as an earlier page told; none: at the beginning.
    pub cursor: Option<String>,
}

/// A view of the dead letters, for reading. The dead-letter queue is the truth; the view can be
/// rebuilt from it.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Shows a letter. The same letter again changes nothing.
    async fn show_dead_letter(&self, letter: &DeadLetter) -> Result<(), StoreError>;

    /// Shows these letters no more.
    async fn hide_dead_letters(&self, ids: &[DeadLetterId]) -> Result<(), StoreError>;

    /// One letter, whole.
    async fn dead_letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, StoreError>;

    /// Letters that match, newest first. A cursor that no page told is answered like none.
    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, StoreError>;

    /// How many match.
    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError>;

    /// Hides every letter, before the view is rebuilt.
    async fn clear_dead_letters(&self) -> Result<(), StoreError>;
}

/// All that the fleet remembers.
#[async_trait]
pub trait Store:
    EndpointStore
    + IntakeStore
    + DeliveryStore
    + DeadLetterStore
    + JobStore
    + TokenStore
    + StatsStore
    + ProcessStore
{
    /// Does it answer?
    async fn ping(&self) -> Result<(), StoreError>;
}
