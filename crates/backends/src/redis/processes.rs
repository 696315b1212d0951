//! Which processes are there: a record of each, which expires, and a list of them by the time at which
//! they were seen.

use async_trait::async_trait;
use hookfleet_domain::WorkerId;
use hookfleet_store::{Process, ProcessStore, StoreError, kept};

use super::{RedisStore, corrupt, keys, millis};

/// Processes that are told of.
const LISTED_MAX: isize = 1000;

#[async_trait]
impl ProcessStore for RedisStore {
    async fn process_seen(&self, process: &Process) -> Result<(), StoreError> {
        let record = serde_json::to_vec(process).map_err(|error| corrupt("processes", error))?;
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(keys::process(&process.id)).arg(record);
        pipe.arg("PX").arg(millis(kept::PROCESS)).ignore();
        pipe.zadd(keys::PROCESSES, process.id.as_str(), process.seen_at.unix_ms()).ignore();
        pipe.zremrangebyrank(keys::PROCESSES, 0, -LISTED_MAX - 1).ignore();
        pipe.cmd("PEXPIRE").arg(keys::PROCESSES).arg(millis(kept::PROCESS)).ignore();
        self.ask_all(&pipe).await
    }

    async fn process_ended(&self, id: &WorkerId) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.zrem(keys::PROCESSES, id.as_str()).ignore();
        pipe.del(keys::process(id)).ignore();
        self.ask_all(&pipe).await
    }

    async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let mut list = redis::pipe();
        list.zrevrange(keys::PROCESSES, 0, LISTED_MAX - 1);
        let [ids]: [Vec<String>; 1] = self.ask_all(&list).await?;
        let (mut read, mut named) = (redis::pipe(), Vec::new());
        for id in ids {
            let id: WorkerId = id.parse().map_err(|error| corrupt(keys::PROCESSES, error))?;
            read.get(keys::process(&id));
            named.push(id);
        }
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<Option<Vec<u8>>> = self.ask_all(&read).await?;
        let (mut processes, mut gone) = (Vec::new(), redis::pipe());
        for (id, record) in named.iter().zip(records) {
            match record {
                Some(record) => {
                    let process = serde_json::from_slice(&record);
                    processes.push(process.map_err(|error| corrupt("processes", error))?);
                }
                None => {
                    gone.zrem(keys::PROCESSES, id.as_str()).ignore();
                }
            }
        }
        if processes.len() < named.len() {
            self.ask_all::<()>(&gone).await?;
        }
        processes.sort_by(|a: &Process, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(processes)
    }
}
