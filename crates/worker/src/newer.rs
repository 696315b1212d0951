//! What a later version of this program wrote is left to a worker of that version: messages, and what
//! needs records that only it can read. Both go round by the delay queues meanwhile.

use std::sync::Arc;

use hookfleet_domain::{Delay, Event, TenantId, limits};
use hookfleet_queue::{NewerMessage, Outgoing, wire};
use hookfleet_store::StoreError;

use crate::Worker;
use crate::endpoints::Targets;
use crate::hold::GiveBack;

/// A later version wrote one of the records that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewerRecord;

impl Worker {
    /// A message of a later version.
    pub(crate) async fn leave(&self, newer: &NewerMessage) -> Result<(), GiveBack> {
        tracing::warn!("a message has version {}, and is left to a newer worker", newer.version);
        self.metrics.left_to_newer();
        self.put_off_newer(newer).await
    }

    /// A tenant's endpoints, unless one of them is a later version's.
    pub(crate) async fn targets(
        &self,
        tenant: &TenantId,
    ) -> Result<Result<Arc<Targets>, NewerRecord>, GiveBack> {
        let load = || async {
            match self.endpoints.of(tenant).await {
                Err(error @ StoreError::Newer { .. }) => {
                    tracing::warn!(%error, "what needs it is left to a newer worker");
                    self.metrics.left_to_newer();
                    Ok(Err(NewerRecord))
                }
                known => known.map(Ok),
            }
        };
        self.remembered("looking up endpoints", load).await
    }

    /// An event whose endpoints are not all known.
    pub(crate) async fn leave_event(&self, event: &Event) -> Result<(), GiveBack> {
        let envelope = wire::Envelope {
            idempotency_key: event.idempotency_key.clone(),
            trace: event.trace.clone(),
            accepted_at: event.accepted_at,
        };
        let bytes = wire::encode_event(event);
        self.put_off_newer(&NewerMessage { version: wire::VERSION, bytes, event: Some(envelope) })
            .await
    }

    async fn put_off_newer(&self, message: &NewerMessage) -> Result<(), GiveBack> {
        let message = Outgoing::Newer(message, Delay::exactly(limits::NEWER_WAIT));
        self.confirmed("putting off what is newer", || self.queue.publish(message)).await
    }
}
