//! Jobs, and the claim on one of them.

use async_trait::async_trait;
use hookfleet_domain::{JobId, Timestamp, WorkerId};
use hookfleet_store::{Job, JobState, JobStore, StoreError, kept, wire};
use redis::AsyncCommands;

use super::keys::{JOB_CLAIM, JOBS, JOBS_ENDED, JOBS_OPEN};
use super::scripts::{CLAIM_JOB, PUT_JOB};
use super::{RedisStore, store_error};

fn read(bytes: &[u8]) -> Result<Job, StoreError> {
    wire::decode_job(JOBS, bytes)
}

#[async_trait]
impl JobStore for RedisStore {
    async fn put_job(&self, job: &Job) -> Result<(), StoreError> {
        let record = wire::encode_job(job)?;
        let ended = match job.state {
            JobState::Queued | JobState::Running => 0,
            JobState::Done | JobState::Failed => 1,
        };
        let mut put = PUT_JOB.key(JOBS);
        put.key(JOBS_OPEN).key(JOBS_ENDED).key(JOB_CLAIM);
        put.arg(job.id.as_str())
            .arg(record)
            .arg(job.created_at.unix_ms())
            .arg(ended)
            .arg(kept::ENDED_JOBS_MAX);
        let written = put.invoke_async::<()>(&mut self.connection()).await;
        written.map_err(|error| store_error(&error))
    }

    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let bytes = self.connection().hget(JOBS, id.as_str()).await;
        let bytes: Option<Vec<u8>> = bytes.map_err(|error| store_error(&error))?;
        bytes.map(|bytes| read(&bytes)).transpose()
    }

    async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let records = self.connection().hvals(JOBS).await;
        let records: Vec<Vec<u8>> = records.map_err(|error| store_error(&error))?;
        let mut jobs = records.iter().map(|bytes| read(bytes)).collect::<Result<Vec<Job>, _>>()?;
        jobs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        Ok(jobs)
    }

    async fn claim_job(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let mut claim = CLAIM_JOB.key(JOBS);
        claim.key(JOBS_OPEN).key(JOB_CLAIM);
        claim.arg(worker.as_str()).arg(now.unix_ms()).arg(until.unix_ms()).arg(wire::VERSION);
        let bytes = claim.invoke_async(&mut self.connection()).await;
        let bytes: Option<Vec<u8>> = bytes.map_err(|error| store_error(&error))?;
        bytes.map(|bytes| read(&bytes)).transpose()
    }
}
