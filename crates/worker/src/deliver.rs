//! One delivery: lane, gate, request, send, judge. Rare ways are boxed: each of many deliveries at
//! once has room for the usual way only.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    DeadLetterReason, Delay, Delivery, Settings, TenantId, Timestamp, judge, limits,
};
use hookfleet_queue::Outgoing;
use hookfleet_store::{Entry, Passage, WaitReason};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::sleep;
use tracing::Instrument;

use crate::Worker;
use crate::endpoints::Target;
use crate::hold::GiveBack;
use crate::lanes::{Crowded, Turn};
use crate::send::Attempted;
use crate::shares::{Held, Scarce};

/// Delays have whole seconds: less than one is waited for in the worker.
const DOZE_MAX: Duration = Duration::from_secs(1);

/// How long a delivery that finds no room may be told to wait at first: one delay queue.
const PUT_OFF_MIN: Duration = Duration::from_secs(16);

/// What a delivery has whose first attempt was leased when its event was begun.
pub struct Ready<'a> {
    pub target: &'a Target,
    pub turn: Turn,
    pub held: Held<'a>,
}

impl Worker {
    /// Makes the attempt that is due, unless the gate says otherwise, and settles what follows from
    /// it. What is `ready` has passed the gate.
    pub(crate) async fn deliver(
        &self,
        delivery: Delivery,
        ready: Option<Ready<'_>>,
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
        let delivered = match ready {
            Some(Ready { target, turn, held: _held }) => {
                self.attempt(&delivery, target, &turn).instrument(span).await
            }
            None => self.enter_lane(&delivery).instrument(span).await,
        };
        drop(slot);
        delivered
    }

    /// A delivery that the rate has a time for within the next second waits for it here.
    async fn enter_lane(&self, delivery: &Delivery) -> Result<(), GiveBack> {
        let Ok(targets) = self.targets(&delivery.event.tenant).await? else {
            self.metrics.deferred("newer");
            return self.defer(delivery, Delay::exactly(limits::NEWER_WAIT)).await;
        };
        let Some(target) = targets.get(&delivery.endpoint) else {
            return match self.pass_gate(delivery, None).await? {
                Gate::Open => {
                    Box::pin(self.give_up(delivery, DeadLetterReason::EndpointDeleted)).await
                }
                Gate::Closed => Ok(()),
                Gate::OpensSoon(wait, _) => self.defer(delivery, Delay::exactly(wait)).await,
            };
        };
        let event = Arc::clone(&delivery.event);
        let _held = match self.share(&event.tenant) {
            Ok(held) => held,
            Err(wait) => return self.put_off(delivery, "share", wait).await,
        };
        loop {
            let now = self.clock.now();
            let turn = match self.lanes.enter(&target.endpoint, now).await {
                Ok(turn) => turn,
                Err(until) => return self.put_off(delivery, "busy", until.since(now)).await,
            };
            match self.pass_gate(delivery, Some(target)).await? {
                Gate::Open if !target.endpoint.active => {
                    let inactive = DeadLetterReason::EndpointInactive;
                    return Box::pin(self.give_up(delivery, inactive)).await;
                }
                Gate::Open => return Box::pin(self.attempt(delivery, target, &turn)).await,
                Gate::Closed => return Ok(()),
                Gate::OpensSoon(wait, _dozing) => {
                    drop(turn);
                    sleep(wait).await;
                }
            }
        }
    }

    /// A place among those of a tenant, or how long to wait for one.
    pub(crate) fn share<'a>(&'a self, tenant: &'a TenantId) -> Result<Held<'a>, Duration> {
        let now = self.clock.now();
        let entered = self.shares.enter(tenant, Scarce(self.free_slots() == 0), now);
        entered.map_err(|until| until.since(now))
    }

    fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    async fn pass_gate(
        &self,
        delivery: &Delivery,
        target: Option<&Target>,
    ) -> Result<Gate<'_>, GiveBack> {
        let now = self.clock.now();
        let settings = target.map(|target| &target.endpoint.settings);
        let timeout = settings.map_or(limits::TIMEOUT_MIN, |settings| settings.timeout);
        let entry = Entry {
            event: delivery.event.id.clone(),
            endpoint: delivery.endpoint.clone(),
            generation: delivery.generation,
            attempt: delivery.attempt,
            owner: self.id.clone(),
            lease_until: now.after(timeout + limits::LEASE_MARGIN),
            rate: settings.and_then(|settings| settings.rate_limit),
            patient_until: settings.and_then(|settings| patient_until(delivery, settings)),
        };
        let passage = self.remembered("passing the gate", || self.store.enter(&entry, now)).await?;
        let (until, reason) = match passage {
            Passage::Go => return Ok(Gate::Open),
            Passage::Skip => {
                tracing::debug!("this attempt was settled before");
                return Ok(Gate::Closed);
            }
            Passage::Wait { until, reason } => (until, reason),
        };
        let wait = until.since(now);
        // Of a rate's time, whole seconds are spent in the queue, and the rest here.
        let delay = match reason {
            WaitReason::Rate if wait >= DOZE_MAX => Delay::at_most(wait),
            WaitReason::Rate | WaitReason::Leased | WaitReason::Breaker => Delay::exactly(wait),
        };
        if reason == WaitReason::Rate
            && wait < DOZE_MAX
            && let Ok(dozing) = self.dozers.try_acquire()
        {
            return Ok(Gate::OpensSoon(wait, dozing));
        }
        self.metrics.deferred(reason.label());
        self.defer(delivery, delay).await.map(|()| Gate::Closed)
    }

    /// Being deferred is not an attempt: the same one comes again.
    async fn defer(&self, delivery: &Delivery, delay: Delay) -> Result<(), GiveBack> {
        let message = Outgoing::Delivery(delivery, delay);
        self.confirmed("deferring a delivery", || self.queue.publish(message)).await
    }

    /// It found no room here, and comes again at the time that it was given, or, if that is sooner,
    /// when it has waited twice as long as until now: nobody stays away from an endpoint that has
    /// recovered for longer than it was slow.
    async fn put_off(
        &self,
        delivery: &Delivery,
        why: &'static str,
        wait: Duration,
    ) -> Result<(), GiveBack> {
        self.metrics.deferred(why);
        let waited = self.clock.now().since(delivery.event.accepted_at);
        let wait = wait.min(waited.max(PUT_OFF_MIN));
        self.defer(delivery, Delay::at_least(wait)).await
    }

    async fn attempt(
        &self,
        delivery: &Delivery,
        target: &Target,
        turn: &Turn,
    ) -> Result<(), GiveBack> {
        let _under_way = self.metrics.attempt_begins();
        let at = self.clock.now();
        let told = self.tracer.told(delivery);
        let event = told.as_deref().unwrap_or(&delivery.event);
        let made = self.sender.attempt(target, event, (delivery.attempt, at)).await;
        let Attempted { outcome, took, record } = match made {
            Ok(made) => made,
            Err(no_egress) => {
                tracing::error!("{no_egress}: deliveries are put off");
                self.metrics.deferred("egress");
                return self.defer(delivery, Delay::exactly(limits::EGRESS_WAIT)).await;
            }
        };
        let concurrency = usize::from(self.options.concurrency);
        turn.made(&outcome, Crowded(self.free_slots() < concurrency / 2));
        self.metrics.attempt_ended(&target.endpoint, &outcome, took);
        if let Some(place) = self.tracer.place(&delivery.event) {
            let of = (delivery, &*target.endpoint);
            self.tracer.keep(place.attempted(of, &outcome, (at, took)));
        }
        if outcome.disables() {
            Box::pin(self.disable(&target.endpoint)).await?;
        }
        let verdict = judge(&outcome, delivery.attempt, &target.endpoint.settings.retry);
        self.settle(delivery, &target.endpoint, &record, verdict).await
    }
}

/// What the gate said, and what was done about it.
enum Gate<'a> {
    Open,
    /// Nothing is left to do here.
    Closed,
    /// After this wait; held meanwhile, so that few wait here.
    OpensSoon(Duration, SemaphorePermit<'a>),
}

/// A delivery waits for a breaker as long as its schedule could last, and no longer: with few retries
/// it fails as soon as it would without one.
fn patient_until(delivery: &Delivery, settings: &Settings) -> Option<Timestamp> {
    let total = settings.retry.total();
    (!total.is_zero()).then(|| delivery.event.accepted_at.after(total))
}
