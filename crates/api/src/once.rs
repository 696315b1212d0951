//! Creating calls that are made twice create once: `Idempotency-Key`.
//!
//! In two phases, like events: the key is bound to an id before anything is created under it, and
//! confirmed afterwards. A caller who lost the answer in between gets the same id again.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::HeaderMap;
use hookfleet_domain::{EventId, IdempotencyKey, TenantId};
use hookfleet_store::Claim;
use sha2::{Digest, Sha256};

use crate::Api;
use crate::problem::Problem;

/// A creating call of a tenant.
pub struct Once<'a> {
    api: &'a Api,
    tenant: &'a TenantId,
    key: Option<IdempotencyKey>,
}

/// Under which id.
pub enum Turn<Id> {
    /// Create it.
    First(Id),
    /// It was created before.
    Again(Id),
}

impl<'a> Once<'a> {
    /// A call that creates something of this kind. Without the header, each call is a first one.
    pub fn of(
        api: &'a Api,
        (tenant, kind): (&'a TenantId, &str),
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let key = match idempotency_key(headers)? {
            Some(key) => Some(of_kind(kind, &key).map_err(Problem::unprocessable)?),
            None => None,
        };
        Ok(Self { api, tenant, key })
    }

    /// What does the key stand for? A new one for `candidate`.
    pub async fn turn<Id: FromStr + Display>(&self, candidate: Id) -> Result<Turn<Id>, Problem> {
        let Some(key) = &self.key else {
            return Ok(Turn::First(candidate));
        };
        let name: EventId = named(&candidate)?;
        Ok(match self.api.store.claim_key(self.tenant, key, &name).await? {
            Claim::Publish(name) => Turn::First(named(&name)?),
            Claim::Published(name) => Turn::Again(named(&name)?),
        })
    }

    /// It is created.
    pub async fn done(&self, id: &impl Display) -> Result<(), Problem> {
        if let Some(key) = &self.key {
            self.api.store.confirm_key(self.tenant, key, &named(id)?).await?;
        }
        Ok(())
    }
}

/// The header, if there is one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    text.parse().map(Some).map_err(Problem::unprocessable)
}

/// Keys of different kinds are different, and none is too long.
fn of_kind(
    kind: &str,
    key: &IdempotencyKey,
) -> Result<IdempotencyKey, <IdempotencyKey as FromStr>::Err> {
    format!("{kind}/{}", hex::encode(Sha256::digest(key.as_str()))).parse()
}

/// Ids of all kinds are words.
fn named<Id: FromStr>(id: &impl Display) -> Result<Id, Problem> {
    id.to_string().parse().map_err(|_| Problem::unavailable(format!("id {id} is invalid")))
}
