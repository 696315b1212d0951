//! Work that somebody asked for: passes over the dead letters, and over the archive.

use async_trait::async_trait;
use hookfleet_domain::{DeadLetterFilter, EndpointId, JobId, Rate, TenantId, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::StoreError;

/// A pass that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What to do.
    #[serde(flatten)]
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// Who asked for it.
    pub created_by: String,
    /// Whose job it is; none: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When.
    pub created_at: Timestamp,
    /// Only counted what would be done.
    pub dry_run: bool,
    /// Letters that matched in the view when it was asked for; of events that is not known.
    pub matched: u64,
    /// Letters or events looked at.
    #[serde(default)]
    pub seen: u64,
    /// Letters replayed, discarded or shown again; events delivered again.
    #[serde(default)]
    pub done: u64,
    /// When the pass ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is done with the letters that match, or with the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobKind {
    /// Delivers them again, at most at this rate.
    Replay {
        /// Which.
        filter: DeadLetterFilter,
        /// How fast; none: as fast as can be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<Rate>,
    },
    /// Throws them away.
    Discard {
        /// Which.
        filter: DeadLetterFilter,
    },
    /// Rebuilds the view of them all.
    Reindex,
    /// Delivers again, out of the archive, what an endpoint of the job's tenant missed.
    Recover {
        /// Which.
        endpoint: EndpointId,
        /// From when on.
        since: Timestamp,
    },
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// Under way.
    Running,
    /// Ended well.
    Done,
    /// Ended badly; what it had not reached is still among the dead letters.
    Failed,
}

/// Jobs, kept for a while after they end.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Writes a job, new or changed. One that has ended is claimed no more.
    async fn put_job(&self, job: &Job) -> Result<(), StoreError>;

    /// One job.
    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// Every job that is kept, newest first: those that have not ended, and the last that have.
    async fn jobs(&self) -> Result<Vec<Job>, StoreError>;

    /// The oldest job that is queued, or running under a worker whose claim has ended; it is then
    /// claimed by `worker` until `until`. At most one job in the whole fleet is claimed at a time; the
    /// worker that holds the claim gets the same job again, and its claim is renewed.
    async fn claim_job(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Job>, StoreError>;
}
