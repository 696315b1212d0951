//! One message, from lease to settlement.

use std::sync::Arc;

use hookfleet_domain::{DeadLetter, DeadLetterId, DeadLetterReason, Draft, Remains};
use hookfleet_producer::PublishError;
use hookfleet_queue::{Lease, Message, QueueError, RawMessage};
use tokio::sync::OwnedSemaphorePermit;

use crate::Worker;
use crate::hold::GiveBack;

impl Worker {
    /// Handles a message with a slot of its own, and settles it. If that is not possible, dropping
    /// the lease gives the message back.
    pub(crate) async fn handle(self: Arc<Self>, lease: Lease, slot: OwnedSemaphorePermit) {
        self.metrics.leased(&lease);
        let Lease { message, redeliveries, receipt } = lease;
        let handled = tokio::select! {
            biased;
            () = self.abandon.cancelled() => Err(GiveBack),
            handled = self.handle_message(message, redeliveries, slot) => handled,
        };
        if handled.is_err() {
            return;
        }
        if let Err(error) = receipt.settle().await {
            tracing::debug!(%error, "a handled message was not acknowledged; it will be skipped");
        }
    }

    async fn handle_message(
        &self,
        message: Message,
        redeliveries: u32,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), GiveBack> {
        let poison = redeliveries > self.options.delivery_limit;
        match message {
            Message::Event(event) if poison => {
                let remains = Remains::Event(Arc::new(event));
                Box::pin(self.bury(DeadLetterReason::Poison, remains)).await
            }
            Message::Event(event) if redeliveries > 0 => {
                Box::pin(self.fan_out_again(Arc::new(event), slot)).await
            }
            Message::Event(event) => {
                self.tallies.event(&event.tenant);
                self.fan_out(Arc::new(event), None, slot).await
            }
            Message::Delivery(delivery) if poison => {
                Box::pin(self.give_up(&delivery, DeadLetterReason::Poison)).await
            }
            Message::Delivery(delivery) => self.deliver(delivery, None, slot).await,
            Message::Draft(draft) => Box::pin(self.take_in(draft)).await,
            Message::Newer(newer) => self.leave(&newer).await,
            Message::Malformed(raw) => {
                tracing::warn!(error = raw.error, "a message could not be read");
                let RawMessage { bytes, error, idempotency_key, trace } = raw;
                let remains = Remains::Raw { bytes, error, idempotency_key, trace };
                Box::pin(self.bury(DeadLetterReason::Malformed, remains)).await
            }
        }
    }

    /// A plain client's event gets its id: it is published once more, as an event of ours.
    async fn take_in(&self, draft: Draft) -> Result<(), GiveBack> {
        let publish = || async {
            let refused = match self.producer.publish(draft.clone()).await {
                Ok(_) => return Ok(()),
                Err(PublishError::Busy(why)) => QueueError::Blocked(why),
                Err(PublishError::Unavailable(why)) => QueueError::Unavailable(why),
                Err(PublishError::Refused(why)) => QueueError::Refused(why),
                Err(PublishError::Invalid(error)) => QueueError::Refused(error.to_string()),
            };
            Err(refused)
        };
        self.confirmed("taking in a plain client's event", publish).await
    }

    /// Puts something that was never a delivery among the dead letters.
    async fn bury(&self, reason: DeadLetterReason, remains: Remains) -> Result<(), GiveBack> {
        let now = self.clock.now();
        let id = DeadLetterId::generate(now);
        self.publish_dead_letter(&DeadLetter { id, reason, died_at: now, remains }).await
    }
}
