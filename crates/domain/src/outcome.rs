//! What an attempt met, and what follows from it.

use std::time::Duration;

use crate::{AttemptNumber, DeadLetterReason, RetrySchedule, duration_text, limits};

/// What one attempt met. A receiver that says no is an outcome, not an error of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer came.
    Answered {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, where the answer had one that could be read.
        retry_after: Option<Duration>,
        /// `Webhook-Delivery`, likewise.
        wish: Option<Wish>,
    },
    /// No whole answer within the endpoint's time-out.
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// No connection, or it broke: what went wrong, as text.
    Unreachable(String),
    /// The address or the URL is one that this fleet does not send to: which and why.
    Forbidden(String),
}

/// What an endpoint may ask for by the header `Webhook-Delivery` of its answer, as proposed for
/// Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// `disable`: send it nothing more.
    Disable,
    /// `abort-message`: give up this delivery, and this one alone.
    Abort,
}

impl Wish {
    /// Reads the header; anything else is no wish.
    pub fn read(value: &str) -> Option<Self> {
        match value.trim() {
            "disable" => Some(Self::Disable),
            "abort-message" => Some(Self::Abort),
            _ => None,
        }
    }
}

/// What follows from an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Delivered,
    /// Try again after this wait.
    RetryAfter(Duration),
    /// Give up.
    DeadLetter(DeadLetterReason),
}

impl Outcome {
    /// Any 2xx is a success.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    /// Does the endpoint want nothing more? `410 Gone` says so, and so does its wish.
    pub fn disables(&self) -> bool {
        matches!(
            self,
            Self::Answered { status: 410, .. } | Self::Answered { wish: Some(Wish::Disable), .. }
        )
    }

    /// The answer's status, if there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::TimedOut { .. } | Self::Unreachable(_) | Self::Forbidden(_) => None,
        }
    }

    /// What went wrong, for the attempt log; none after a success.
    pub fn error(&self) -> Option<String> {
        let text = match self {
            Self::Answered { status: 200..=299, .. } => return None,
            Self::Answered { status, wish: Some(Wish::Abort), .. } => {
                format!("answered with status {status}, and asked to give this delivery up")
            }
            Self::Answered { status, .. } => format!("answered with status {status}"),
            Self::TimedOut { after } => format!("no answer within {}", duration_text(*after)),
            Self::Unreachable(why) => why.clone(),
            Self::Forbidden(why) => format!("refused to send: {why}"),
        };
        Some(limits::cut(&text, limits::ERROR_BYTES_MAX).to_owned())
    }

    /// A name for metrics, from a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Answered { status: 200..=299, .. } => "success",
            Self::Answered { .. } => "status",
            Self::TimedOut { .. } => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Forbidden(_) => "forbidden",
        }
    }
}

/// Decides what follows from the outcome of an attempt.
///
/// A failure from an endpoint that wants nothing more ends the delivery, and so does one with the
/// wish to give it up. `Retry-After` of a failed attempt
/// replaces the schedule's wait, from one second to [`limits::RETRY_AFTER_MAX`] (RFC 9110, 10.2.3);
/// it does not lengthen the schedule.
pub fn judge(outcome: &Outcome, attempt: AttemptNumber, schedule: &RetrySchedule) -> Verdict {
    let asked = match outcome {
        Outcome::Answered { status: 200..=299, .. } => return Verdict::Delivered,
        _ if outcome.disables() => return Verdict::DeadLetter(DeadLetterReason::Gone),
        Outcome::Answered { wish: Some(Wish::Abort), .. } => {
            return Verdict::DeadLetter(DeadLetterReason::Exhausted);
        }
        Outcome::Answered { retry_after, .. } => *retry_after,
        Outcome::TimedOut { .. } | Outcome::Unreachable(_) | Outcome::Forbidden(_) => None,
    };
    let Some(scheduled) = schedule.wait_after(attempt) else {
        return Verdict::DeadLetter(DeadLetterReason::Exhausted);
    };
    let bounds = (Duration::from_secs(1), limits::RETRY_AFTER_MAX);
    Verdict::RetryAfter(asked.map_or(scheduled, |wait| wait.clamp(bounds.0, bounds.1)))
}

/// Reads `Retry-After`: seconds or an HTTP date, as seen at `now`.
pub fn retry_after(value: &str, now: crate::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    let unix = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let date = crate::Timestamp::from_unix_ms(i64::try_from(unix.as_millis()).ok()?);
    Some(date.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::Verdict::{DeadLetter, Delivered, RetryAfter};

    #[track_caller]
    fn check(outcome: &Outcome, attempt: u32, expected: Verdict) {
        let schedule = RetrySchedule::preset(&[5, 60]);
        assert_eq!(judge(outcome, AttemptNumber::new(attempt), &schedule), expected);
    }

    fn status(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None, wish: None }
    }

    fn asking_for(seconds: u64) -> Outcome {
        let retry_after = Some(Duration::from_secs(seconds));
        Outcome::Answered { status: 503, retry_after, wish: None }
    }

    #[test]
    fn verdicts() {
        let wait = |seconds| RetryAfter(Duration::from_secs(seconds));
        check(&status(200), 1, Delivered);
        check(&status(299), 3, Delivered);
        check(&status(302), 1, wait(5));
        check(&status(404), 2, wait(60));
        check(&status(503), 3, DeadLetter(DeadLetterReason::Exhausted));
        check(&status(410), 1, DeadLetter(DeadLetterReason::Gone));
        check(&Outcome::TimedOut { after: Duration::from_secs(5) }, 1, wait(5));
        check(
            &Outcome::Unreachable("refused".to_owned()),
            9,
            DeadLetter(DeadLetterReason::Exhausted),
        );
        check(&Outcome::Forbidden("private".to_owned()), 1, wait(5));
        check(&asking_for(2), 1, wait(2));
        check(&asking_for(0), 1, wait(1));
        check(&asking_for(9_999_999), 1, RetryAfter(limits::RETRY_AFTER_MAX));
        check(&asking_for(2), 3, DeadLetter(DeadLetterReason::Exhausted));
    }

    #[test]
    fn wishes() {
        let wishing = |status, wish| {
            let wish = Wish::read(wish);
            Outcome::Answered { status, retry_after: Some(Duration::from_secs(9)), wish }
        };
        check(&wishing(500, "disable"), 1, DeadLetter(DeadLetterReason::Gone));
        check(&wishing(500, "abort-message"), 1, DeadLetter(DeadLetterReason::Exhausted));
        check(&wishing(200, "abort-message"), 1, Delivered);
        check(&wishing(204, "disable"), 1, Delivered);
        check(&wishing(500, "please"), 1, RetryAfter(Duration::from_secs(9)));
        assert!(wishing(204, " disable ").disables(), "though it took this one");
        assert!(!wishing(500, "abort-message").disables());
        assert!(status(410).disables());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        let read = |text| retry_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Wed, 21 Oct 2015 07:29:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
    }
}
