//! API tokens: each a record of its tenant, and a key by which its digest leads there. A token is
//! good only while both are there.

use async_trait::async_trait;
use hookfleet_domain::{ApiToken, TenantId, Timestamp, TokenId, limits};
use hookfleet_store::{StoreError, TokenStore, Written, wire};
use redis::AsyncCommands;
use std::collections::HashMap;

use super::scripts::ADD_TOKEN;
use super::{RedisStore, corrupt, keys, store_error};

fn decode(record: &[u8]) -> Result<ApiToken, StoreError> {
    wire::decode_token("tokens", record)
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn add_token(&self, token: &ApiToken) -> Result<Written, StoreError> {
        self.list_tenant(&token.tenant).await?;
        let record = wire::encode_token(token)?;
        let mut add = ADD_TOKEN.key(keys::tokens(&token.tenant));
        add.arg(token.id.as_str()).arg(record).arg(limits::TOKENS_PER_TENANT_MAX);
        let added: bool =
            add.invoke_async(&mut self.connection()).await.map_err(|error| store_error(&error))?;
        if !added {
            return Ok(Written::Full);
        }
        let way = serde_json::to_string(&(&token.tenant, &token.id));
        let way = way.map_err(|error| corrupt("tokens", error))?;
        let set = self.connection().set::<_, _, ()>(keys::token(&token.digest), way).await;
        set.map(|()| Written::Yes).map_err(|error| store_error(&error))
    }

    async fn tokens(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ApiToken, Option<Timestamp>)>, StoreError> {
        let mut pipe = redis::pipe();
        pipe.hvals(keys::tokens(tenant)).hgetall(keys::tokens_used(tenant));
        let (records, used): (Vec<Vec<u8>>, HashMap<String, i64>) = self.ask_all(&pipe).await?;
        let read = |record: &Vec<u8>| {
            let token = decode(record)?;
            let used = used.get(token.id.as_str()).copied().map(Timestamp::from_unix_ms);
            Ok((token, used))
        };
        let mut tokens = records.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        tokens.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        Ok(tokens)
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        let way = self.connection().get(keys::token(digest)).await;
        let way: Option<Vec<u8>> = way.map_err(|error| store_error(&error))?;
        let Some(way) = way else {
            return Ok(None);
        };
        let (tenant, id): (TenantId, TokenId) =
            serde_json::from_slice(&way).map_err(|error| corrupt("tokens", error))?;
        let record = self.connection().hget(keys::tokens(&tenant), id.as_str()).await;
        let record: Option<Vec<u8>> = record.map_err(|error| store_error(&error))?;
        record.map(|record| decode(&record)).transpose()
    }

    async fn remove_token(&self, tenant: &TenantId, id: &TokenId) -> Result<bool, StoreError> {
        let key = keys::tokens(tenant);
        let record = self.connection().hget(&key, id.as_str()).await;
        let record: Option<Vec<u8>> = record.map_err(|error| store_error(&error))?;
        let Some(record) = record else {
            return Ok(false);
        };
        let mut pipe = redis::pipe();
        pipe.atomic().hdel(&key, id.as_str()).ignore();
        pipe.hdel(keys::tokens_used(tenant), id.as_str()).ignore();
        self.ask_all::<()>(&pipe).await?;
        let digest = match decode(&record) {
            Ok(token) => token.digest,
            // Without its record the token is no good; the way to it leads nowhere.
            Err(StoreError::Newer { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        let removed = self.connection().del(keys::token(&digest)).await;
        removed.map(|()| true).map_err(|error| store_error(&error))
    }

    async fn token_used(&self, token: &ApiToken, now: Timestamp) -> Result<(), StoreError> {
        let key = keys::tokens_used(&token.tenant);
        let used = self.connection().hset(key, token.id.as_str(), now.unix_ms()).await;
        used.map_err(|error| store_error(&error))
    }
}
