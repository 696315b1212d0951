//! When those who found no room come again: each at a time of its own, at the pace at which room is made.

use std::time::Duration;

use hookfleet_domain::Timestamp;

/// How far ahead a time is given at most, unless one turn alone takes longer.
const HORIZON: Duration = Duration::from_mins(10);
/// A new measurement counts for one part in so many.
const SMOOTHING: u32 = 8;
/// How long a turn takes, before that is known.
const TURN_AT_FIRST: Duration = Duration::from_secs(1);

/// How long turns take, and the time that was given last.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Smoothed.
    turn: Option<Duration>,
    last_given: Timestamp,
}

impl Default for Pace {
    fn default() -> Self {
        Self { turn: None, last_given: Timestamp::from_unix_ms(0) }
    }
}

impl Pace {
    /// A turn took so long.
    pub fn learn(&mut self, took: Duration) {
        let turn = self.turn.map_or(took, |turn| (turn * (SMOOTHING - 1) + took) / SMOOTHING);
        self.turn = Some(turn);
    }

    /// Do turns take longer than this?
    pub fn is_over(&self, time: Duration) -> bool {
        self.turn.is_some_and(|turn| turn > time)
    }

    /// A time after those that were given before, where so many turns are taken at once, and none of
    /// those under way has ended for so long: a turn that hangs says how long it takes only at its end.
    pub fn reserve(&mut self, width: u32, stuck: Duration, now: Timestamp) -> Timestamp {
        let interval = (self.turn.unwrap_or(TURN_AT_FIRST) / width.max(1)).max(stuck);
        let next = self.last_given.max(now).after(interval);
        // Past the horizon the times begin anew: whoever recovers is not left alone for long.
        self.last_given = if next > now.after(HORIZON) { now.after(interval) } else { next };
        self.last_given
    }
}
