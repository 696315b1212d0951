//! Times that were measured, and what is said of them.

use std::time::Duration;

use serde::Serialize;

/// Times in ms: of a hundred, the 50th, the 90th, the 99th, and the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    /// By nearest rank.
    pub fn of(samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// The first in terms of the second.
pub fn ratio(of: f64, to: f64) -> f64 {
    of / to.max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let samples: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let expected = Percentiles { p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 };
        assert_eq!(Percentiles::of(&samples), expected);
        assert_eq!(Percentiles::of(&[]), Percentiles::default());
    }
}
