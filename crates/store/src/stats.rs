//! Counts over time, for charts and for finding what goes wrong: what they say is about right.
//!
//! Nothing is written for a delivery. Workers gather in memory and add what they gathered every few
//! seconds; what a worker that was killed had gathered, or what the store did not take, is lost, and
//! nothing is counted twice.

use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{EndpointId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::StoreError;

/// What happened in some stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events that a worker took up for the first time.
    pub events: u64,
    /// Attempts that succeeded.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries, and messages, that were given up.
    pub dead_letters: u64,
    /// How long all attempts together took, in ms.
    pub duration_ms: u64,
}

impl Tally {
    /// How many numbers it is.
    pub const FIELDS: usize = 5;

    /// As numbers, in an order that stored records rely on.
    pub fn fields(&self) -> [u64; Self::FIELDS] {
        [self.events, self.delivered, self.failed, self.dead_letters, self.duration_ms]
    }

    /// What [`Self::fields`] told.
    pub fn of_fields(fields: [u64; Self::FIELDS]) -> Self {
        let [events, delivered, failed, dead_letters, duration_ms] = fields;
        Self { events, delivered, failed, dead_letters, duration_ms }
    }

    /// With what happened besides.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.dead_letters += other.dead_letters;
        self.duration_ms += other.duration_ms;
    }

    /// How long an attempt took, in ms; none: there was none.
    pub fn average_ms(&self) -> Option<u64> {
        self.duration_ms.checked_div(self.delivered + self.failed)
    }
}

/// How long one bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Kept for a day.
    #[default]
    Minute,
    /// Kept for 30 days.
    Hour,
}

impl Step {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// How long a bucket is, in ms.
    pub fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }

    /// How long a bucket is kept.
    pub fn kept(self) -> Duration {
        match self {
            Self::Minute => Duration::from_hours(24),
            Self::Hour => Duration::from_hours(30 * 24),
        }
    }

    /// When the bucket begins that `time` is in.
    pub fn begin(self, time: Timestamp) -> Timestamp {
        let unix_ms = time.unix_ms();
        Timestamp::from_unix_ms(unix_ms - unix_ms.rem_euclid(self.ms()))
    }
}

/// What happened in one minute, or in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// When it begins.
    pub at: Timestamp,
    /// What happened.
    pub tally: Tally,
}

/// What an endpoint's attempts were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointTally {
    /// All of them.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// How long all of them together took, in ms.
    pub duration_ms: u64,
}

impl EndpointTally {
    /// How long one took, in ms.
    pub fn average_ms(&self) -> u64 {
        self.duration_ms.checked_div(self.attempts).unwrap_or(0)
    }
}

/// What was counted of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointCount {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub endpoint: EndpointId,
    /// What its attempts were.
    pub tally: EndpointTally,
}

/// What is looked for among endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Worst {
    /// Those with the most failed attempts; those without any are left out.
    #[default]
    Failing,
    /// Those whose attempts took longest on average.
    Slowest,
}

impl Worst {
    /// What they are put in order by, greatest first.
    pub fn weight(self, tally: &EndpointTally) -> u64 {
        match self {
            Self::Failing => tally.failures,
            Self::Slowest => tally.average_ms(),
        }
    }

    /// The first `max` of them, in order.
    pub fn pick(self, mut counts: Vec<EndpointCount>, max: usize) -> Vec<EndpointCount> {
        counts.retain(|count| self.weight(&count.tally) > 0);
        counts.sort_by(|a, b| {
            let weights = self.weight(&b.tally).cmp(&self.weight(&a.tally));
            weights.then_with(|| a.endpoint.cmp(&b.endpoint))
        });
        counts.truncate(max);
        counts
    }
}

/// Endpoints are counted by the hour, and told of for this hour and the one before.
pub const ENDPOINTS_KEPT: Duration = Duration::from_hours(2);

/// Counts over time. All of them expire.
#[async_trait]
pub trait StatsStore: Send + Sync {
    /// Adds what was gathered lately to the minute and to the hour of `at`, for each tenant and, without
    /// a tenant, for the whole fleet. Whoever repeats it counts twice.
    async fn add_tallies(
        &self,
        at: Timestamp,
        tallies: &[(Option<TenantId>, Tally)],
    ) -> Result<(), StoreError>;

    /// The buckets that begin at `since` or later and before `until`, in their order. Those in which
    /// nothing happened are left out.
    async fn tallies(
        &self,
        tenant: Option<&TenantId>,
        step: Step,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Bucket>, StoreError>;

    /// Adds what was gathered of endpoints to the hour of `at`. Whoever repeats it counts twice.
    async fn add_endpoint_tallies(
        &self,
        at: Timestamp,
        counts: &[EndpointCount],
    ) -> Result<(), StoreError>;

    /// The worst endpoints of a tenant, or of the whole fleet, in the hour of `now` and the one
    /// before. Of the whole fleet some that are never among the worst of any minute may be missing.
    async fn worst_endpoints(
        &self,
        tenant: Option<&TenantId>,
        which: Worst,
        now: Timestamp,
        max: usize,
    ) -> Result<Vec<EndpointCount>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_what_its_fields_say() {
        let mut tally = Tally { delivered: 2, failed: 1, duration_ms: 30, ..Tally::default() };
        assert_eq!(Tally::of_fields(tally.fields()), tally);
        assert_eq!((tally.average_ms(), Tally::default().average_ms()), (Some(10), None));
        tally.add(&Tally { events: 1, dead_letters: 4, ..tally });
        assert_eq!(tally.fields(), [1, 4, 2, 4, 60]);
    }

    #[test]
    fn buckets_begin_on_the_minute_and_on_the_hour() {
        let time: Timestamp = "2026-02-19T14:32:59.999Z".parse().unwrap();
        assert_eq!(Step::Minute.begin(time).to_string(), "2026-02-19T14:32:00.000Z");
        assert_eq!(Step::Hour.begin(time).to_string(), "2026-02-19T14:00:00.000Z");
    }
}
