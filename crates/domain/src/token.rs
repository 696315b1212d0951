//! API tokens of tenants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{TenantId, Timestamp, TokenId};

/// What a token may do with its tenant's things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everything.
    #[default]
    Full,
    /// Look at them.
    Read,
}

/// A token of one tenant. Its text is known to its holder alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Whose things it reaches.
    pub tenant: TenantId,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may do.
    pub access: Access,
    /// When it was made.
    pub created_at: Timestamp,
    /// SHA-256 of its text, in hex: all that is stored of it. The text is random and long, so that
    /// nobody can guess it by its digest.
    pub digest: String,
}
