//! One delivery: lane, gate, request, send, judge.

use hookfleet_domain::{DeadLetterReason, Delay, Delivery, Timestamp, judge, limits};
use hookfleet_queue::Outgoing;
use hookfleet_store::{Entry, Passage};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use crate::Worker;
use crate::endpoints::Target;
use crate::hold::GiveBack;
use crate::send::Attempted;

impl Worker {
    /// Makes the attempt that is due, unless the gate says otherwise, and settles what follows from
    /// it.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), GiveBack> {
        let span = tracing::info_span!(
            "delivery",
            event.id = %delivery.event.id,
            endpoint.id = %delivery.endpoint,
            delivery.id = %format_args!("{}/{}", delivery.event.id, delivery.endpoint),
            delivery.generation = delivery.generation.get(),
            attempt.number = delivery.attempt.get(),
        );
        let delivered = self.enter_lane(delivery).instrument(span).await;
        drop(slot);
        delivered
    }

    async fn enter_lane(&self, delivery: Delivery) -> Result<(), GiveBack> {
        let load = || self.endpoints.of(&delivery.event.tenant);
        let targets = self.remembered("looking up an endpoint", load).await?;
        let Some(target) = targets.get(&delivery.endpoint) else {
            return self.pass_gate(delivery, None).await;
        };
        let now = self.clock.now();
        match self.lanes.enter(&target.endpoint, now).await {
            Ok(_turn) => self.pass_gate(delivery, Some(target)).await,
            Err(until) => {
                self.metrics.deferred("busy");
                self.defer(&delivery, until, now).await
            }
        }
    }

    async fn pass_gate(&self, delivery: Delivery, target: Option<&Target>) -> Result<(), GiveBack> {
        let now = self.clock.now();
        let timeout = target.map_or(limits::TIMEOUT_MIN, |target| target.endpoint.settings.timeout);
        let entry = [Entry {
            event: delivery.event.id.clone(),
            endpoint: delivery.endpoint.clone(),
            generation: delivery.generation,
            attempt: delivery.attempt,
            owner: self.id.clone(),
            lease_until: now.after(timeout + limits::LEASE_MARGIN),
        }];
        let passages =
            self.remembered("passing the gate", || self.store.enter(&entry, now)).await?;
        match passages.first() {
            Some(Passage::Go) => {}
            Some(Passage::Skip) | None => {
                tracing::debug!("this attempt was settled before");
                return Ok(());
            }
            Some(Passage::Wait { until, reason }) => {
                self.metrics.deferred(reason.label());
                return self.defer(&delivery, *until, now).await;
            }
        }
        match target {
            None => self.give_up(delivery, DeadLetterReason::EndpointDeleted).await,
            Some(target) if !target.endpoint.active => {
                self.give_up(delivery, DeadLetterReason::EndpointInactive).await
            }
            Some(target) => self.attempt(delivery, target).await,
        }
    }

    /// Being deferred is not an attempt: the same one comes again.
    async fn defer(
        &self,
        delivery: &Delivery,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), GiveBack> {
        let message = Outgoing::Delivery(delivery, Delay::exactly(until.since(now)));
        self.confirmed("deferring a delivery", || self.queue.publish(message)).await
    }

    async fn attempt(&self, delivery: Delivery, target: &Target) -> Result<(), GiveBack> {
        let _under_way = self.metrics.attempt_begins();
        let at = self.clock.now();
        let made = self.sender.attempt(target, &delivery.event, (delivery.attempt, at)).await;
        let Attempted { outcome, took, record } = made;
        self.metrics.attempt_ended(&outcome, took);
        if outcome.disables() {
            self.disable(&target.endpoint).await?;
        }
        let verdict = judge(&outcome, delivery.attempt, &target.endpoint.settings.retry);
        self.settle(delivery, &target.endpoint, record, verdict).await
    }
}
