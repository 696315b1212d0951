//! Tenants and endpoints of a run, and their end.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::load::Load;
use super::{Bench, until};
use crate::failure::Failure;

/// How long the very first event may take.
const FIRST_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the server may take for what was accepted while nobody subscribed.
const CAUGHT_UP_WAIT_MAX: Duration = Duration::from_mins(10);
/// Endpoints that are made, or removed, at once.
const AT_ONCE: usize = 32;
const ALLOW: &str = "the receiver is on this machine: start the server with \
                     HOOKFLEET_ALLOW_HTTP=true and HOOKFLEET_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8";

impl Bench {
    /// Publishing to the tenant whose name has this suffix.
    pub fn load(&self, suffix: &str) -> Load {
        Load::new(Arc::clone(&self.client), self.path(suffix, "events"), self.arguments.body_bytes)
    }

    pub fn path(&self, suffix: &str, of: &str) -> String {
        format!("/v1/tenants/{}{suffix}/{of}", self.tenant)
    }

    /// The bench's own endpoint.
    pub async fn subscribe(&self) -> Result<(), Failure> {
        self.create("", [json!({"url": self.receiver.url(), "max_in_flight": 1000})]).await?;
        // A change takes effect within a second.
        sleep(Duration::from_secs(2)).await;
        self.warm_up(&self.load(""), 1).await
    }

    /// A first event tells whether the server may deliver to so many endpoints, and makes it look at
    /// them.
    pub async fn warm_up(&self, load: &Load, deliveries: u64) -> Result<(), Failure> {
        load.publish(1).await?;
        let first = until(deliveries, FIRST_WAIT_MAX, async || Ok(self.receiver.count())).await;
        first.map_err(|failure| Failure::failed(format!("{failure}; {ALLOW}")))?;
        self.receiver.forget();
        Ok(())
    }

    /// Makes endpoints of these fields.
    pub async fn create(
        &self,
        suffix: &str,
        endpoints: impl IntoIterator<Item = Value>,
    ) -> Result<(), Failure> {
        let path = self.path(suffix, "endpoints");
        let created = stream::iter(endpoints).map(|fields| self.create_one(&path, fields));
        created.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn create_one(&self, path: &str, fields: Value) -> Result<(), Failure> {
        let created = self.client.send(Method::POST, path, &fields).await.map_err(|failure| {
            // What is wrong with it can only be its URL.
            if failure.is_usage() {
                Failure::refused(format!("{failure}; {ALLOW}"))
            } else {
                failure
            }
        })?;
        let id = created.get("id").and_then(Value::as_str);
        let id = id.ok_or_else(|| Failure::failed("the endpoint got no id"))?;
        self.paths().push(format!("{path}/{id}"));
        Ok(())
    }

    fn paths(&self) -> MutexGuard<'_, Vec<String>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the endpoints of one tenant.
    pub async fn remove(&self, suffix: &str) -> Result<(), Failure> {
        let start = self.path(suffix, "endpoints/");
        let paths = self.paths().extract_if(.., |path| path.starts_with(&start)).collect();
        self.delete(paths).await
    }

    /// Removes all that are left, however the run ended.
    pub async fn remove_all(&self) -> Result<(), Failure> {
        let paths = std::mem::take(&mut *self.paths());
        self.delete(paths).await
    }

    async fn delete(&self, paths: Vec<String>) -> Result<(), Failure> {
        let deleted =
            stream::iter(paths).map(|path| async move { self.client.delete(&path).await });
        deleted.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Waits until an event that is published now arrives: all that were accepted before are gone.
    pub async fn caught_up(&self) -> Result<(), Failure> {
        self.load("").publish(1).await?;
        until(1, CAUGHT_UP_WAIT_MAX, async || Ok(self.receiver.count())).await?;
        self.receiver.forget();
        Ok(())
    }
}
