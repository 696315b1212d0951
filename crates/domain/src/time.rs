//! Points in time, and where the present one comes from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use crate::schema::text_schema;

/// A point in time, to the millisecond, UTC. Written as RFC 3339: `2026-02-19T14:32:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

text_schema!(
    Timestamp,
    "A point in time (RFC 3339); answers have milliseconds, and UTC.",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
    "2026-02-19T14:32:00.000Z"
);

/// The year 0: before it RFC 3339 has no years.
const UNIX_MS_MIN: i64 = -62_167_219_200_000;
/// The latest moment that can be written in every time zone, in ms.
const UNIX_MS_MAX: i64 = 253_402_207_200_000;

impl Timestamp {
    /// Out of milliseconds since 1970; what cannot be written is moved to the nearest end.
    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        if unix_ms < UNIX_MS_MIN {
            return Self(UNIX_MS_MIN);
        }
        if unix_ms > UNIX_MS_MAX {
            return Self(UNIX_MS_MAX);
        }
        Self(unix_ms)
    }

    /// Milliseconds since 1970.
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn unix_s(self) -> i64 {
        self.0 / 1000
    }

    /// This moment, `wait` later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(UNIX_MS_MAX);
        Self::from_unix_ms(self.0.saturating_add(wait_ms))
    }

    /// This moment, `age` earlier.
    #[must_use]
    pub fn before(self, age: Duration) -> Self {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(UNIX_MS_MAX);
        Self::from_unix_ms(self.0.saturating_sub(age_ms))
    }

    /// The time from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

/// A text that is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "time {0:?} is invalid: expected RFC 3339 such as 2026-02-19T14:32:00Z, from the year 0 to 9999"
)]
pub struct InvalidTimestamp(String);

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let invalid = || InvalidTimestamp(crate::limits::cut(text, 80).to_owned());
        let time: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
        let unix_ms = time.as_millisecond();
        if (UNIX_MS_MIN..=UNIX_MS_MAX).contains(&unix_ms) {
            Ok(Self(unix_ms))
        } else {
            Err(invalid())
        }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

/// Where the present comes from. Only the program's outermost layer reads the wall clock; tests
/// hand in a closure.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_milliseconds_in_utc() {
        let time: Timestamp = "2026-02-19T15:32:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-02-19T14:32:00.000Z");
        assert_eq!(Timestamp::from_unix_ms(1_500).to_string(), "1970-01-01T00:00:01.500Z");
        assert_eq!(Timestamp::from_unix_ms(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
    }

    #[test]
    fn refused_with_the_text() {
        let error = "yesterday".parse::<Timestamp>().unwrap_err();
        assert!(error.to_string().contains("\"yesterday\""));
        assert!("-000001-01-01T00:00:00Z".parse::<Timestamp>().is_err());
        let first: Timestamp = "0000-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(first, Timestamp::from_unix_ms(i64::MIN));
        assert_eq!(first.to_string(), "0000-01-01T00:00:00.000Z");
    }
}
