//! What an endpoint missed, delivered again out of the archive.
//!
//! Missed is whatever it wants and was not delivered, and is not under way: dead letters, discarded
//! deliveries, and events from before it was registered or while it was switched off. What became of an
//! event is forgotten after a while; what is not known counts as missed, for a duplicate is better than
//! a gap.

use std::sync::Arc;

use hookfleet_domain::{Delay, Delivery, Endpoint, EndpointId, Event, Generation, Timestamp};
use hookfleet_queue::{Outgoing, QueueError};
use hookfleet_store::{Job, Progress, Stage};
use tokio::time::Instant;

use crate::Worker;
use crate::hold::GiveBack;
use crate::pass::given_back;

impl Worker {
    /// Goes through the archive from `since` on. Done again from the beginning, it does no harm: what
    /// was delivered meanwhile is not missed any more.
    pub(crate) async fn recover(
        &self,
        job: &mut Job,
        (id, since): (&EndpointId, Timestamp),
    ) -> Result<(), QueueError> {
        let gone = || QueueError::Refused(format!("there is no endpoint {id} any more"));
        let tenant = job.tenant.clone().ok_or_else(gone)?;
        let find = || self.store.endpoint(&tenant, id);
        let endpoint = self.remembered("looking up an endpoint", find).await.map_err(given_back)?;
        // Those of a time when it was switched off are wanted, too.
        let endpoint = Endpoint { active: true, ..endpoint.ok_or_else(gone)? };
        let mut archive = self.queue.archive_since(since).await?;
        let mut renewed = Instant::now();
        while let Some(event) = archive.next().await? {
            job.seen += 1;
            if event.accepted_at >= since && endpoint.wants(&event) {
                let missed = self.deliver_missed(Arc::new(event), id).await;
                job.done += u64::from(missed.map_err(given_back)?);
            }
            self.renew(job, &mut renewed).await?;
        }
        Ok(())
    }

    /// `false`: it was not missed.
    async fn deliver_missed(&self, event: Arc<Event>, to: &EndpointId) -> Result<bool, GiveBack> {
        let ask = || self.store.event_status(&event.tenant, &event.id);
        let status = self.remembered("looking up an event", ask).await?;
        let deliveries = status.map(|status| status.deliveries).unwrap_or_default();
        let known = deliveries.into_iter().find(|delivery| delivery.endpoint == *to);
        let Some(generation) = missed(known.as_ref()) else {
            return Ok(false);
        };
        let endpoint = to.clone();
        let ids = std::slice::from_ref(to);
        let remember = || self.store.remember_event(&event, Some(ids));
        self.remembered("remembering an event", remember).await?;
        let first = Delivery::first(Arc::clone(&event), endpoint);
        let delivery = Delivery { generation, ..first };
        let message = Outgoing::Delivery(&delivery, Delay::NONE);
        self.confirmed("delivering what was missed", || self.queue.publish(message)).await?;
        let reopen = || self.store.reopen(&event.id, to, generation);
        self.remembered("reopening a delivery", reopen).await?;
        Ok(true)
    }
}

/// The generation under which a delivery is begun anew; none: it need not be.
fn missed(known: Option<&Progress>) -> Option<Generation> {
    let Some(progress) = known else {
        return Some(Generation::FIRST);
    };
    match progress.stage {
        Stage::Dead | Stage::Discarded => Some(progress.generation.next()),
        Stage::Delivered | Stage::Pending | Stage::Retrying => None,
    }
}
