//! Durations as people write them: `5s`, `10m`, `250ms`, `2h`, `7d`.

use std::time::Duration;

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "duration {0:?} is invalid: expected a whole number and a unit, ms, s, m, h or d, such as 5s"
)]
pub struct DurationError(String);

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `5s`, `10m`, `250ms`, `2h` or `7d`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError(crate::limits::cut(text, 40).to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
    number.checked_mul(*unit_ms).map(Duration::from_millis).ok_or_else(invalid)
}

/// Writes a duration, to the millisecond, in the largest unit that says it exactly.
pub fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let fits = |unit: &&(&str, u64)| millis.is_multiple_of(unit.1);
    let (name, unit_ms) = UNITS.iter().rev().find(fits).unwrap_or(&("ms", 1));
    format!("{}{name}", millis / unit_ms)
}

/// Durations in JSON and TOML.
pub(crate) mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::duration_text(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
        if let Some(duration) = expected {
            assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
    }

    #[test]
    fn durations() {
        check("5s", Some(Duration::from_secs(5)));
        check("250ms", Some(Duration::from_millis(250)));
        check("90m", Some(Duration::from_mins(90)));
        check("7d", Some(Duration::from_hours(168)));
        check("0s", Some(Duration::ZERO));
        for bad in ["", "5", "s", "-5s", "5 s", "1.5s", "5weeks", "99999999999999999999s"] {
            check(bad, None);
        }
        assert_eq!(duration_text(Duration::from_mins(90)), "90m");
    }
}
