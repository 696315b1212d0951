//! Registered endpoints and what their attempts say of them.

use std::sync::Arc;

use async_trait::async_trait;
use hookfleet_domain::{
    AttemptRecord, DisabledReason, Endpoint, EndpointHealth, EndpointId, TenantId, Timestamp,
};

use crate::{EndpointFilter, Page, PageRequest, StoreError};

/// Tries at a change that others overtake.
const TRIES_MAX: u32 = 10;

/// What became of a write that must not overwrite somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Written.
    Yes,
    /// Somebody else's change came first: read again.
    Conflict,
    /// There is no such endpoint.
    Missing,
    /// The tenant has as many endpoints as it may have
    /// ([`hookfleet_domain::limits::ENDPOINTS_PER_TENANT_MAX`]).
    Full,
}

/// Registered endpoints.
#[async_trait]
pub trait EndpointStore: Send + Sync {
    /// Adds a new endpoint: [`Written::Yes`] or [`Written::Full`].
    async fn add_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError>;

    /// Replaces the endpoint whose revision is one below: [`Written::Yes`], [`Written::Conflict`] or
    /// [`Written::Missing`].
    async fn replace_endpoint(&self, endpoint: &Endpoint) -> Result<Written, StoreError>;

    /// Removes an endpoint with its health and its attempts; `false`: there was none.
    async fn remove_endpoint(&self, tenant: &TenantId, id: &EndpointId)
    -> Result<bool, StoreError>;

    /// One endpoint.
    async fn endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError>;

    /// Every endpoint of a tenant, in the order of their ids (which is that of their creation). Opens
    /// the secrets of all: for who delivers to them, and for exports. Each by itself, so that whoever
    /// keeps thousands of them need not move them all to another place.
    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<Arc<Endpoint>>, StoreError>;

    /// Those of a tenant that the filter admits, in the order of their ids, from the id after
    /// `page.cursor` on. Only the secrets of those on the page are opened.
    async fn endpoint_page(
        &self,
        tenant: &TenantId,
        filter: &EndpointFilter,
        page: &PageRequest,
    ) -> Result<Page<Endpoint>, StoreError>;

    /// Every tenant that has endpoints or tokens, in the order of their names. May take long: for exports.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;

    /// Switches an endpoint off, if it is there and on; `true`: it was. Announced like any change.
    async fn disable_endpoint(
        &self,
        tenant: &TenantId,
        id: &EndpointId,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES_MAX {
            let endpoint = self.endpoint(tenant, id).await?;
            let Some(mut endpoint) = endpoint.filter(|endpoint| endpoint.active) else {
                return Ok(false);
            };
            (endpoint.active, endpoint.disabled_reason) = (false, Some(reason));
            (endpoint.updated_at, endpoint.revision) = (now, endpoint.revision + 1);
            match self.replace_endpoint(&endpoint).await? {
                Written::Yes => return Ok(true),
                Written::Missing | Written::Full => return Ok(false),
                Written::Conflict => {}
            }
        }
        Err(StoreError::Unavailable(format!("endpoint {id} is changed by others all the time")))
    }

    /// What their attempts say of these endpoints, in the same order.
    async fn endpoint_health(&self, ids: &[EndpointId]) -> Result<Vec<EndpointHealth>, StoreError>;

    /// An endpoint's attempts, newest first, at most `limit` of them.
    async fn attempts(
        &self,
        id: &EndpointId,
        limit: usize,
    ) -> Result<Vec<AttemptRecord>, StoreError>;

    /// Listens to changes of endpoints from now on.
    async fn changes(&self) -> Result<Box<dyn Changes>, StoreError>;
}

/// A change that makes cached endpoints stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Endpoints of this tenant were written.
    Tenant(TenantId),
    /// Changes may have been missed: anything may be stale.
    Anything,
}

/// A subscription to changes.
#[async_trait]
pub trait Changes: Send {
    /// The next change, waiting for one as long as it takes. Connects again by itself, and then says
    /// [`Change::Anything`].
    ///
    /// Cancel-safe: a dropped call loses nothing.
    async fn next(&mut self) -> Change;
}
