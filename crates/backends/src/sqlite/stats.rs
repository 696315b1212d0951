//! Counts over time.

use async_trait::async_trait;
use hookfleet_domain::{TenantId, Timestamp};
use hookfleet_store::{
    Bucket, ENDPOINTS_KEPT, EndpointCount, EndpointTally, StatsStore, Step, StoreError, Tally,
    Worst,
};
use rusqlite::{Connection, Row, params};

use super::store::{SqliteStore, corrupt};

/// Stands for the whole fleet.
const ALL: &str = "*";
/// Endpoints that are written in one transaction: others wait meanwhile.
const TOGETHER: usize = 500;

fn name(tenant: Option<&TenantId>) -> String {
    tenant.map_or(ALL, TenantId::as_str).to_owned()
}

#[async_trait]
impl StatsStore for SqliteStore {
    async fn add_tallies(
        &self,
        at: Timestamp,
        tallies: &[(Option<TenantId>, Tally)],
    ) -> Result<(), StoreError> {
        let steps = Step::ALL.map(|step| (step, self.expiry(step.kept())));
        let tallies = tallies.to_vec();
        let write = move |db: &Connection| {
            for ((tenant, tally), (step, expires_ms)) in
                tallies.iter().flat_map(|told| steps.map(|step| (told, step)))
            {
                add(db, &name(tenant.as_ref()), (step, step.begin(at), expires_ms), tally)?;
            }
            Ok(())
        };
        Ok(self.database.note(write).await?)
    }

    async fn tallies(
        &self,
        tenant: Option<&TenantId>,
        step: Step,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Bucket>, StoreError> {
        let tenant = name(tenant);
        let read = move |db: &Connection| {
            let list = "SELECT at_ms, events, delivered, failed, dead_letters, duration_ms
                FROM tallies WHERE tenant = ?1 AND step_ms = ?2 AND at_ms >= ?3 AND at_ms < ?4
                ORDER BY at_ms";
            let span = params![tenant, step.ms(), since.unix_ms(), until.unix_ms()];
            let mut list = db.prepare_cached(list)?;
            list.query_map(span, bucket)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        Ok(self.database.read(read).await?)
    }

    async fn add_endpoint_tallies(
        &self,
        at: Timestamp,
        counts: &[EndpointCount],
    ) -> Result<(), StoreError> {
        let at_ms = Step::Hour.begin(at).unix_ms();
        let expires_ms = self.expiry(ENDPOINTS_KEPT);
        for some in counts.chunks(TOGETHER) {
            let some = some.to_vec();
            let write = move |db: &Connection| {
                some.iter().try_for_each(|count| add_endpoint(db, count, (at_ms, expires_ms)))
            };
            self.database.note(write).await?;
        }
        Ok(())
    }

    async fn worst_endpoints(
        &self,
        tenant: Option<&TenantId>,
        which: Worst,
        now: Timestamp,
        max: usize,
    ) -> Result<Vec<EndpointCount>, StoreError> {
        let tenant = tenant.map(|tenant| tenant.as_str().to_owned());
        let since_ms = Step::Hour.begin(now).unix_ms() - Step::Hour.ms();
        let max_rows = i64::try_from(max).unwrap_or(i64::MAX);
        let read = move |db: &Connection| {
            let weight = match which {
                Worst::Failing => "f",
                Worst::Slowest => "ms / n",
            };
            let list = format!(
                "SELECT tenant, endpoint, sum(attempts) AS n, sum(failures) AS f,
                   sum(duration_ms) AS ms
                 FROM endpoint_tallies WHERE (?1 IS NULL OR tenant = ?1) AND at_ms >= ?2
                 GROUP BY tenant, endpoint HAVING {weight} > 0
                 ORDER BY {weight} DESC, endpoint LIMIT ?3"
            );
            let mut list = db.prepare_cached(&list)?;
            let rows = list.query_map(params![tenant, since_ms, max_rows], endpoint)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = self.database.read(read).await?;
        let count = |(tenant, endpoint, tally): (String, String, EndpointTally)| {
            let unreadable = |error| corrupt("endpoint_tallies", error);
            let tenant = tenant.parse().map_err(unreadable)?;
            Ok(EndpointCount { tenant, endpoint: endpoint.parse().map_err(unreadable)?, tally })
        };
        rows.into_iter().map(count).collect()
    }
}

fn add(
    db: &Connection,
    tenant: &str,
    (step, at, expires_ms): (Step, Timestamp, i64),
    tally: &Tally,
) -> rusqlite::Result<()> {
    let add = "INSERT INTO tallies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (tenant, step_ms, at_ms) DO UPDATE SET
          events = events + excluded.events,
          delivered = delivered + excluded.delivered,
          failed = failed + excluded.failed,
          dead_letters = dead_letters + excluded.dead_letters,
          duration_ms = duration_ms + excluded.duration_ms";
    let [events, delivered, failed, dead_letters, duration_ms] = tally.fields();
    db.prepare_cached(add)?.execute(params![
        tenant,
        step.ms(),
        at.unix_ms(),
        events,
        delivered,
        failed,
        dead_letters,
        duration_ms,
        expires_ms
    ])?;
    Ok(())
}

fn add_endpoint(
    db: &Connection,
    count: &EndpointCount,
    (at_ms, expires_ms): (i64, i64),
) -> rusqlite::Result<()> {
    let add = "INSERT INTO endpoint_tallies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (tenant, at_ms, endpoint) DO UPDATE SET
          attempts = attempts + excluded.attempts,
          failures = failures + excluded.failures,
          duration_ms = duration_ms + excluded.duration_ms";
    let EndpointTally { attempts, failures, duration_ms } = count.tally;
    let (tenant, endpoint) = (count.tenant.as_str(), count.endpoint.as_str());
    db.prepare_cached(add)?.execute(params![
        tenant,
        at_ms,
        endpoint,
        attempts,
        failures,
        duration_ms,
        expires_ms
    ])?;
    Ok(())
}

fn bucket(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    let fields = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok(Bucket { at: Timestamp::from_unix_ms(row.get(0)?), tally: Tally::of_fields(fields) })
}

fn endpoint(row: &Row<'_>) -> rusqlite::Result<(String, String, EndpointTally)> {
    let tally =
        EndpointTally { attempts: row.get(2)?, failures: row.get(3)?, duration_ms: row.get(4)? };
    Ok((row.get(0)?, row.get(1)?, tally))
}
