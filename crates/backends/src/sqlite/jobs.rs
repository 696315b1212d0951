//! Jobs, and the claim on one of them.

use async_trait::async_trait;
use hookfleet_domain::{JobId, Timestamp, WorkerId};
use hookfleet_store::{Job, JobState, JobStore, StoreError, kept, wire};
use rusqlite::{Connection, OptionalExtension, params};

use super::store::SqliteStore;

#[async_trait]
impl JobStore for SqliteStore {
    async fn put_job(&self, job: &Job) -> Result<(), StoreError> {
        let record = wire::encode_job(job)?;
        let (id, created_ms) = (job.id.clone(), job.created_at.unix_ms());
        let ended = match job.state {
            JobState::Queued | JobState::Running => false,
            JobState::Done | JobState::Failed => true,
        };
        let put = move |db: &Connection| {
            // A worker that lost its claim may tell of a job that another one has ended since.
            db.prepare_cached(
                "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, record = excluded.record
                 WHERE excluded.ended OR NOT ended",
            )?
            .execute(params![id.as_str(), created_ms, ended, record])?;
            if ended {
                db.execute("DELETE FROM job_claim WHERE job = ?1", [id.as_str()])?;
                db.execute(
                    "DELETE FROM jobs WHERE ended = 1 AND id NOT IN
                     (SELECT id FROM jobs WHERE ended = 1 ORDER BY created_ms DESC LIMIT ?1)",
                    [kept::ENDED_JOBS_MAX],
                )?;
            }
            Ok(())
        };
        Ok(self.database.promise(put).await?)
    }

    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let id = id.clone();
        let find = move |db: &Connection| record(db, id.as_str());
        self.database.read(find).await?.map(|record| decode(&record)).transpose()
    }

    async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let find = |db: &Connection| -> rusqlite::Result<Vec<String>> {
            let order = "SELECT record FROM jobs ORDER BY created_ms DESC, id DESC";
            db.prepare_cached(order)?.query_map([], |row| row.get(0))?.collect()
        };
        let records = self.database.read(find).await?;
        records.iter().map(|record| decode(record)).collect()
    }

    async fn claim_job(
        &self,
        worker: &WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        // Asked every second, and nearly always answered no: that needs no writing.
        let any = |db: &Connection| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM jobs WHERE ended = 0)", [], |row| row.get(0))
        };
        if !self.database.read(any).await? {
            return Ok(None);
        }
        let worker = worker.clone();
        let claim = move |db: &Connection| claim(db, &worker, now, until);
        self.database.note(claim).await?.map(|record| decode(&record)).transpose()
    }
}

fn claim(
    db: &Connection,
    worker: &WorkerId,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Option<String>> {
    let claimed = "SELECT job, worker, until_ms FROM job_claim";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let claimed: Option<(String, String, i64)> = db.query_row(claimed, [], row).optional()?;
    let job = match claimed {
        Some((job, owner, _)) if owner == worker.as_str() => Some(job),
        Some((_, _, until_ms)) if until_ms > now.unix_ms() => return Ok(None),
        Some(_) | None => {
            // Those of a later version are left to the release that knows it.
            let oldest = "SELECT id FROM jobs WHERE ended = 0 AND ifnull(record ->> '$.v', 1) <= ?1
                          ORDER BY created_ms, id LIMIT 1";
            db.query_row(oldest, [wire::VERSION], |row| row.get(0)).optional()?
        }
    };
    let Some(job) = job else {
        return Ok(None);
    };
    db.execute(
        "INSERT OR REPLACE INTO job_claim VALUES (1, ?1, ?2, ?3)",
        params![job, worker.as_str(), until.unix_ms()],
    )?;
    record(db, &job)
}

fn record(db: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    let find = "SELECT record FROM jobs WHERE id = ?1";
    db.prepare_cached(find)?.query_row([id], |row| row.get(0)).optional()
}

fn decode(record: &str) -> Result<Job, StoreError> {
    wire::decode_job("jobs", record.as_bytes())
}
