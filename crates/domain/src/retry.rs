//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ArrayBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::duration::{DurationError, duration_text, parse_duration};
use crate::schema::{RETRY_WAIT, field};
use crate::{AttemptNumber, limits};

/// Waits between attempts, first to last. Invariant: at most [`limits::RETRIES_MAX`], each from one
/// second to [`limits::RETRY_WAIT_MAX`]. An empty schedule means one attempt and no retry. Kept in
/// milliseconds: thousands of endpoints are held at once, each with one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct RetrySchedule(Box<[u32]>);

impl PartialSchema for RetrySchedule {
    fn schema() -> RefOr<Schema> {
        let waits = ArrayBuilder::new().items(field(RETRY_WAIT, 7));
        let waits = waits.max_items(Some(limits::RETRIES_MAX)).examples([["5s", "5m"]]);
        waits.description(Some("Waits between attempts, each 1s to 3d; none: no retry.")).into()
    }
}

impl ToSchema for RetrySchedule {}

/// Waits that make no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// One of them is no duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// One of them is out of range.
    #[error("retry wait {} is out of range: expected 1s to {max}", duration_text(*.0),
        max = duration_text(limits::RETRY_WAIT_MAX))]
    Wait(Duration),
    /// Too many.
    #[error("{0} retries are too many: expected at most {max}", max = limits::RETRIES_MAX)]
    TooMany(usize),
}

impl RetrySchedule {
    /// Checks the waits.
    pub fn try_new(waits: Vec<Duration>) -> Result<Self, InvalidSchedule> {
        if waits.len() > limits::RETRIES_MAX {
            return Err(InvalidSchedule::TooMany(waits.len()));
        }
        let range = Duration::from_secs(1)..=limits::RETRY_WAIT_MAX;
        let millis = |wait: Duration| {
            let millis = u32::try_from(wait.as_millis()).ok().filter(|_| range.contains(&wait));
            millis.ok_or(InvalidSchedule::Wait(wait))
        };
        waits.into_iter().map(millis).collect::<Result<_, _>>().map(Self)
    }

    /// The wait after this attempt failed; `None`: it was the last one.
    pub fn wait_after(&self, failed: AttemptNumber) -> Option<Duration> {
        self.0.get(failed.index()).copied().map(duration)
    }

    /// All waits together.
    pub fn total(&self) -> Duration {
        self.0.iter().copied().map(duration).sum()
    }

    /// A preset of ours, in seconds.
    pub(crate) fn preset(waits_s: &[u32]) -> Self {
        Self(waits_s.iter().map(|wait_s| wait_s * 1000).collect())
    }
}

fn duration(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

impl TryFrom<Vec<String>> for RetrySchedule {
    type Error = InvalidSchedule;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidSchedule> {
        if texts.len() > limits::RETRIES_MAX {
            return Err(InvalidSchedule::TooMany(texts.len()));
        }
        let waits: Result<Vec<_>, _> = texts.iter().map(|text| parse_duration(text)).collect();
        Self::try_new(waits?)
    }
}

impl From<RetrySchedule> for Vec<String> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0.into_iter().map(|millis| duration_text(duration(millis))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_run_out() {
        let schedule = RetrySchedule::try_from(vec!["5s".to_owned(), "5m".to_owned()]).unwrap();
        let first = AttemptNumber::FIRST;
        assert_eq!(schedule.wait_after(first), Some(Duration::from_secs(5)));
        assert_eq!(schedule.wait_after(first.next()), Some(Duration::from_mins(5)));
        assert_eq!(schedule.wait_after(first.next().next()), None);
    }

    #[test]
    fn refused_with_the_range() {
        let error = RetrySchedule::try_from(vec!["73h".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "retry wait 73h is out of range: expected 1s to 3d");
        assert!(RetrySchedule::try_from(vec!["0s".to_owned()]).is_err());
        assert!(RetrySchedule::try_from(vec!["soon".to_owned()]).is_err());
        assert!(RetrySchedule::try_from(vec!["5s".to_owned(); 31]).is_err());
    }
}
