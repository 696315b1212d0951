//! Rates as people write them: `50/s`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schema::{text, text_schema};

/// Deliveries per second, minute or hour. Invariant: at least one, at most a million per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: u32,
    per: Per,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
    Hour,
}

text_schema!(
    Rate,
    "So many deliveries per second, minute or hour, from 1 to 1000000.",
    text("^[1-9][0-9]{0,5}/[smh]$", 9),
    "50/s"
);

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rate {0:?} is invalid: expected a number from 1 to 1000000 and /s, /m or /h, such as 50/s"
)]
pub struct InvalidRate(String);

impl Rate {
    /// So many a second; more than a million are a million.
    pub const fn per_second(count: NonZeroU32) -> Self {
        let count = if count.get() > 1_000_000 { 1_000_000 } else { count.get() };
        Self { count, per: Per::Second }
    }

    /// The time between two deliveries at this rate.
    pub fn interval(self) -> Duration {
        self.window() / self.count
    }

    /// The time that the number is about.
    pub fn window(self) -> Duration {
        match self.per {
            Per::Second => Duration::from_secs(1),
            Per::Minute => Duration::from_mins(1),
            Per::Hour => Duration::from_hours(1),
        }
    }

    /// How many may come at once: the number itself.
    pub fn burst(self) -> u32 {
        self.count
    }

    /// When the n-th delivery is due at this rate, counted from zero.
    pub fn nth(self, n: u64) -> Duration {
        let nanos = self.interval().as_nanos().saturating_mul(u128::from(n));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Keeps to a rate: one window's worth may come at once, and no more in any window than twice that
/// (a token bucket, written as the one time at which it is full again).
#[derive(Debug, Clone, Copy, Default)]
pub struct Pacer {
    full_at: Duration,
}

impl Pacer {
    /// Takes one, and tells how many are left. `now` is the time since a moment that stays the same.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<u64, Duration> {
        let full_at = self.full_at.max(now) + rate.interval();
        let missing = full_at.saturating_sub(now);
        let Some(left) = rate.window().checked_sub(missing) else {
            return Err(missing.saturating_sub(rate.window()));
        };
        self.full_at = full_at;
        let left = left.as_nanos() / rate.interval().as_nanos().max(1);
        Ok(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate(crate::limits::cut(text, 40).to_owned());
        let (count, per) = text.split_once('/').ok_or_else(invalid)?;
        let count: u32 = count.parse().map_err(|_| invalid())?;
        let per = match per {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return Err(invalid()),
        };
        if (1..=1_000_000).contains(&count) { Ok(Self { count, per }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        write!(f, "{}/{per}", self.count)
    }
}

impl TryFrom<String> for Rate {
    type Error = InvalidRate;

    fn try_from(text: String) -> Result<Self, InvalidRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_evenly() {
        let rate: Rate = "4/s".parse().unwrap();
        let mut pacer = Pacer::default();
        let mut take = |after_ms| pacer.take(rate, Duration::from_millis(after_ms));
        assert_eq!([take(0), take(0), take(0), take(0)], [Ok(3), Ok(2), Ok(1), Ok(0)]);
        assert_eq!(take(0), Err(Duration::from_millis(250)));
        assert_eq!(take(249), Err(Duration::from_millis(1)));
        assert_eq!(take(250), Ok(0));
        assert_eq!(take(5_000), Ok(3), "no more than a window's worth is saved up");
    }

    #[test]
    fn rates() {
        let rate: Rate = "50/s".parse().unwrap();
        assert_eq!(rate.interval(), Duration::from_millis(20));
        assert_eq!(rate.nth(100), Duration::from_secs(2));
        assert_eq!(rate.to_string(), "50/s");
        for bad in ["", "0/s", "50", "50/d", "-1/s", "1000001/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
