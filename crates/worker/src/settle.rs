//! What follows from an attempt, in the one order that loses nothing: the next step is published
//! and confirmed, then the attempt is recorded, then (by the caller) the message is acknowledged.
//!
//! A crash before the record repeats the attempt. The two copies of the next attempt then carry the
//! same delivery, generation and number, and the gate lets one of them through.

use hookfleet_domain::{
    AttemptRecord, AttemptSummary, DeadLetter, DeadLetterReason, Delay, Delivery, DisabledReason,
    Endpoint, Occurrence, Remains, Verdict, is_operational,
};
use hookfleet_queue::Outgoing;
use hookfleet_store::{Recorded, Settlement, Stage};

use crate::Worker;
use crate::hold::GiveBack;

impl Worker {
    /// Settles an attempt.
    pub(crate) async fn settle(
        &self,
        delivery: &Delivery,
        endpoint: &Endpoint,
        record: &AttemptRecord,
        verdict: Verdict,
    ) -> Result<(), GiveBack> {
        let stage = self.follow(delivery, &record.summary, verdict).await?;
        let recorded = self.record(delivery, Some(record), stage).await?;
        if !recorded.first {
            return Ok(());
        }
        self.tallies.attempt((&delivery.event.tenant, &delivery.endpoint), record);
        if is_operational(&delivery.event.event_type) {
            return Ok(());
        }
        match Occurrence::of_count(endpoint, record.success, recorded.failure_count) {
            Some(occurrence) => Box::pin(self.notify(occurrence)).await,
            None => Ok(()),
        }
    }

    /// Makes the next step durable, and tells where the delivery stands then.
    async fn follow(
        &self,
        delivery: &Delivery,
        made: &AttemptSummary,
        verdict: Verdict,
    ) -> Result<Stage, GiveBack> {
        let why = made.error.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Delivered => {
                tracing::debug!("delivered in {} ms", made.duration_ms);
                self.metrics.delivered(self.clock.now().since(delivery.event.accepted_at));
                Ok(Stage::Delivered)
            }
            Verdict::RetryAfter(wait) => {
                let delay = Delay::jittered(wait, rand::random());
                tracing::info!("{why}: will be retried in {} s", delay.seconds());
                let next = delivery.clone().retried(made.clone());
                let message = Outgoing::Delivery(&next, delay);
                self.confirmed("scheduling a retry", || self.queue.publish(message)).await?;
                self.metrics.retry_scheduled();
                Ok(Stage::Retrying)
            }
            Verdict::DeadLetter(reason) => {
                tracing::warn!("{why}: given up as {}", reason.label());
                let letter = delivery.clone().with_history(made.clone());
                let letter = DeadLetter::of_delivery(letter, reason, self.clock.now());
                Box::pin(self.publish_dead_letter(&letter)).await?;
                Ok(Stage::Dead)
            }
        }
    }

    /// Gives a delivery up without an attempt.
    pub(crate) async fn give_up(
        &self,
        delivery: &Delivery,
        reason: DeadLetterReason,
    ) -> Result<(), GiveBack> {
        tracing::warn!(
            event.id = %delivery.event.id,
            endpoint.id = %delivery.endpoint,
            "given up without an attempt as {}",
            reason.label()
        );
        let letter = DeadLetter::of_delivery(delivery.clone(), reason, self.clock.now());
        self.publish_dead_letter(&letter).await?;
        self.record(delivery, None, Stage::Dead).await.map(|_| ())
    }

    /// Into the queue first, which is the truth, then into the store's view.
    pub(crate) async fn publish_dead_letter(&self, letter: &DeadLetter) -> Result<(), GiveBack> {
        let message = Outgoing::DeadLetter(letter);
        self.confirmed("publishing a dead letter", || self.queue.publish(message)).await?;
        if let Remains::Delivery(delivery) = &letter.remains
            && !is_operational(&delivery.event.event_type)
        {
            self.notify(Occurrence::Dead(letter, delivery)).await?;
        }
        let show = || self.store.show_dead_letter(letter);
        self.remembered("showing a dead letter", show).await?;
        self.metrics.dead_letter(letter.reason);
        self.tallies.dead_letter(letter.tenant());
        Ok(())
    }

    /// Switches an endpoint off, because it said so.
    pub(crate) async fn disable(&self, endpoint: &Endpoint) -> Result<(), GiveBack> {
        let Endpoint { tenant, id, .. } = endpoint;
        let (now, reason) = (self.clock.now(), DisabledReason::Gone);
        let disable = || self.store.disable_endpoint(tenant, id, reason, now);
        if self.remembered("disabling an endpoint", disable).await? {
            tracing::warn!("endpoint {id} wants nothing more and was disabled");
            self.notify(Occurrence::Disabled(endpoint, reason)).await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        delivery: &Delivery,
        attempt: Option<&AttemptRecord>,
        stage: Stage,
    ) -> Result<Recorded, GiveBack> {
        let settlement = Settlement {
            event: &delivery.event,
            endpoint: &delivery.endpoint,
            generation: delivery.generation,
            attempt,
            stage,
            now: self.clock.now(),
        };
        let record = || self.store.record(&settlement);
        self.remembered("recording an attempt", record).await
    }
}
