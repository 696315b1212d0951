//! Rates as people write them: `50/s`.

use std::fmt;
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
    /// The time between two deliveries at this rate.
    pub fn interval(self) -> Duration {
        let per = match self.per {
            Per::Second => Duration::from_secs(1),
            Per::Minute => Duration::from_mins(1),
            Per::Hour => Duration::from_hours(1),
        };
        per / self.count
    }

    /// When the n-th delivery is due at this rate, counted from zero.
    pub fn nth(self, n: u64) -> Duration {
        let nanos = self.interval().as_nanos().saturating_mul(u128::from(n));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
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
