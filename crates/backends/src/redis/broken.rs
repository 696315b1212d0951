//! Which breakers are not closed: a list beside the endpoints' own keys, for on a cluster nothing
//! else reaches them all. It is written when an attempt fails that opens a breaker or keeps it open;
//! what was closed since, or forgotten, is taken off it when it is read.

use futures_util::future::try_join_all;
use hookfleet_domain::{EndpointId, Timestamp};
use hookfleet_store::{StoreError, kept};
use redis::AsyncCommands;

use super::{RedisStore, corrupt, keys, millis, store_error};

/// Endpoints that are listed; those that failed last.
const LISTED_MAX: isize = 10_000;

impl RedisStore {
    /// Lists an endpoint whose breaker was open at `now`. The list is for people: what cannot be
    /// listed must not make an attempt that was recorded be recorded again.
    pub async fn list_broken(&self, id: &EndpointId, now: Timestamp) {
        let mut list = redis::pipe();
        list.zadd(keys::BROKEN, id.as_str(), now.unix_ms()).ignore();
        list.zremrangebyrank(keys::BROKEN, 0, -LISTED_MAX - 1).ignore();
        list.pexpire(keys::BROKEN, i64::try_from(millis(kept::HEALTH)).unwrap_or(i64::MAX))
            .ignore();
        if let Err(error) = self.ask_all::<()>(&list).await {
            tracing::debug!(%error, "endpoint {id} is not listed as broken");
        }
    }

    /// Those listed last, and until when each is open.
    pub async fn broken(&self, max: usize) -> Result<Vec<(EndpointId, Timestamp)>, StoreError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let last = isize::try_from(max).unwrap_or(isize::MAX) - 1;
        let listed = self.connection().zrevrange(keys::BROKEN, 0, last).await;
        let listed: Vec<String> = listed.map_err(|error| store_error(&error))?;
        let read = try_join_all(listed.iter().map(|id| self.open_until(id))).await?;
        let mut broken = Vec::new();
        let mut closed = Vec::new();
        for (id, open_until) in listed.into_iter().zip(read) {
            match open_until {
                Some(until) => {
                    let id = id.parse().map_err(|error| corrupt(keys::BROKEN, error))?;
                    broken.push((id, until));
                }
                None => closed.push(id),
            }
        }
        if !closed.is_empty() {
            let removed = self.connection().zrem::<_, _, ()>(keys::BROKEN, closed).await;
            removed.map_err(|error| store_error(&error))?;
        }
        Ok(broken)
    }

    async fn open_until(&self, id: &str) -> Result<Option<Timestamp>, StoreError> {
        let id: EndpointId = id.parse().map_err(|error| corrupt(keys::BROKEN, error))?;
        let open = self.connection().hget(keys::health(&id), "open").await;
        let open: Option<i64> = open.map_err(|error| store_error(&error))?;
        Ok(open.map(Timestamp::from_unix_ms))
    }
}
