//! One event for one endpoint, and its attempts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{EndpointId, Event, EventId, EventType, Timestamp, limits};

/// Which attempt of a delivery this is, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct AttemptNumber(u32);

impl AttemptNumber {
    /// The first one.
    pub const FIRST: Self = Self(1);

    /// The n-th one; nothing is before the first.
    pub fn new(n: u32) -> Self {
        Self(n.max(1))
    }

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Counted from one.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Counted from zero.
    pub fn index(self) -> usize {
        self.0.saturating_sub(1) as usize
    }
}

/// How often this delivery was begun anew: each replay and each resend is a generation, and only
/// the newest one is alive.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The publisher's own.
    pub const FIRST: Self = Self(0);

    /// The n-th one, counted from zero.
    pub fn new(n: u32) -> Self {
        Self(n)
    }

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Counted from zero.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// One event for one endpoint, and which attempt is due.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What is delivered.
    pub event: Arc<Event>,
    /// To whom.
    pub endpoint: EndpointId,
    /// How often it was begun anew.
    pub generation: Generation,
    /// The attempt that is due.
    pub attempt: AttemptNumber,
    /// The attempts that were made, oldest first; at most [`limits::HISTORY_MAX`].
    pub history: Vec<AttemptSummary>,
}

impl Delivery {
    /// The first attempt of a new delivery.
    pub fn first(event: Arc<Event>, endpoint: EndpointId) -> Self {
        Self {
            event,
            endpoint,
            generation: Generation::FIRST,
            attempt: AttemptNumber::FIRST,
            history: Vec::new(),
        }
    }

    /// The same delivery with its next attempt due, after `made` failed.
    #[must_use]
    pub fn retried(mut self, made: AttemptSummary) -> Self {
        self.attempt = self.attempt.next();
        self.with_history(made)
    }

    /// The same delivery, begun anew.
    #[must_use]
    pub fn replayed(self) -> Self {
        Self {
            generation: self.generation.next(),
            attempt: AttemptNumber::FIRST,
            history: Vec::new(),
            ..self
        }
    }

    /// The same delivery with one more attempt in its history.
    #[must_use]
    pub fn with_history(mut self, made: AttemptSummary) -> Self {
        if self.history.len() >= limits::HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(made);
        self
    }
}

/// What is remembered of an attempt for as long as its delivery is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptSummary {
    /// Which one it was.
    pub attempt: AttemptNumber,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in ms.
    pub duration_ms: u64,
    /// The answer's status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What went wrong, at most [`limits::ERROR_BYTES_MAX`]; none after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One line of an endpoint's attempt log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The event that was sent.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Did it succeed?
    pub success: bool,
    /// What it met.
    #[serde(flatten)]
    pub summary: AttemptSummary,
    /// The beginning of the answer's body, as text, at most
    /// [`limits::RESPONSE_KEPT_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(n: u32) -> AttemptSummary {
        AttemptSummary {
            attempt: AttemptNumber::new(n),
            at: Timestamp::from_unix_ms(0),
            duration_ms: 1,
            http_status: Some(500),
            error: None,
        }
    }

    fn delivery() -> Delivery {
        let now = Timestamp::from_unix_ms(0);
        let event = Event {
            id: EventId::generate(now),
            tenant: "acme".parse().unwrap(),
            event_type: "a.b".parse().unwrap(),
            project: None,
            timestamp: now,
            accepted_at: now,
            idempotency_key: None,
            trace: None,
            data: serde_json::value::RawValue::NULL.to_owned().into(),
        };
        Delivery::first(Arc::new(event), EndpointId::generate(now))
    }

    #[test]
    fn a_replay_begins_anew() {
        let replayed = delivery().retried(made(1)).replayed();
        assert_eq!(replayed.attempt, AttemptNumber::FIRST);
        assert_eq!(replayed.generation, Generation::FIRST.next());
        assert!(replayed.history.is_empty());
    }

    #[test]
    fn history_is_bounded() {
        let mut delivery = delivery();
        for n in 0..2 * limits::HISTORY_MAX {
            delivery = delivery.retried(made(u32::try_from(n).unwrap()));
        }
        assert_eq!(delivery.history.len(), limits::HISTORY_MAX);
    }
}
