//! Which processes of the fleet are there.

use async_trait::async_trait;
use hookfleet_domain::{Timestamp, WorkerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::StoreError;

/// A process that serves, as it tells of itself every few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// Its id; a worker's is that of its leases.
    #[schema(value_type = String)]
    pub id: WorkerId,
    /// `serve`, `api` or `worker`.
    pub role: String,
    /// Of the program.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it told this.
    pub seen_at: Timestamp,
    /// Deliveries in hand, if it has a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<usize>,
    /// Deliveries that can be in hand at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<usize>,
}

/// Processes, forgotten some seconds after they were last seen ([`crate::kept::PROCESS`]).
#[async_trait]
pub trait ProcessStore: Send + Sync {
    /// It is there.
    async fn process_seen(&self, process: &Process) -> Result<(), StoreError>;

    /// It says that it ends.
    async fn process_ended(&self, id: &WorkerId) -> Result<(), StoreError>;

    /// Those that are there, the longest first; at most 1000.
    async fn processes(&self) -> Result<Vec<Process>, StoreError>;
}
