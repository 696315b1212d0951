//! Changes of endpoints, heard within the process.

use async_trait::async_trait;
use hookfleet_domain::TenantId;
use hookfleet_store::{Change, Changes};
use tokio::sync::broadcast::{self, error::RecvError};

/// A subscription.
pub struct SqliteChanges(pub broadcast::Receiver<TenantId>);

#[async_trait]
impl Changes for SqliteChanges {
    async fn next(&mut self) -> Change {
        match self.0.recv().await {
            Ok(tenant) => Change::Tenant(tenant),
            Err(RecvError::Lagged(_)) => Change::Anything,
            // The store is gone, and with it whatever could change.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
