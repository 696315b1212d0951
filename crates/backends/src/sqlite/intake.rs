//! Deduplication at intake. Both phases are notes: between them the event is published, and that
//! promise takes the first one with it; without the second the event is published again, under the
//! same id.

use async_trait::async_trait;
use hookfleet_domain::{EventId, IdempotencyKey, TenantId};
use hookfleet_store::{Claim, IntakeStore, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

use super::store::{SqliteStore, corrupt};

const FIND: &str = "SELECT event, confirmed FROM idempotency_keys
    WHERE tenant = ?1 AND key = ?2 AND expires_ms > ?3";
const BIND: &str = "INSERT OR REPLACE INTO idempotency_keys VALUES (?1, ?2, ?3, ?4, ?5)";

#[async_trait]
impl IntakeStore for SqliteStore {
    async fn claim_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        candidate: &EventId,
    ) -> Result<Claim, StoreError> {
        let (now_ms, expires_ms) = (self.clock.now().unix_ms(), self.expiry(self.dedup_ttl));
        let names = (tenant.clone(), key.clone(), candidate.clone());
        let claim = move |db: &Connection| {
            let (tenant, key, candidate) = (names.0.as_str(), names.1.as_str(), names.2.as_str());
            let found = find(db, (tenant, key), now_ms)?;
            if found.is_none() {
                db.prepare_cached(BIND)?
                    .execute(params![key, tenant, candidate, false, expires_ms])?;
            }
            Ok(found.unwrap_or_else(|| (candidate.to_owned(), false)))
        };
        let (event, confirmed) = self.database.note(claim).await?;
        let event: EventId = event.parse().map_err(|error| corrupt("idempotency_keys", error))?;
        Ok(if confirmed { Claim::Published(event) } else { Claim::Publish(event) })
    }

    async fn confirm_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        id: &EventId,
    ) -> Result<bool, StoreError> {
        let (now_ms, expires_ms) = (self.clock.now().unix_ms(), self.expiry(self.dedup_ttl));
        let names = (tenant.clone(), key.clone(), id.clone());
        let confirm = move |db: &Connection| {
            let (tenant, key, id) = (names.0.as_str(), names.1.as_str(), names.2.as_str());
            if find(db, (tenant, key), now_ms)? == Some((id.to_owned(), true)) {
                return Ok(false);
            }
            db.prepare_cached(BIND)?.execute(params![key, tenant, id, true, expires_ms])?;
            Ok(true)
        };
        Ok(self.database.note(confirm).await?)
    }
}

/// The event that a key stands for, and whether it is durable.
fn find(
    db: &Connection,
    (tenant, key): (&str, &str),
    now_ms: i64,
) -> rusqlite::Result<Option<(String, bool)>> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    db.prepare_cached(FIND)?.query_row(params![tenant, key, now_ms], row).optional()
}
