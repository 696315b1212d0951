//! Deduplication at intake: `pending:EVENT_ID`, then `EVENT_ID`.

use async_trait::async_trait;
use hookfleet_domain::{EventId, IdempotencyKey, TenantId};
use hookfleet_store::{Claim, IntakeStore, StoreError};

use super::scripts::{CLAIM_KEY, CONFIRM_KEY};
use super::{RedisStore, corrupt, keys, millis, store_error};

#[async_trait]
impl IntakeStore for RedisStore {
    async fn claim_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        candidate: &EventId,
    ) -> Result<Claim, StoreError> {
        let key = keys::intake(tenant, key);
        let mut claim = CLAIM_KEY.key(&key);
        claim.arg(candidate.as_str()).arg(millis(self.dedup_ttl));
        let bound = claim.invoke_async(&mut self.connection()).await;
        let bound: String = bound.map_err(|error| store_error(&error))?;
        let claim = match bound.strip_prefix("pending:") {
            Some(id) => id.parse().map(Claim::Publish),
            None => bound.parse().map(Claim::Published),
        };
        claim.map_err(|error| corrupt(&key, error))
    }

    async fn confirm_key(
        &self,
        tenant: &TenantId,
        key: &IdempotencyKey,
        id: &EventId,
    ) -> Result<bool, StoreError> {
        let mut confirm = CONFIRM_KEY.key(keys::intake(tenant, key));
        confirm.arg(id.as_str()).arg(millis(self.dedup_ttl));
        let first = confirm.invoke_async(&mut self.connection()).await;
        first.map_err(|error| store_error(&error))
    }
}
