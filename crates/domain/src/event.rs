//! What a publisher sent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{EventId, EventType, IdempotencyKey, ProjectId, TenantId, Timestamp, limits};

/// An accepted event. `data` is the publisher's JSON text, carried and never re-encoded.
#[derive(Debug, Clone)]
pub struct Event {
    /// Unique within the fleet; the same for every endpoint and every attempt.
    pub id: EventId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is about.
    pub event_type: EventType,
    /// The part of the tenant that it belongs to.
    pub project: Option<ProjectId>,
    /// When it happened, by the publisher's word; else when it was accepted.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The publisher's own name for it.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where in a distributed trace it belongs.
    pub trace: Option<TraceParent>,
    /// Any JSON value, as text.
    pub data: Arc<RawValue>,
}

/// An event as a publisher hands it in: not yet accepted, so without an id.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is about.
    pub event_type: EventType,
    /// The part of the tenant that it belongs to.
    pub project: Option<ProjectId>,
    /// When it happened; else when it is accepted.
    pub timestamp: Option<Timestamp>,
    /// The same key again is the same event.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where in a distributed trace it belongs.
    pub trace: Option<TraceParent>,
    /// Any JSON value, as text.
    pub data: Arc<RawValue>,
}

/// An event whose data is larger than [`limits::EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data has {bytes} bytes: expected at most {max}", max = limits::EVENT_BYTES_MAX)]
pub struct InvalidData {
    bytes: usize,
}

impl Draft {
    /// Checks the size of `data`.
    pub fn check(&self) -> Result<(), InvalidData> {
        let bytes = self.data.get().len();
        if bytes > limits::EVENT_BYTES_MAX { Err(InvalidData { bytes }) } else { Ok(()) }
    }

    /// The event that this becomes.
    pub fn accept(self, id: EventId, now: Timestamp) -> Event {
        Event {
            id,
            tenant: self.tenant,
            event_type: self.event_type,
            project: self.project,
            timestamp: self.timestamp.unwrap_or(now),
            accepted_at: now,
            idempotency_key: self.idempotency_key,
            trace: self.trace,
            data: self.data,
        }
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
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
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
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(text.parse::<TraceParent>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn trace_parents() {
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false);
        check("", false);
    }
}
