//! What a publisher sent.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::{
    EventId, EventType, IdempotencyKey, ProjectId, TenantId, Timestamp, TraceParent, limits,
};

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

/// An event whose data nobody should be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidData {
    /// Larger than [`limits::EVENT_BYTES_MAX`].
    #[error("data has {0} bytes: expected at most {max}", max = limits::EVENT_BYTES_MAX)]
    TooLarge(usize),
    /// Arrays and objects in each other, more than [`limits::JSON_DEPTH_MAX`]: parsers of receivers
    /// break on that.
    #[error("data is {0} levels deep: expected at most {max}", max = limits::JSON_DEPTH_MAX)]
    TooDeep(usize),
}

impl Draft {
    /// Checks the size and the depth of `data`.
    pub fn check(&self) -> Result<(), InvalidData> {
        let json = self.data.get();
        if json.len() > limits::EVENT_BYTES_MAX {
            return Err(InvalidData::TooLarge(json.len()));
        }
        match depth(json) {
            depth if depth > limits::JSON_DEPTH_MAX => Err(InvalidData::TooDeep(depth)),
            _ => Ok(()),
        }
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

/// How many arrays and objects of a JSON text lie in each other, at most.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Up to the quotation mark that ends a JSON string.
fn skip_text(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"[{"a":[1,[2]]},[]]"#, 4),
            (r#""[[[""#, 0),
            (r#"["\"[[", "\\", {}]"#, 2),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        let draft = |json: String| Draft {
            tenant: "acme".parse().unwrap(),
            event_type: "a.b".parse().unwrap(),
            project: None,
            timestamp: None,
            idempotency_key: None,
            trace: None,
            data: Arc::from(RawValue::from_string(json).unwrap()),
        };
        assert_eq!(draft(nested(limits::JSON_DEPTH_MAX)).check(), Ok(()));
        let levels = limits::JSON_DEPTH_MAX + 1;
        assert_eq!(draft(nested(levels)).check(), Err(InvalidData::TooDeep(levels)));
        let large = format!("\"{}\"", "x".repeat(limits::EVENT_BYTES_MAX));
        let bytes = limits::EVENT_BYTES_MAX + 2;
        assert_eq!(draft(large).check(), Err(InvalidData::TooLarge(bytes)));
    }
}
