//! Pauses between tries at something that is out of reach: the one place that knows the `backoff` crate, which is unmaintained
//! (RUSTSEC-2025-0012) and can be replaced here.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// Ever longer pauses, with jitter: from a fifth of a second to ten seconds, without end.
#[derive(Debug)]
pub struct Pauses(ExponentialBackoff);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl Pauses {
    /// Begins with the shortest pause.
    pub fn new() -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(200))
            .with_max_interval(PAUSE_MAX)
            .with_max_elapsed_time(None)
            .build();
        Self(backoff)
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(PAUSE_MAX)
    }

    /// Begins again with the shortest pause, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self::new()
    }
}
