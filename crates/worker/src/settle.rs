//! What follows from an attempt, in the one order that loses nothing: the next step is published
//! and confirmed, then the attempt is recorded, then (by the caller) the message is acknowledged.
//!
//! A crash before the record repeats the attempt. The two copies of the next attempt then carry the
//! same delivery, generation and number, and the gate lets one of them through.

use hookfleet_domain::{
    AttemptRecord, DeadLetter, DeadLetterReason, Delay, Delivery, DisabledReason, Verdict,
};
use hookfleet_queue::Outgoing;
use hookfleet_store::{Settlement, Stage};

use crate::Worker;
use crate::hold::GiveBack;

impl Worker {
    /// Settles an attempt.
    pub(crate) async fn settle(
        &self,
        delivery: Delivery,
        record: AttemptRecord,
        verdict: Verdict,
    ) -> Result<(), GiveBack> {
        let made = record.summary.clone();
        let why = made.error.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Delivered => {
                tracing::debug!("delivered in {} ms", made.duration_ms);
                self.metrics.delivered(self.clock.now().since(delivery.event.accepted_at));
                self.record(&delivery, Some(&record), Stage::Delivered).await
            }
            Verdict::RetryAfter(wait) => {
                let delay = Delay::jittered(wait, rand::random());
                tracing::info!("{why}: will be retried in {} s", delay.seconds());
                let next = delivery.clone().retried(made);
                let message = Outgoing::Delivery(&next, delay);
                self.confirmed("scheduling a retry", || self.queue.publish(message)).await?;
                self.metrics.retry_scheduled();
                self.record(&delivery, Some(&record), Stage::Retrying).await
            }
            Verdict::DeadLetter(reason) => {
                tracing::warn!("{why}: given up as {}", reason.label());
                let letter = delivery.clone().with_history(made);
                let letter = DeadLetter::of_delivery(letter, reason, self.clock.now());
                self.publish_dead_letter(&letter).await?;
                self.record(&delivery, Some(&record), Stage::Dead).await
            }
        }
    }

    /// Gives a delivery up without an attempt.
    pub(crate) async fn give_up(
        &self,
        delivery: Delivery,
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
        self.record(&delivery, None, Stage::Dead).await
    }

    /// Into the queue first, which is the truth, then into the store's view.
    pub(crate) async fn publish_dead_letter(&self, letter: &DeadLetter) -> Result<(), GiveBack> {
        let message = Outgoing::DeadLetter(letter);
        self.confirmed("publishing a dead letter", || self.queue.publish(message)).await?;
        let show = || self.store.show_dead_letter(letter);
        self.remembered("showing a dead letter", show).await?;
        self.metrics.dead_letter(letter.reason);
        Ok(())
    }

    /// Switches a delivery's endpoint off, because it said so.
    pub(crate) async fn disable(&self, delivery: &Delivery) -> Result<(), GiveBack> {
        let (tenant, endpoint) = (&delivery.event.tenant, &delivery.endpoint);
        let now = self.clock.now();
        let disable = || self.store.disable_endpoint(tenant, endpoint, DisabledReason::Gone, now);
        if self.remembered("disabling an endpoint", disable).await? {
            tracing::warn!("endpoint {endpoint} wants nothing more and was disabled");
        }
        Ok(())
    }

    async fn record(
        &self,
        delivery: &Delivery,
        attempt: Option<&AttemptRecord>,
        stage: Stage,
    ) -> Result<(), GiveBack> {
        let settlement = Settlement {
            event: &delivery.event,
            endpoint: &delivery.endpoint,
            generation: delivery.generation,
            attempt,
            stage,
            now: self.clock.now(),
        };
        let record = || self.store.record(&settlement);
        self.remembered("recording an attempt", record).await.map(|_| ())
    }
}
