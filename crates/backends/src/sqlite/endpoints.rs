//! Endpoints, their health and their attempts.

use std::sync::Arc;

use async_trait::async_trait;
use hookfleet_domain::{AttemptRecord, Endpoint, EndpointHealth, EndpointId, TenantId, limits};
use hookfleet_store::{
    Changes, EndpointFilter, EndpointStore, Page, PageRequest, StoreError, Written, wire,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::changes::SqliteChanges;
use super::store::{SqliteStore, corrupt, time};
use super::writer::Sureness;

impl SqliteStore {
    /// Writes, and, unless nothing was changed, announces it once it is durable.
    async fn change<T: Copy + Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (changes, tenant) = (self.changes.clone(), tenant.clone());
        // An error means that nobody listens.
        let announce = move |_: &T| drop(changes.send(tenant));
        Ok(self.database.writer()?.write(Sureness::Promise, work, announce).await?)
    }

    /// What is kept under an id.
    fn opened(&self, (id, record): &(String, Vec<u8>)) -> Result<Endpoint, StoreError> {
        wire::decode_endpoint(&self.sealer, id, record)
    }
}

#[async_trait]
impl EndpointStore for SqliteStore {
    async fn add_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError> {
        let record = wire::encode_endpoint(&self.sealer, endpoint)?;
        let (tenant, id, revision) = key(endpoint);
        let add = move |db: &Connection| {
            // The same endpoint again is a repeated write, for which there is always room.
            let others = "SELECT count(*) FROM endpoints WHERE tenant = ?1 AND id <> ?2";
            let others = db.query_row(others, [&tenant, &id], |row| row.get::<_, usize>(0))?;
            if others >= limits::ENDPOINTS_PER_TENANT_MAX {
                return Ok(Written::Full);
            }
            let add = "INSERT OR REPLACE INTO endpoints VALUES (?1, ?2, ?3, ?4)";
            db.prepare_cached(add)?.execute(params![tenant, id, revision, record])?;
            Ok(Written::Yes)
        };
        self.change(&endpoint.tenant, add).await
    }

    async fn replace_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError> {
        let record = wire::encode_endpoint(&self.sealer, endpoint)?;
        let (tenant, id, revision) = key(endpoint);
        let replace = move |db: &Connection| {
            let now = "SELECT revision FROM endpoints WHERE tenant = ?1 AND id = ?2";
            let now = db.query_row(now, [&tenant, &id], |row| row.get::<_, i64>(0)).optional()?;
            match now {
                None => return Ok(Written::Missing),
                Some(now) if now != revision - 1 => return Ok(Written::Conflict),
                Some(_) => {}
            }
            let replace =
                "UPDATE endpoints SET revision = ?3, record = ?4 WHERE tenant = ?1 AND id = ?2";
            db.prepare_cached(replace)?.execute(params![tenant, id, revision, record])?;
            Ok(Written::Yes)
        };
        self.change(&endpoint.tenant, replace).await
    }

    async fn remove_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<bool, StoreError> {
        let (owner, id) = (tenant.as_str().to_owned(), id.as_str().to_owned());
        let successes = Arc::clone(&self.database.successes);
        let remove = move |db: &Connection| {
            // What is still gathered of it would be written after it is gone.
            successes.write(db)?;
            let removed =
                db.execute("DELETE FROM endpoints WHERE tenant = ?1 AND id = ?2", [&owner, &id])?;
            db.execute("DELETE FROM health WHERE endpoint = ?1", [&id])?;
            db.execute("DELETE FROM attempts WHERE endpoint = ?1", [&id])?;
            Ok(removed > 0)
        };
        self.change(tenant, remove).await
    }

    async fn endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let names = [tenant.as_str().to_owned(), id.as_str().to_owned()];
        let find = move |db: &Connection| {
            let find = "SELECT record FROM endpoints WHERE tenant = ?1 AND id = ?2";
            let found = db.prepare_cached(find)?.query_row(names, |row| row.get::<_, Vec<u8>>(0));
            found.optional()
        };
        let record = self.database.read(find).await?;
        let decode = |bytes: Vec<u8>| wire::decode_endpoint(&self.sealer, id.as_str(), &bytes);
        record.map(decode).transpose()
    }

    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<Arc<Endpoint>>, StoreError> {
        let owner = tenant.as_str().to_owned();
        let list = move |db: &Connection| {
            let list = "SELECT id, record FROM endpoints WHERE tenant = ?1 ORDER BY id";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let mut list = db.prepare_cached(list)?;
            list.query_map([owner], row)?.collect::<rusqlite::Result<Vec<(String, Vec<u8>)>>>()
        };
        let records = self.database.read(list).await?;
        let mut endpoints = Vec::<Arc<Endpoint>>::with_capacity(records.len());
        for record in &records {
            endpoints.push(self.opened(record)?.sharing(endpoints.last()));
        }
        Ok(endpoints)
    }

    async fn endpoint_page(
        &self,
        tenant: &TenantId,
        filter: &EndpointFilter,
        page: &PageRequest,
    ) -> Result<Page<Endpoint>, StoreError> {
        let (owner, filter, page_asked) = (tenant.clone(), filter.clone(), page.clone());
        let look = move |db: &Connection| look(db, &owner, &filter, &page_asked);
        let records = self.database.read(look).await??;
        let found = records.iter().map(|record| self.opened(record)).collect::<Result<_, _>>()?;
        Ok(Page::of_found(found, page.limit, |endpoint: &Endpoint| endpoint.id.to_string()))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let list = |db: &Connection| {
            let mut list = db.prepare(
                "SELECT tenant FROM endpoints UNION SELECT tenant FROM tokens ORDER BY tenant",
            )?;
            list.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let names = self.database.read(list).await?;
        let tenant = |name: &String| name.parse().map_err(|error| corrupt("endpoints", error));
        names.iter().map(tenant).collect()
    }

    async fn endpoint_health(&self, ids: &[EndpointId]) -> Result<Vec<EndpointHealth>, StoreError> {
        let ids = ids.to_vec();
        let read = move |db: &Connection| ids.iter().map(|id| health(db, id)).collect();
        self.database.catch_up().await?;
        Ok(self.database.read(read).await?)
    }

    async fn attempts(
        &self,
        id: &EndpointId,
        limit: usize,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let (endpoint, limit) = (id.as_str().to_owned(), limit.min(limits::ATTEMPTS_KEPT_MAX));
        let list = move |db: &Connection| {
            let list = "SELECT record FROM attempts WHERE endpoint = ?1 ORDER BY n DESC LIMIT ?2";
            let mut list = db.prepare_cached(list)?;
            let records = list.query_map(params![endpoint, limit], |row| row.get(0))?;
            records.collect::<rusqlite::Result<Vec<String>>>()
        };
        self.database.catch_up().await?;
        let records = self.database.read(list).await?;
        let decode = |record: &String| {
            serde_json::from_str(record).map_err(|error| corrupt(id.as_str(), error))
        };
        records.iter().map(decode).collect()
    }

    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError> {
        Ok(Box::new(SqliteChanges(self.changes.subscribe())))
    }
}

type Records = Vec<(String, Vec<u8>)>;

/// The records of a page's endpoints, and of one more, to see whether there is a next page; the inner
/// error: one cannot be read.
fn look(
    db: &Connection,
    tenant: &TenantId,
    filter: &EndpointFilter,
    page: &PageRequest,
) -> rusqlite::Result<Result<Records, StoreError>> {
    let list = "SELECT id, record FROM endpoints WHERE tenant = ?1 AND id > ?2 ORDER BY id";
    let mut list = db.prepare_cached(list)?;
    let mut rows = list.query([tenant.as_str(), page.cursor.as_deref().unwrap_or_default()])?;
    let mut found = Vec::new();
    while found.len() <= page.limit
        && let Some(row) = rows.next()?
    {
        // Most of those that do not match are only looked at where they lie.
        let (id, record) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
        match filter.admits(id, record) {
            Ok(true) => found.push((id.to_owned(), record.to_vec())),
            Ok(false) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(found))
}

fn key(endpoint: &Endpoint) -> (String, String, i64) {
    let revision = i64::try_from(endpoint.revision).unwrap_or(i64::MAX);
    (endpoint.tenant.as_str().to_owned(), endpoint.id.as_str().to_owned(), revision)
}

fn health(db: &Connection, id: &EndpointId) -> rusqlite::Result<EndpointHealth> {
    let read = "SELECT failing, successes, failures, success_ms, failure_ms, open_ms,
            deferred
        FROM health
        WHERE endpoint = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(EndpointHealth {
            failure_count: row.get(0)?,
            successes: row.get(1)?,
            failures: row.get(2)?,
            last_success_at: time(row.get(3)?),
            last_failure_at: time(row.get(4)?),
            breaker_open_until: time(row.get(5)?),
            deferred: row.get(6)?,
        })
    };
    let found = db.prepare_cached(read)?.query_row([id.as_str()], row).optional()?;
    Ok(found.unwrap_or_default())
}
