//! Which processes are there: the one that has the file, as it tells of itself. Kept in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hookfleet_domain::WorkerId;
use hookfleet_store::{Process, ProcessStore, StoreError, kept};
use tokio::time::Instant;

use super::store::SqliteStore;

/// As each was last seen, and when.
#[derive(Default)]
pub struct Present(Mutex<HashMap<WorkerId, (Process, Instant)>>);

impl Present {
    /// Those that were seen lately.
    fn lately(&self) -> MutexGuard<'_, HashMap<WorkerId, (Process, Instant)>> {
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        present.retain(|_, (_, seen)| seen.elapsed() < kept::PROCESS);
        present
    }
}

#[async_trait]
impl ProcessStore for SqliteStore {
    async fn process_seen(&self, process: &Process) -> Result<(), StoreError> {
        let seen = (process.clone(), Instant::now());
        self.present.lately().insert(process.id.clone(), seen);
        Ok(())
    }

    async fn process_ended(&self, id: &WorkerId) -> Result<(), StoreError> {
        self.present.lately().remove(id);
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let present = self.present.lately();
        let mut processes: Vec<Process> =
            present.values().map(|(process, _)| process.clone()).collect();
        processes.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(processes)
    }
}
