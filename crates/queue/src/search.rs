//! Looking for past events: the newest first, a bounded part of the archive at a time.

use std::fmt;
use std::str::FromStr;

use hookfleet_domain::{Event, EventId, EventType, ProjectId, Subscription, TenantId, Timestamp};

/// Events that one search looks at, more or less: some tenths of a second.
pub const LOOKED_AT_MAX: usize = 20_000;
/// Bytes of them, where a backend can tell before it reads.
pub const LOOKED_AT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whose events.
    pub tenant: TenantId,
    /// Of these types; else of any.
    pub wanted: Option<Subscription>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// From here on, to the past; an earlier search told, or [`Position::at`] a time.
    pub before: Position,
    /// At most so many.
    pub limit: usize,
}

impl Search {
    /// Is it one of those?
    pub fn matches(&self, event: &Event) -> bool {
        event.tenant == self.tenant
            && self.since.is_none_or(|since| event.accepted_at >= since)
            && self.wanted.as_ref().is_none_or(|wanted| wanted.matches(&event.event_type))
    }
}

/// A place in the archive. It means something to the backend that told it, and to nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the event there was accepted.
    pub accepted_at: Timestamp,
    /// Which of several of that time.
    pub n: i64,
}

impl Position {
    /// Before everything that was accepted at this time or later.
    pub fn at(accepted_at: Timestamp) -> Self {
        Self { accepted_at, n: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.accepted_at.unix_ms(), self.n)
    }
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cursor is invalid: expected the `next_cursor` of a page")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (accepted_ms, n) = text.split_once('_').ok_or(InvalidPosition)?;
        if !is_number(accepted_ms) || accepted_ms.len() > 15 || !is_number(n) {
            return Err(InvalidPosition);
        }
        let accepted_ms = accepted_ms.parse().map_err(|_| InvalidPosition)?;
        let n = n.parse().map_err(|_| InvalidPosition)?;
        Ok(Self { accepted_at: Timestamp::from_unix_ms(accepted_ms), n })
    }
}

/// An event that was found, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// Its id.
    pub id: EventId,
    /// What it is about.
    pub event_type: EventType,
    /// The part of the tenant that it belongs to.
    pub project: Option<ProjectId>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// How long its data is.
    pub data_bytes: usize,
}

impl From<&Event> for FoundEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            project: event.project.clone(),
            timestamp: event.timestamp,
            accepted_at: event.accepted_at,
            data_bytes: event.data.get().len(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The newest first.
    pub events: Vec<FoundEvent>,
    /// Where to look on; none: there is nothing more. There may be some though nothing was found.
    pub next: Option<Position>,
}

impl Found {
    /// Nothing, and nowhere to look on.
    pub const NOTHING: Self = Self { events: Vec::new(), next: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let position = Position { accepted_at: Timestamp::from_unix_ms(1_700_000_000_123), n: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "_", "1", "1_", "_1", "-1_1", "1_-1", "1_99999999999999999999", "a_b"] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad}");
        }
    }
}
