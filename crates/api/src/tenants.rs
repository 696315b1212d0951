//! The tenants that there are.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::extract::Page;
use crate::problem::Problem;

/// A tenant is a name that something belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    id: TenantId,
}

/// Every tenant that has endpoints or tokens
///
/// In the order of their names, all of them, so there is one page. For operators.
#[utoipa::path(
    get, path = "/tenants", operation_id = "list_tenants", tag = "tokens",
    responses((status = 200, description = "Their names.", body = Page<TenantView>))
)]
pub async fn list(State(api): State<Arc<Api>>) -> Result<Answer<Page<TenantView>>, Problem> {
    let tenants = api.store.tenants().await?;
    Ok(Page::whole(tenants.into_iter().map(|id| TenantView { id })))
}
