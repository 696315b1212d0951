//! What holds an endpoint's deliveries back: its breaker, and its rate.
//!
//! Whoever is held gets a time of its own, once: it does not ask again and again. Being held is not an
//! attempt. Backends that decide elsewhere (in a script) decide the same; the store's contract says so.

use std::time::Duration;

use crate::{Rate, Timestamp};

/// Consecutive failed attempts that open the breaker.
pub const BREAKER_OPENS_AFTER: u64 = 10;
/// How long it is open at first; each time that its probe fails, twice as long.
pub const BREAKER_OPEN_MIN: Duration = Duration::from_secs(30);
/// How long it is open at most.
pub const BREAKER_OPEN_MAX: Duration = Duration::from_mins(10);
/// What the first one, which tries whether the breaker can close, has before the others come.
pub const BREAKER_HEAD_START: Duration = Duration::from_secs(5);
/// The pace at which deliveries come that waited for it: 50 a second.
pub const BREAKER_STAGGER: Duration = Duration::from_millis(20);
/// How far ahead times are given; past that they begin anew.
pub const BREAKER_HORIZON: Duration = Duration::from_hours(1);

/// Where an endpoint's breaker and rate stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// The breaker opened; until then it is open, and after it somebody tries whether it can close.
    pub open_until: Option<Timestamp>,
    /// How often it opened since it was closed.
    pub openings: u32,
    /// Somebody is trying, until then at the latest.
    pub probe_until: Option<Timestamp>,
    /// The time that was given last to a delivery that waits for the breaker.
    pub slot: Option<Timestamp>,
    /// When the rate allows the next attempt, in µs since 1970.
    pub next_us: i64,
}

/// A delivery that wants to make an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Passing {
    /// The endpoint's rate.
    pub rate: Option<Rate>,
    /// The time that it was given by the rate before.
    pub reserved: Option<Timestamp>,
    /// It waits for the breaker until then, and not longer; none: not at all.
    pub patient_until: Option<Timestamp>,
    /// When its attempt will be over.
    pub lease_until: Timestamp,
}

/// Not now: come at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The breaker is open.
    Breaker(Timestamp),
    /// The rate has this time for it.
    Rate(Timestamp),
}

impl Throttle {
    /// Lets an attempt through, or gives it a time.
    ///
    /// # Errors
    /// When to come.
    pub fn pass(&mut self, passing: &Passing, now: Timestamp) -> Result<(), Held> {
        self.pass_breaker(passing, now).map_err(Held::Breaker)?;
        self.pass_rate(passing, now).map_err(Held::Rate)
    }

    fn pass_breaker(&mut self, passing: &Passing, now: Timestamp) -> Result<(), Timestamp> {
        let Some((open_until, patient_until)) = self.open_until.zip(passing.patient_until) else {
            return Ok(());
        };
        let over = open_until.max(self.probe_until.unwrap_or(open_until));
        if now >= over {
            self.probe_until = Some(passing.lease_until);
            return Ok(());
        }
        let step =
            passing.rate.map_or(BREAKER_STAGGER, |rate| rate.interval().max(BREAKER_STAGGER));
        let second = over.after(BREAKER_HEAD_START);
        let slot = match self.slot.filter(|slot| *slot >= over) {
            None => over,
            Some(last) if last.after(step) > over.after(BREAKER_HORIZON) => second,
            Some(last) => last.after(step).max(second),
        };
        if slot > patient_until {
            return Ok(());
        }
        self.slot = Some(slot);
        Err(slot)
    }

    fn pass_rate(&mut self, passing: &Passing, now: Timestamp) -> Result<(), Timestamp> {
        let Some(rate) = passing.rate else {
            return Ok(());
        };
        match passing.reserved {
            Some(reserved) if reserved > now => return Err(reserved),
            Some(_) => return Ok(()),
            None => {}
        }
        let now_us = now.unix_ms().saturating_mul(1000);
        let given_us = self.next_us.max(now_us);
        let interval_us = i64::try_from(rate.interval().as_micros()).unwrap_or(i64::MAX);
        self.next_us = given_us.saturating_add(interval_us);
        // In whole ms; never early.
        let given = Timestamp::from_unix_ms(given_us.saturating_add(999) / 1000);
        if given > now { Err(given) } else { Ok(()) }
    }

    /// An attempt succeeded: the breaker closes.
    pub fn succeeded(&mut self) {
        *self = Self { next_us: self.next_us, ..Self::default() };
    }

    /// An attempt failed, the so-many-th in a row.
    pub fn failed(&mut self, failure_count: u64, now: Timestamp) {
        let is_open = self.open_until.is_some_and(|until| until > now);
        if failure_count < BREAKER_OPENS_AFTER || is_open {
            return;
        }
        let doubled = BREAKER_OPEN_MIN.saturating_mul(1 << self.openings.min(10));
        self.open_until = Some(now.after(doubled.min(BREAKER_OPEN_MAX)));
        self.openings = self.openings.saturating_add(1);
        self.probe_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_ms(0).after(Duration::from_secs(seconds))
    }

    fn patient() -> Passing {
        let patient_until = Some(at(100_000));
        Passing { rate: None, reserved: None, patient_until, lease_until: at(1_000) }
    }

    #[test]
    fn the_breaker_opens_and_closes() {
        let mut throttle = Throttle::default();
        throttle.failed(9, at(0));
        assert_eq!(throttle.pass(&patient(), at(0)), Ok(()));
        throttle.failed(10, at(0));
        let given = |ms: u64| Err(Held::Breaker(at(30).after(Duration::from_millis(ms))));
        assert_eq!(throttle.pass(&patient(), at(1)), given(0), "this one will try");
        assert_eq!(throttle.pass(&patient(), at(2)), given(5_000), "the others come later");
        assert_eq!(throttle.pass(&patient(), at(2)), given(5_020), "at a time of their own");
        throttle.failed(11, at(3));
        assert_eq!(throttle.open_until, Some(at(30)), "one that was under way changes nothing");

        let probe = Passing { lease_until: at(60), ..patient() };
        assert_eq!(throttle.pass(&probe, at(30)), Ok(()), "one tries");
        let after_probe = at(60);
        assert_eq!(throttle.pass(&patient(), at(31)), Err(Held::Breaker(after_probe)));
        throttle.failed(12, at(32));
        assert_eq!(throttle.open_until, Some(at(92)), "twice as long");
        throttle.succeeded();
        assert_eq!(throttle.pass(&patient(), at(33)), Ok(()));
    }

    #[test]
    fn it_is_never_open_for_more_than_its_most() {
        let mut throttle = Throttle::default();
        let mut now = at(0);
        for _ in 0..40 {
            throttle.failed(10, now);
            now = throttle.open_until.unwrap();
        }
        assert_eq!(throttle.openings, 40);
        let before = now;
        throttle.failed(10, now);
        assert_eq!(throttle.open_until, Some(before.after(BREAKER_OPEN_MAX)));
    }

    #[test]
    fn who_has_no_time_to_wait_does_not_wait() {
        let mut throttle = Throttle::default();
        throttle.failed(10, at(0));
        for patient_until in [None, Some(at(29))] {
            let hurried = Passing { patient_until, ..patient() };
            assert_eq!(throttle.pass(&hurried, at(1)), Ok(()), "{patient_until:?}");
        }
    }

    #[test]
    fn the_rate_has_a_time_for_each() {
        let mut throttle = Throttle::default();
        let limited = Passing { rate: Some("2/s".parse().unwrap()), ..patient() };
        let half = |n: u64| at(5).after(Duration::from_millis(500 * n));
        assert_eq!(throttle.pass(&limited, at(5)), Ok(()));
        assert_eq!(throttle.pass(&limited, at(5)), Err(Held::Rate(half(1))));
        assert_eq!(throttle.pass(&limited, at(5)), Err(Held::Rate(half(2))));
        let early = Passing { reserved: Some(half(1)), ..limited };
        assert_eq!(throttle.pass(&early, at(5)), Err(Held::Rate(half(1))), "the same time again");
        assert_eq!(throttle.pass(&early, half(1)), Ok(()));
        assert_eq!(throttle.pass(&limited, half(1)), Err(Held::Rate(half(3))));
        assert_eq!(throttle.pass(&limited, at(60)), Ok(()), "nothing is saved up");
        assert_eq!(
            throttle.pass(&limited, at(60)),
            Err(Held::Rate(at(60).after(Duration::from_millis(500))))
        );
    }
}
