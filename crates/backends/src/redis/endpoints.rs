//! Endpoints: one hash for each tenant, every write announced.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use hookfleet_domain::{
    AttemptRecord, Endpoint, EndpointHealth, EndpointId, TenantId, Timestamp, limits,
};
use hookfleet_store::{
    Changes, EndpointFilter, EndpointStore, Page, PageRequest, StoreError, Written, wire,
};
use redis::{AsyncCommands, Script};

use super::changes::RedisChanges;
use super::scripts::{ADD_ENDPOINT, REMOVE_ENDPOINT, REPLACE_ENDPOINT};
use super::{RedisStore, corrupt, keys, store_error};

/// Records in one round trip: ten thousand at once would be tens of MiB here, and hold up the store.
const TOGETHER: usize = 500;

impl RedisStore {
    pub(super) async fn write(
        &self,
        script: &Script,
        endpoint: &Endpoint,
        condition: u64,
    ) -> Result<Written, StoreError> {
        let record = wire::encode_endpoint(&self.sealer, endpoint)?;
        let key = keys::endpoints(&endpoint.tenant);
        let mut write = script.key(&key);
        write.arg(endpoint.id.as_str()).arg(record).arg(condition);
        write.arg(keys::CHANGES).arg(endpoint.tenant.as_str());
        let written = write.invoke_async(&mut self.connection()).await;
        let written: String = written.map_err(|error| store_error(&error))?;
        match written.as_str() {
            "yes" => Ok(Written::Yes),
            "full" => Ok(Written::Full),
            "missing" => Ok(Written::Missing),
            "conflict" => Ok(Written::Conflict),
            other => Err(corrupt(&key, format!("a script answered {other:?}"))),
        }
    }

    /// The ids of a tenant's endpoints, in order. A hash has none, and ids are a small part of it.
    async fn ids(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let ids = self.connection().hkeys(key).await;
        let mut ids: Vec<String> = ids.map_err(|error| store_error(&error))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// The records of these, without those that were removed meanwhile.
    async fn records(&self, key: &str, ids: &[String]) -> Result<Vec<Vec<u8>>, StoreError> {
        let records: Vec<Option<Vec<u8>>> = self.ask(redis::cmd("HMGET").arg(key).arg(ids)).await?;
        Ok(records.into_iter().flatten().collect())
    }

    async fn health(&self, id: &EndpointId) -> Result<EndpointHealth, StoreError> {
        let fields = self.connection().hgetall(keys::health(id)).await;
        let fields: HashMap<String, i64> = fields.map_err(|error| store_error(&error))?;
        let count = |name| fields.get(name).and_then(|n| u64::try_from(*n).ok()).unwrap_or(0);
        let time = |name| fields.get(name).copied().map(Timestamp::from_unix_ms);
        Ok(EndpointHealth {
            failure_count: count("failing"),
            successes: count("successes"),
            failures: count("failures"),
            last_success_at: time("success_at"),
            last_failure_at: time("failure_at"),
            breaker_open_until: time("open"),
            deferred: count("deferred"),
        })
    }
}

#[async_trait]
impl EndpointStore for RedisStore {
    async fn add_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError> {
        self.list_tenant(&endpoint.tenant).await?;
        self.write(&ADD_ENDPOINT, endpoint, limits::ENDPOINTS_PER_TENANT_MAX as u64).await
    }

    async fn replace_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError> {
        self.write(&REPLACE_ENDPOINT, endpoint, endpoint.revision).await
    }

    async fn remove_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<bool, StoreError> {
        let mut remove = REMOVE_ENDPOINT.key(keys::endpoints(tenant));
        remove.arg(id.as_str());
        remove.arg(keys::CHANGES).arg(tenant.as_str());
        let removed = remove.invoke_async(&mut self.connection()).await;
        let removed: bool = removed.map_err(|error| store_error(&error))?;
        // What is left behind by a crash in between expires.
        let what_it_did = [keys::health(id), keys::attempts(id)];
        self.ask::<()>(redis::cmd("DEL").arg(&what_it_did)).await?;
        Ok(removed)
    }

    async fn endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let key = keys::endpoints(tenant);
        let record = self.connection().hget(&key, id.as_str()).await;
        let record: Option<Vec<u8>> = record.map_err(|error| store_error(&error))?;
        record.map(|bytes| wire::decode_endpoint(&self.sealer, &key, &bytes)).transpose()
    }

    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<Arc<Endpoint>>, StoreError> {
        let key = keys::endpoints(tenant);
        let ids = self.ids(&key).await?;
        let mut endpoints = Vec::<Arc<Endpoint>>::with_capacity(ids.len());
        for some in ids.chunks(TOGETHER) {
            for record in self.records(&key, some).await? {
                let endpoint = wire::decode_endpoint(&self.sealer, &key, &record)?;
                endpoints.push(endpoint.sharing(endpoints.last()));
            }
        }
        Ok(endpoints)
    }

    async fn endpoint_page(
        &self,
        tenant: &TenantId,
        filter: &EndpointFilter,
        page: &PageRequest,
    ) -> Result<Page<Endpoint>, StoreError> {
        let key = keys::endpoints(tenant);
        let mut ids = self.ids(&key).await?;
        ids.retain(|id| page.cursor.as_ref().is_none_or(|cursor| id > cursor));
        let one_more = page.limit.saturating_add(1);
        let together = if filter.admits_all() { one_more } else { TOGETHER };
        let mut found = Vec::new();
        for some in ids.chunks(together) {
            for record in self.records(&key, some).await? {
                if filter.admits(&key, &record)? {
                    found.push(wire::decode_endpoint(&self.sealer, &key, &record)?);
                }
                if found.len() == one_more {
                    return Ok(page_of(found, page));
                }
            }
        }
        Ok(page_of(found, page))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let tenants = self.listed_tenants().await?;
        Ok(tenants.into_iter().collect())
    }

    async fn endpoint_health(&self, ids: &[EndpointId]) -> Result<Vec<EndpointHealth>, StoreError> {
        try_join_all(ids.iter().map(|id| self.health(id))).await
    }

    async fn attempts(
        &self,
        id: &EndpointId,
        limit: usize,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let key = keys::attempts(id);
        let last = isize::try_from(limit.min(limits::ATTEMPTS_KEPT_MAX)).unwrap_or(0) - 1;
        if last < 0 {
            return Ok(Vec::new());
        }
        let lines = self.connection().lrange(&key, 0, last).await;
        let lines: Vec<Vec<u8>> = lines.map_err(|error| store_error(&error))?;
        let read =
            |line: &Vec<u8>| serde_json::from_slice(line).map_err(|error| corrupt(&key, error));
        lines.iter().map(read).collect()
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        Ok(Box::new(RedisChanges::subscribe(self.client.clone()).await?))
    }
}

fn page_of(found: Vec<Endpoint>, page: &PageRequest) -> Page<Endpoint> {
    Page::of_found(found, page.limit, |endpoint| endpoint.id.to_string())
}
