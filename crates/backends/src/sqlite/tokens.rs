//! API tokens.

use async_trait::async_trait;
use hookfleet_domain::{ApiToken, TenantId, Timestamp, TokenId, limits};
use hookfleet_store::{StoreError, TokenStore, Written, wire};
use rusqlite::{Connection, OptionalExtension, params};

use super::store::{SqliteStore, time};

fn decode(record: &str) -> Result<ApiToken, StoreError> {
    wire::decode_token("tokens", record.as_bytes())
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn add_token(&self, token: &ApiToken) -> Result<Written, StoreError> {
        let record = wire::encode_token(token)?;
        let token = token.clone();
        let add = move |db: &Connection| {
            let (tenant, id) = (token.tenant.as_str(), token.id.as_str());
            let others = "SELECT count(*) FROM tokens WHERE tenant = ?1 AND id <> ?2";
            let others = db.query_row(others, [tenant, id], |row| row.get::<_, usize>(0))?;
            if others >= limits::TOKENS_PER_TENANT_MAX {
                return Ok(Written::Full);
            }
            let add = "INSERT OR REPLACE INTO tokens VALUES (?1, ?2, ?3, ?4, NULL)";
            db.execute(add, params![tenant, id, token.digest, record])?;
            Ok(Written::Yes)
        };
        Ok(self.database.promise(add).await?)
    }

    async fn tokens(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ApiToken, Option<Timestamp>)>, StoreError> {
        let tenant = tenant.clone();
        let list = move |db: &Connection| {
            let list = "SELECT record, used_ms FROM tokens WHERE tenant = ?1 ORDER BY id";
            let mut list = db.prepare(list)?;
            let rows = list.query_map([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, Option<i64>)>>>()
        };
        let rows = self.database.read(list).await?;
        rows.iter().map(|(record, used_ms)| Ok((decode(record)?, time(*used_ms)))).collect()
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        let digest = digest.to_owned();
        let find = move |db: &Connection| {
            let find = "SELECT record FROM tokens WHERE digest = ?1";
            db.prepare_cached(find)?.query_row([digest], |row| row.get::<_, String>(0)).optional()
        };
        self.database.read(find).await?.map(|record| decode(&record)).transpose()
    }

    async fn remove_token(&self, tenant: &TenantId, id: &TokenId) -> Result<bool, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        let remove = move |db: &Connection| {
            let remove = "DELETE FROM tokens WHERE tenant = ?1 AND id = ?2";
            db.execute(remove, [tenant.as_str(), id.as_str()])
        };
        Ok(self.database.promise(remove).await? > 0)
    }

    async fn token_used(&self, token: &ApiToken, now: Timestamp) -> Result<(), StoreError> {
        let token = token.clone();
        let used = move |db: &Connection| {
            let used = "UPDATE tokens SET used_ms = ?3 WHERE tenant = ?1 AND id = ?2";
            db.execute(used, params![token.tenant.as_str(), token.id.as_str(), now.unix_ms()])
        };
        self.database.note(used).await?;
        Ok(())
    }
}
