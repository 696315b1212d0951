//! From an event to its deliveries.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use hookfleet_domain::{Delay, Delivery, EndpointId, Event, Timestamp, limits};
use hookfleet_queue::Outgoing;
use hookfleet_store::{Beginning, Planned};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::Instant;

use crate::Worker;
use crate::deliver::Ready;
use crate::endpoints::Target;
use crate::hold::GiveBack;

/// Delivery messages of all events that are being published at once: each holds its event's data.
pub const PUBLISHED_AT_ONCE: usize = 512;

/// One slot in so many is all that an event gets at once: were it more, an event for many endpoints would
/// wait, and hold up those behind it, while slots that hang left few.
const SLOTS_SHARE: u16 = 16;

/// A delivery that an event becomes.
struct Plan<'a> {
    to: EndpointId,
    ready: Option<Ready<'a>>,
}

impl Plan<'_> {
    fn each(ids: Vec<EndpointId>) -> Vec<Self> {
        ids.into_iter().map(|to| Self { to, ready: None }).collect()
    }
}

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
        self.fan_out(event, Some(begun), slot).await
    }

    /// Makes the first attempt for every endpoint that wants the event, and, if it came before, for those
    /// whose deliveries had begun; for many endpoints, makes each delivery a message of its own.
    pub(crate) async fn fan_out(
        &self,
        event: Arc<Event>,
        begun: Option<Vec<EndpointId>>,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), GiveBack> {
        let start = self.tracer.is_on().then(|| (self.clock.now(), Instant::now()));
        let first = begun.is_none();
        let begun = begun.unwrap_or_default();
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
        if endpoints > self.options.fan_out_inline {
            self.begin(&event, &mut Plan::each(ids.clone())).await?;
            self.split(&event, ids).await?;
            self.trace_fan_out(&event, endpoints, start);
            return Ok(());
        }
        self.trace_fan_out(&event, endpoints, start);
        let mut slots = self.slots(slot, endpoints).await?;
        let mut plans = Plan::each(ids);
        if first {
            for plan in plans.iter_mut().take(slots.num_permits()) {
                plan.ready = self.ready(&event, targets.get(&plan.to));
            }
        }
        self.begin(&event, &mut plans).await?;
        let deliver = |Plan { to, ready }| {
            let (delivery, slot) = (Delivery::first(Arc::clone(&event), to), slots.split(1));
            async move {
                let slot = match slot {
                    Some(slot) => slot,
                    None => self.slot().await?,
                };
                self.deliver(delivery, ready, slot).await
            }
        };
        // Each is looked at when something happened to it, not whenever something did to one of them.
        let deliveries = plans.into_iter().map(deliver).collect::<FuturesUnordered<_>>();
        deliveries.try_collect().await
    }

    /// What a first attempt needs to be made at once, if its target needs nothing of the gate.
    fn ready<'a>(&'a self, event: &'a Event, target: Option<&'a Target>) -> Option<Ready<'a>> {
        let target = target?;
        if !target.endpoint.active || target.endpoint.settings.rate_limit.is_some() {
            return None;
        }
        let held = self.share(&event.tenant).ok()?;
        let turn = self.lanes.enter_if_well(&target.endpoint)?;
        Some(Ready { target, turn, held })
    }

    /// Remembers whom an event is for. Those that are ready may go, unless it was begun before: then all
    /// must pass the gate.
    async fn begin(&self, event: &Event, plans: &mut [Plan<'_>]) -> Result<(), GiveBack> {
        let timeouts = plans.iter().filter_map(|plan| plan.ready.as_ref());
        let timeouts = timeouts.map(|ready| ready.target.endpoint.settings.timeout);
        let (now, timeout) = (self.clock.now(), timeouts.max().unwrap_or_default());
        let planned = |Plan { to, ready }: &Plan<'_>| Planned {
            endpoint: to.clone(),
            ready: ready.is_some(),
        };
        let beginning = Beginning {
            event,
            deliveries: &plans.iter().map(planned).collect::<Vec<_>>(),
            owner: &self.id,
            lease_until: now.after(timeout + limits::LEASE_MARGIN),
        };
        let begin = || self.store.begin(&beginning, now);
        if !self.remembered("beginning with an event", begin).await? {
            for plan in plans {
                plan.ready = None;
            }
        }
        Ok(())
    }

    /// A slot for each of so many deliveries, or as many as one event gets at once. Who waits for others'
    /// holds none of its own meanwhile.
    async fn slots(
        &self,
        own: OwnedSemaphorePermit,
        deliveries: usize,
    ) -> Result<OwnedSemaphorePermit, GiveBack> {
        let share = self.options.concurrency / SLOTS_SHARE;
        let many = u16::try_from(deliveries).unwrap_or(u16::MAX).min(share);
        if many <= 1 {
            return Ok(own);
        }
        drop(own);
        Arc::clone(&self.slots).acquire_many_owned(many.into()).await.map_err(|_| GiveBack)
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
