//! How much waits.

use hookfleet_domain::Timestamp;

/// Where something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Events that no worker has taken yet.
    Events,
    /// Deliveries whose time has come.
    Deliveries,
    /// Deliveries whose time is to come: retries, and what was put off.
    Delayed,
    /// Dead letters.
    Dead,
}

impl QueueKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Events, Self::Deliveries, Self::Delayed, Self::Dead];

    /// A name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
            Self::Delayed => "delayed",
            Self::Dead => "dead",
        }
    }
}

/// How much waits in one place. What is in a worker's hands does not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Where.
    pub kind: QueueKind,
    /// How many messages.
    pub messages: u64,
    /// Who takes them: in a fleet, consumers of events or deliveries; else none can be counted.
    pub consumers: Option<u64>,
    /// Since when the first of them waits to be taken, where the backend can tell.
    pub oldest: Option<Timestamp>,
}
