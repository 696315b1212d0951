//! From an event to its deliveries.

use std::sync::Arc;

use futures_util::future::try_join;
use futures_util::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use hookfleet_domain::{Delay, Delivery, EndpointId, Event, Timestamp};
use hookfleet_queue::Outgoing;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::Instant;

use crate::Worker;
use crate::hold::GiveBack;

/// Delivery messages of all events that are being published at once: each holds its event's data.
pub const PUBLISHED_AT_ONCE: usize = 512;

impl Worker {
    /// An event that came back: whom it was for when it came first, it is for still. An endpoint may
    /// have been switched off or deleted since, and its delivery must not vanish with that.
    pub(crate) async fn fan_out_again(
        &self,
        event: Arc<Event>,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), GiveBack> {
        let ask = || self.store.event_status(&event.tenant, &event.id);
        let status = self.remembered("asking whom an event was for", ask).await?;
        let begun = status.map(|status| status.deliveries).unwrap_or_default();
        let begun = begun.into_iter().map(|delivery| delivery.endpoint).collect();
        self.fan_out(event, begun, slot).await
    }

    /// Makes the first attempt for every endpoint that wants the event, and for those whose
    /// deliveries had `begun`; for many endpoints, makes each delivery a message of its own.
    pub(crate) async fn fan_out(
        &self,
        event: Arc<Event>,
        begun: Vec<EndpointId>,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), GiveBack> {
        let start = self.tracer.is_on().then(|| (self.clock.now(), Instant::now()));
        let Ok(targets) = self.targets(&event.tenant).await? else {
            // Put off, the event would forget for whom it had begun.
            self.split(&event, begun).await?;
            return self.leave_event(&event).await;
        };
        let wanting = targets.wanting(&event).map(|target| target.endpoint.id.clone());
        let mut ids: Vec<EndpointId> = wanting.chain(begun).collect();
        ids.sort_unstable();
        ids.dedup();
        let endpoints = ids.len();
        let remembered = self.remember_targets(&event, &ids);
        if endpoints > self.options.fan_out_inline {
            remembered.await?;
            self.split(&event, ids).await?;
            self.trace_fan_out(&event, endpoints, start);
            return Ok(());
        }
        self.trace_fan_out(&event, endpoints, start);
        // The event's own slot serves its first delivery, the others wait for theirs: none holds
        // a slot while it waits for another.
        let mut first = Some(slot);
        let deliver = |id| {
            let (delivery, slot) = (Delivery::first(Arc::clone(&event), id), first.take());
            async move {
                let slot = match slot {
                    Some(slot) => slot,
                    None => self.slot().await?,
                };
                self.deliver(delivery, slot).await
            }
        };
        // Each is looked at when something happened to it, not whenever something did to one of them.
        let deliveries = ids.iter().cloned().map(deliver).collect::<FuturesUnordered<_>>();
        // At once: until it is acknowledged the event comes again, and what was not remembered of it then
        // has not begun.
        try_join(remembered, deliveries.try_collect()).await.map(|((), ())| ())
    }

    async fn remember_targets(&self, event: &Event, ids: &[EndpointId]) -> Result<(), GiveBack> {
        let remember = || self.store.remember_event(event, Some(ids));
        self.remembered("remembering an event", remember).await
    }

    async fn split(&self, event: &Arc<Event>, ids: Vec<EndpointId>) -> Result<(), GiveBack> {
        let mut published = FuturesUnordered::new();
        for id in ids {
            // The room first: what waits for it is an id, and not a message.
            let room = loop {
                tokio::select! {
                    biased;
                    Some(ended) = published.next() => ended?,
                    room = self.splitting.acquire() => break room.map_err(|_| GiveBack)?,
                }
            };
            published.push(self.split_off(event, id, room));
        }
        published.try_collect().await
    }

    async fn split_off(
        &self,
        event: &Arc<Event>,
        id: EndpointId,
        _room: SemaphorePermit<'_>,
    ) -> Result<(), GiveBack> {
        let delivery = Delivery::first(Arc::clone(event), id);
        let message = Outgoing::Delivery(&delivery, Delay::NONE);
        self.confirmed("splitting an event", || self.queue.publish(message)).await
    }

    fn trace_fan_out(&self, of: &Event, endpoints: usize, start: Option<(Timestamp, Instant)>) {
        if let (Some(place), Some((began, since))) = (self.tracer.place(of), start) {
            let took = since.elapsed();
            self.tracer.keep(place.fanned_out((of, endpoints), &self.id, (began, took)));
        }
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, GiveBack> {
        Arc::clone(&self.slots).acquire_owned().await.map_err(|_| GiveBack)
    }
}
