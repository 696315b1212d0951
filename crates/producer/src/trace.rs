//! What is recorded of an event that is handed in.

use hookfleet_domain::{
    Draft, EventId, EventType, Published as Step, TenantId, Timestamp, TraceParent, Tracer,
};
use tokio::time::Instant;

use crate::{PublishError, Published, metrics};

/// An event that is being published.
pub struct Publishing {
    tenant: TenantId,
    event_type: EventType,
    caller: Option<TraceParent>,
    candidate: EventId,
    began: (Timestamp, Instant),
}

impl Publishing {
    /// `None`: nothing is recorded.
    pub fn begin(
        tracer: &Tracer,
        (draft, candidate): (&Draft, &EventId),
        now: Timestamp,
    ) -> Option<Box<Self>> {
        let publishing = || Self {
            tenant: draft.tenant.clone(),
            event_type: draft.event_type.clone(),
            caller: draft.trace.clone(),
            candidate: candidate.clone(),
            began: (now, Instant::now()),
        };
        tracer.is_on().then(|| Box::new(publishing()))
    }

    /// Records it.
    pub fn end(self, tracer: &Tracer, result: &Result<Published, PublishError>) {
        let Self { tenant, event_type, caller, candidate, began: (began, since) } = self;
        let id = result.as_ref().map_or(&candidate, |published| &published.id);
        let Some(place) = tracer.place_of((&tenant, id), caller.as_ref()) else {
            return;
        };
        let duplicate = result.as_ref().is_ok_and(|published| published.duplicate);
        let step = Step {
            tenant: &tenant,
            event_type: &event_type,
            id,
            duplicate: duplicate.then_some(&candidate),
            outcome: metrics::outcome(result),
            error: result.as_ref().err().map(ToString::to_string),
        };
        tracer.keep(place.published(step, (began, since.elapsed())));
    }
}
