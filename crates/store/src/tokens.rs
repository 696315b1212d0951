//! API tokens, by what is stored of them.

use async_trait::async_trait;
use hookfleet_domain::{ApiToken, TenantId, Timestamp, TokenId};

use crate::{StoreError, Written};

/// API tokens of tenants.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Adds a token: [`Written::Yes`] or [`Written::Full`]
    /// ([`hookfleet_domain::limits::TOKENS_PER_TENANT_MAX`]).
    async fn add_token(&self, token: &ApiToken) -> Result<Written, StoreError>;

    /// A tenant's tokens, in the order of their ids (which is that of their creation), each with the
    /// time when it was last used.
    async fn tokens(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(ApiToken, Option<Timestamp>)>, StoreError>;

    /// The token with this digest.
    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError>;

    /// Removes a token; `false`: there was none.
    async fn remove_token(&self, tenant: &TenantId, id: &TokenId) -> Result<bool, StoreError>;

    /// A token was used.
    async fn token_used(&self, token: &ApiToken, now: Timestamp) -> Result<(), StoreError>;
}
