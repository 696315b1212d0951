//! The tenants that have something, in a list of their own.
//!
//! Keys can be found by a scan of all of them, which takes the longer the more is stored. So tenants
//! are listed when something becomes theirs, and the scan only puts the list right, once an hour: a
//! release from before the list may have written meanwhile.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use hookfleet_domain::TenantId;
use hookfleet_store::StoreError;
use redis::{AsyncCommands, ScanOptions};

use super::{RedisStore, corrupt, keys, store_error};

/// Keys that a scan looks at in one round trip: others wait for about a millisecond.
const SCANNED_TOGETHER: usize = 2000;
/// Seconds for which the list is taken to be whole.
const WHOLE_S: u64 = 3600;

impl RedisStore {
    /// Lists a tenant, before something becomes its: one that has nothing after all does no harm.
    pub(super) async fn list_tenant(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let listed = self.connection().sadd(keys::TENANTS, tenant.as_str()).await;
        listed.map_err(|error| store_error(&error))
    }

    /// Those on the list that have endpoints or tokens.
    pub(super) async fn listed_tenants(&self) -> Result<BTreeSet<TenantId>, StoreError> {
        let mut pipe = redis::pipe();
        pipe.smembers(keys::TENANTS).exists(keys::TENANTS_WHOLE);
        let (mut names, is_whole): (Vec<String>, bool) = self.ask_all(&pipe).await?;
        if !is_whole {
            names = self.scanned_tenants().await?.into_iter().collect();
            let mut pipe = redis::pipe();
            if !names.is_empty() {
                pipe.sadd(keys::TENANTS, &names).ignore();
            }
            pipe.set_ex(keys::TENANTS_WHOLE, 1, WHOLE_S).ignore();
            self.ask_all::<()>(&pipe).await?;
        }
        let unreadable = |error| corrupt(keys::TENANTS, error);
        let tenants = names.iter().map(|name| name.parse().map_err(unreadable));
        let tenants = tenants.collect::<Result<Vec<TenantId>, StoreError>>()?;
        if tenants.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut pipe = redis::pipe();
        for tenant in &tenants {
            pipe.exists(&[keys::endpoints(tenant), keys::tokens(tenant)]);
        }
        let things: Vec<u64> = self.ask_all(&pipe).await?;
        let tenants = tenants.into_iter().zip(things);
        Ok(tenants.filter(|(_, things)| *things > 0).map(|(tenant, _)| tenant).collect())
    }

    async fn scanned_tenants(&self) -> Result<BTreeSet<String>, StoreError> {
        let options =
            ScanOptions::default().with_pattern(keys::OF_TENANTS).with_count(SCANNED_TOGETHER);
        let mut connection = self.connection();
        let keys = connection.scan_options::<String>(options).await;
        let keys = keys.map_err(|error| store_error(&error))?.try_collect::<Vec<String>>().await;
        let keys = keys.map_err(|error| store_error(&error))?;
        Ok(keys.iter().filter_map(|key| keys::tenant_of(key)).map(str::to_owned).collect())
    }
}
