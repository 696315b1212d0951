//! The tenants that there are.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::TenantId;
use hookfleet_store as store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{Fields, Limit, Page};
use crate::problem::Problem;

/// A tenant is a name that something belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    id: TenantId,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantsQuery {
    /// At most so many; else all of them.
    limit: Option<Limit>,
    cursor: Option<TenantId>,
}

/// Every tenant that has endpoints or tokens
///
/// In the order of their names, for operators.
#[utoipa::path(
    get, path = "/tenants", operation_id = "list_tenants", tag = "tokens", params(TenantsQuery),
    responses((status = 200, description = "Their names.", body = Page<TenantView>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Fields(query): Fields<TenantsQuery>,
) -> Result<Answer<Page<TenantView>>, Problem> {
    let mut tenants = api.store.tenants().await?;
    tenants.retain(|tenant| query.cursor.as_ref().is_none_or(|cursor| tenant > cursor));
    let limit = query.limit.map_or(usize::MAX, Limit::get);
    let found = store::Page::of_found(tenants, limit, TenantId::to_string);
    let items = found.items.into_iter().map(|id| TenantView { id }).collect();
    Ok(Answer(Page { items, next_cursor: found.next_cursor }))
}
