//! How long a message lies in the delay queues.

use std::time::Duration;

/// A wait in whole seconds that the binary delay queues can hold: less than 2^20 s (12 days).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(u32);

/// Each set bit of a delay is a queue that the message crosses. Four make every wait that people
/// write (5 s, 5 min, 30 min, 2 h) exact, which three do not.
const QUEUES_CROSSED_MAX: u32 = 4;

impl Delay {
    /// Delay levels: one queue per bit.
    pub const LEVELS: u8 = 20;
    /// No wait at all.
    pub const NONE: Self = Self(0);
    /// The longest wait, in seconds.
    const SECONDS_MAX: u32 = (1 << Self::LEVELS) - 1;

    /// `wait`, rounded up to the second. For waits whose pace matters more than their price: the
    /// message may cross up to 20 queues.
    pub fn exactly(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000);
        Self(u32::try_from(seconds).unwrap_or(u32::MAX).min(Self::SECONDS_MAX))
    }

    /// `wait`, rounded down to the second: none for less than one.
    pub fn at_most(wait: Duration) -> Self {
        Self(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).min(Self::SECONDS_MAX))
    }

    /// The shortest delay not below `wait` that crosses four queues at most: at most a fifteenth
    /// longer, and exact up to 30 s.
    pub fn at_least(wait: Duration) -> Self {
        let mut seconds = Self::exactly(wait).0;
        while seconds.count_ones() > QUEUES_CROSSED_MAX {
            // Adding the lowest set bit carries it upward: the next number with fewer bits.
            seconds += 1 << seconds.trailing_zeros();
        }
        Self(seconds.min(Self::SECONDS_MAX))
    }

    /// [`Self::at_least`] of `wait` plus a random part of up to a tenth of it, in whole seconds, so
    /// that deliveries which failed together do not come back together. `roll` is a random number
    /// of the whole range.
    pub fn jittered(wait: Duration, roll: u32) -> Self {
        let tenth_s = u32::try_from(wait.as_secs() / 10).unwrap_or(u32::MAX);
        let extra_s = (u64::from(roll) * (u64::from(tenth_s) + 1)) >> 32;
        Self::at_least(wait + Duration::from_secs(extra_s))
    }

    /// Whole seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl From<Delay> for Duration {
    fn from(delay: Delay) -> Self {
        Self::from_secs(delay.0.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(wait_s: u64, expected_s: u32) {
        assert_eq!(Delay::at_least(Duration::from_secs(wait_s)).seconds(), expected_s);
    }

    #[test]
    fn short_waits_are_exact_and_long_ones_cross_four_queues() {
        for exact in 0..=30 {
            check(exact.into(), exact);
        }
        check(31, 32);
        for exact in [60, 300, 600, 1_800, 3_600, 7_200] {
            check(exact.into(), exact);
        }
        check(18_000, 18_048);
        check(u64::MAX, Delay::SECONDS_MAX);
        assert_eq!(Delay::at_least(Duration::from_millis(1_001)).seconds(), 2);
    }

    proptest! {
        #[test]
        fn never_early_and_at_most_a_fifteenth_late(wait_s in 1_u32..900_000, roll: u32) {
            let wait = Duration::from_secs(wait_s.into());
            let plain = Delay::at_least(wait).seconds();
            prop_assert!(plain >= wait_s && plain <= wait_s + wait_s / 15 + 1);
            prop_assert!(plain.count_ones() <= QUEUES_CROSSED_MAX);
            let jittered = Delay::jittered(wait, roll).seconds();
            prop_assert!(jittered >= wait_s && jittered <= wait_s + wait_s / 5 + 1);
        }
    }
}
