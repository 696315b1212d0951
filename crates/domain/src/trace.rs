//! Where an event and what follows from it stand in a distributed trace.
//!
//! Ids follow from what they name: whoever has an event knows the span of its publishing, and whoever
//! has a delivery knows those of its attempts, the next one as well as the one before. So a message
//! carries nothing but the publisher's own `traceparent`, and every process decides alike which
//! traces are recorded. What this does *not* do: send spans anywhere; that is for a [`Spans`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AttemptNumber, Delivery, Event, EventId, Span, TenantId};

/// Where spans are kept until they are sent. Without one, nothing is recorded and nothing is paid for.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Recording>>);

struct Recording {
    spans: Box<dyn Spans>,
    options: TraceOptions,
}

/// What is recorded, and who is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceOptions {
    /// How many of the traces that begin here. Of one that a publisher began, its flag says whether.
    pub ratio: TraceRatio,
    /// Does an endpoint get a `traceparent` that names the attempt, in place of the publisher's own?
    pub tell_endpoints: bool,
}

/// What takes spans.
pub trait Spans: Send + Sync {
    /// Takes one, or drops it: never blocks, and never fails.
    fn keep(&self, span: Span);
}

/// The place of one event in its trace, which is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: TraceId,
    /// The publisher's own span, if it told it.
    pub caller: Option<SpanId>,
    /// The event's publishing: what everything else happens under.
    pub publish: SpanId,
}

impl Tracer {
    /// One that records into `spans`.
    pub fn new(spans: impl Spans + 'static, options: TraceOptions) -> Self {
        Self(Some(Arc::new(Recording { spans: Box::new(spans), options })))
    }

    /// Is anything recorded at all?
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The place of an event, if it is recorded.
    pub fn place(&self, event: &Event) -> Option<Place> {
        self.place_of((&event.tenant, &event.id), event.trace.as_ref())
    }

    /// The place of an event that there may not be yet.
    pub fn place_of(
        &self,
        (tenant, event): (&TenantId, &EventId),
        caller: Option<&TraceParent>,
    ) -> Option<Place> {
        let ratio = self.0.as_ref()?.options.ratio;
        let publish = SpanId::of(&format!("publish/{event}"));
        let Some(caller) = caller else {
            let trace = TraceId::of(&format!("trace/{tenant}/{event}"));
            let place = Place { trace, caller: None, publish };
            return ratio.takes(trace).then_some(place);
        };
        let place = Place { trace: caller.trace(), caller: Some(caller.span()), publish };
        caller.is_sampled().then_some(place)
    }

    /// The event as an endpoint is sent it, where that differs: with the attempt's own `traceparent`.
    pub fn told(&self, delivery: &Delivery) -> Option<Box<Event>> {
        let options = self.0.as_ref()?.options;
        let place = self.place(&delivery.event).filter(|_| options.tell_endpoints)?;
        let trace = TraceParent::sampled(place.trace, place.attempt(delivery));
        Some(Box::new(Event { trace: Some(trace), ..delivery.event.as_ref().clone() }))
    }

    /// Takes a span in.
    pub fn keep(&self, span: Span) {
        if let Some(recording) = &self.0 {
            recording.spans.keep(span);
        }
    }
}

impl Place {
    /// The span of the attempt that is due.
    pub fn attempt(&self, due: &Delivery) -> SpanId {
        attempt(due, due.attempt)
    }

    /// The span of the attempt before that one.
    pub fn attempt_before(&self, due: &Delivery) -> Option<SpanId> {
        let before = due.attempt.get().checked_sub(1).filter(|n| *n > 0)?;
        Some(attempt(due, AttemptNumber::new(before)))
    }
}

fn attempt(of: &Delivery, n: AttemptNumber) -> SpanId {
    let (event, endpoint, generation) = (&of.event.id, &of.endpoint, of.generation.get());
    SpanId::of(&format!("attempt/{event}/{endpoint}/{generation}/{}", n.get()))
}

/// The id of a trace; written in 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// The one that is called so. Never zero: the version of a UUID stands in it.
    fn of(name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u128())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The id of a span; written in 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// The one that is called so. Never zero: the variant of a UUID stands in it.
    pub(crate) fn of(name: &str) -> Self {
        let (_, low) = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair();
        Self(low)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A share of all traces, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceRatio(f64);

/// A number that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trace ratio {0} is invalid: expected 0 to 1, such as 0.05")]
pub struct InvalidRatio(String);

impl TraceRatio {
    /// Every trace.
    pub const ALL: Self = Self(1.0);

    /// The same answer in every process, and of a larger share a yes to all that a smaller one takes.
    fn takes(self, trace: TraceId) -> bool {
        let randomness = u32::try_from(trace.0 & u128::from(u32::MAX)).unwrap_or(u32::MAX);
        f64::from(randomness) < self.0 * (f64::from(u32::MAX) + 1.0)
    }
}

impl TryFrom<f64> for TraceRatio {
    type Error = InvalidRatio;

    fn try_from(ratio: f64) -> Result<Self, InvalidRatio> {
        let valid = (0.0..=1.0).contains(&ratio);
        valid.then_some(Self(ratio)).ok_or_else(|| InvalidRatio(ratio.to_string()))
    }
}

impl FromStr for TraceRatio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, InvalidRatio> {
        let ratio = text.parse::<f64>();
        let invalid = |_| InvalidRatio(format!("{:?}", crate::limits::cut(text, 80)));
        Self::try_from(ratio.map_err(invalid)?)
    }
}

/// A `traceparent`, version 00, as [W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header)
/// writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(Arc<str>);

/// A text that is no `traceparent`. Receivers of one ignore it (W3C Trace Context, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("traceparent is invalid: expected 00-TRACE_ID-PARENT_ID-FLAGS in lower-case hex")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// That of a span that is recorded.
    fn sampled(trace: TraceId, span: SpanId) -> Self {
        Self(format!("00-{trace}-{span}-01").into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn trace(&self) -> TraceId {
        TraceId(u128::from_str_radix(self.part(3..35), 16).unwrap_or(0))
    }

    fn span(&self) -> SpanId {
        SpanId(u64::from_str_radix(self.part(36..52), 16).unwrap_or(0))
    }

    /// Is it recorded, by its writer's word?
    fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.part(53..55), 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// What was checked to be there, and to be hex.
    fn part(&self, digits: std::ops::Range<usize>) -> &str {
        self.0.get(digits).unwrap_or_default()
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let valid = match parts.as_slice() {
            ["00", trace, parent, flags] => {
                (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
                    && [trace, parent, flags].into_iter().all(|part| is_hex(part))
                    && [trace, parent].into_iter().all(|part| part.bytes().any(|b| b != b'0'))
            }
            _ => false,
        };
        if valid { Ok(Self(text.into())) } else { Err(InvalidTraceParent) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests;
