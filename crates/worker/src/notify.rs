//! Operational events: a tenant is told what happened to its endpoints and deliveries.
//!
//! They are delivered straight to those who asked for them by name, past the fan-out, which is for
//! what publishers send. They are published before their cause is settled where there is something
//! to settle, so that a crash repeats them; only what an attempt's count says comes after its record,
//! and can be lost by a crash right between the two.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{Delay, Delivery, EndpointId, Event, Occurrence, Published};
use hookfleet_queue::Outgoing;

use crate::Worker;
use crate::hold::GiveBack;

impl Worker {
    /// Tells those who asked for it, if there are any.
    pub(crate) async fn notify(&self, occurrence: Occurrence<'_>) -> Result<(), GiveBack> {
        let load = || self.endpoints.of(occurrence.tenant());
        let targets = self.remembered("looking up endpoints", load).await?;
        let concerned = targets.iter().filter(|target| occurrence.concerns(&target.endpoint));
        let ids: Vec<EndpointId> = concerned.map(|target| target.endpoint.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let event = match occurrence.event(self.clock.now()) {
            Ok(event) => Arc::new(event),
            Err(error) => {
                tracing::error!(%error, "an operational event could not be made");
                return Ok(());
            }
        };
        tracing::debug!("{} tells {} endpoints", event.event_type, ids.len());
        let remember = || self.store.remember_event(&event, Some(&ids));
        self.remembered("remembering an operational event", remember).await?;
        self.trace_occurrence(&event);
        for id in ids {
            let delivery = Delivery::first(Arc::clone(&event), id);
            let message = Outgoing::Delivery(&delivery, Delay::NONE);
            self.confirmed("publishing an operational event", || self.queue.publish(message))
                .await?;
        }
        Ok(())
    }
    /// It has no publisher but us.
    fn trace_occurrence(&self, event: &Event) {
        if let Some(place) = self.tracer.place(event) {
            let of = Published {
                tenant: &event.tenant,
                event_type: &event.event_type,
                id: &event.id,
                duplicate: None,
                outcome: "accepted",
                error: None,
            };
            self.tracer.keep(place.published(of, (event.accepted_at, Duration::ZERO)));
        }
    }
}
