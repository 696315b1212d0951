//! Counts over time.
//!
//! The buckets of an hour (or of a day) are one string of numbers, added to by `BITFIELD`: 1.2 KiB
//! for each hour of minutes, 1 KiB for each day of hours. What endpoints did is a hash for each tenant
//! and hour; of the whole fleet, those that were among the worst of a minute are listed besides.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use hookfleet_domain::{EndpointId, TenantId, Timestamp};
use hookfleet_store::{
    Bucket, ENDPOINTS_KEPT, EndpointCount, EndpointTally, StatsStore, Step, StoreError, Tally,
    Worst,
};
use redis::Pipeline;

use super::{RedisStore, corrupt, keys, millis};

/// Tenants, or endpoints, that are written in one round trip.
const TOGETHER: usize = 100;
/// The worst of what is added at once are listed for the whole fleet, and so many are listed.
const NOTED: usize = 50;
const LISTED_MAX: isize = 1000;

/// How the buckets of a step lie in strings.
struct Layout {
    name: char,
    /// Buckets of one string.
    buckets: i64,
    /// A number's type for `BITFIELD`, and its bytes.
    number: &'static str,
    bytes: usize,
}

fn layout(step: Step) -> Layout {
    match step {
        Step::Minute => Layout { name: 'm', buckets: 60, number: "u32", bytes: 4 },
        Step::Hour => Layout { name: 'h', buckets: 24, number: "i64", bytes: 8 },
    }
}

impl Layout {
    /// Which string, and which bucket of it.
    fn place(&self, step: Step, at: Timestamp) -> (i64, i64) {
        let bucket = at.unix_ms().div_euclid(step.ms());
        (bucket.div_euclid(self.buckets), bucket.rem_euclid(self.buckets))
    }

    fn key(&self, tenant: Option<&TenantId>, string: i64) -> String {
        keys::tallies(tenant, self.name, string)
    }

    fn add(&self, pipe: &mut Pipeline, key: &str, bucket: i64, tally: &Tally) {
        pipe.cmd("BITFIELD").arg(key).arg("OVERFLOW").arg("SAT");
        let first = bucket * i64::try_from(Tally::FIELDS).unwrap_or(0);
        for (n, count) in (first..).zip(tally.fields()).filter(|(_, count)| *count > 0) {
            pipe.arg("INCRBY").arg(self.number).arg(format!("#{n}"));
            pipe.arg(i64::try_from(count).unwrap_or(i64::MAX));
        }
        pipe.ignore();
    }

    /// The buckets of a string that is shorter where nothing happened at its end.
    fn read(&self, bytes: &[u8]) -> Vec<Tally> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let numbers: Vec<u64> = bytes.chunks(self.bytes).map(number).collect();
        let tally = |fields: &[u64]| {
            let mut all = [0; Tally::FIELDS];
            all.iter_mut().zip(fields).for_each(|(field, count)| *field = *count);
            Tally::of_fields(all)
        };
        numbers.chunks(Tally::FIELDS).map(tally).collect()
    }
}

#[async_trait]
impl StatsStore for RedisStore {
    async fn add_tallies(
        &self,
        at: Timestamp,
        tallies: &[(Option<TenantId>, Tally)],
    ) -> Result<(), StoreError> {
        for some in tallies.chunks(TOGETHER) {
            let mut pipe = redis::pipe();
            for ((tenant, tally), step) in
                some.iter().flat_map(|told| Step::ALL.map(|step| (told, step)))
            {
                let layout = layout(step);
                let (string, bucket) = layout.place(step, at);
                let key = layout.key(tenant.as_ref(), string);
                layout.add(&mut pipe, &key, bucket, tally);
                pipe.cmd("PEXPIRE").arg(key).arg(millis(step.kept())).ignore();
            }
            self.ask_all::<()>(&pipe).await?;
        }
        Ok(())
    }

    async fn tallies(
        &self,
        tenant: Option<&TenantId>,
        step: Step,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Bucket>, StoreError> {
        if until <= since {
            return Ok(Vec::new());
        }
        let layout = layout(step);
        let strings = layout.place(step, since).0..=layout.place(step, until).0;
        let mut pipe = redis::pipe();
        for string in strings.clone() {
            pipe.get(layout.key(tenant, string));
        }
        let read: Vec<Option<Vec<u8>>> = self.ask_all(&pipe).await?;
        let mut buckets = Vec::new();
        for (string, bytes) in strings.zip(read) {
            let first = string * layout.buckets;
            for (n, tally) in (first..).zip(layout.read(&bytes.unwrap_or_default())) {
                let at = Timestamp::from_unix_ms(n * step.ms());
                if tally != Tally::default() && at >= since && at < until {
                    buckets.push(Bucket { at, tally });
                }
            }
        }
        Ok(buckets)
    }

    async fn add_endpoint_tallies(
        &self,
        at: Timestamp,
        counts: &[EndpointCount],
    ) -> Result<(), StoreError> {
        let hour = hour(at);
        for some in counts.chunks(TOGETHER) {
            let mut pipe = redis::pipe();
            for EndpointCount { tenant, endpoint, tally } in some {
                let key = keys::endpoint_tallies(tenant, hour);
                let EndpointTally { attempts, failures, duration_ms } = *tally;
                let fields = [('n', attempts), ('f', failures), ('t', duration_ms)];
                for (name, count) in fields.into_iter().filter(|(_, count)| *count > 0) {
                    pipe.hincr(&key, format!("{endpoint}:{name}"), count).ignore();
                }
                pipe.cmd("PEXPIRE").arg(key).arg(millis(ENDPOINTS_KEPT)).ignore();
            }
            self.ask_all::<()>(&pipe).await?;
        }
        self.note_worst(hour, counts).await
    }

    async fn worst_endpoints(
        &self,
        tenant: Option<&TenantId>,
        which: Worst,
        now: Timestamp,
        max: usize,
    ) -> Result<Vec<EndpointCount>, StoreError> {
        let hours = [hour(now) - 1, hour(now)];
        let counts = match tenant {
            Some(tenant) => self.counted(tenant, hours).await?,
            None => self.noted(which, hours, max).await?,
        };
        Ok(which.pick(counts, max))
    }
}

impl RedisStore {
    /// Lists those that are worst among what was added, so that they are found without their tenants.
    async fn note_worst(&self, hour: i64, counts: &[EndpointCount]) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        for which in [Worst::Failing, Worst::Slowest] {
            let key = keys::worst(which, hour);
            for EndpointCount { tenant, endpoint, tally } in which.pick(counts.to_vec(), NOTED) {
                let (weight, member) = (which.weight(&tally), format!("{tenant}/{endpoint}"));
                match which {
                    Worst::Failing => pipe.zincr(&key, member, weight).ignore(),
                    Worst::Slowest => {
                        pipe.cmd("ZADD").arg(&key).arg("GT").arg(weight).arg(member).ignore()
                    }
                };
            }
            pipe.zremrangebyrank(&key, 0, -LISTED_MAX - 1).ignore();
            pipe.cmd("PEXPIRE").arg(&key).arg(millis(ENDPOINTS_KEPT)).ignore();
        }
        self.ask_all(&pipe).await
    }

    /// What was counted of all endpoints of a tenant.
    async fn counted(
        &self,
        tenant: &TenantId,
        hours: [i64; 2],
    ) -> Result<Vec<EndpointCount>, StoreError> {
        let mut pipe = redis::pipe();
        for hour in hours {
            pipe.hgetall(keys::endpoint_tallies(tenant, hour));
        }
        let read: Vec<HashMap<String, u64>> = self.ask_all(&pipe).await?;
        let mut tallies: HashMap<String, EndpointTally> = HashMap::new();
        for (field, count) in read.into_iter().flatten() {
            let Some((endpoint, name)) = field.rsplit_once(':') else {
                continue;
            };
            let tally = tallies.entry(endpoint.to_owned()).or_default();
            match name {
                "n" => tally.attempts += count,
                "f" => tally.failures += count,
                _ => tally.duration_ms += count,
            }
        }
        let count = |(endpoint, tally): (String, EndpointTally)| {
            let unreadable = |error| corrupt("endpoint tallies", error);
            let endpoint = endpoint.parse().map_err(unreadable)?;
            Ok(EndpointCount { tenant: tenant.clone(), endpoint, tally })
        };
        tallies.into_iter().map(count).collect()
    }

    /// What was counted of those that are listed.
    async fn noted(
        &self,
        which: Worst,
        hours: [i64; 2],
        max: usize,
    ) -> Result<Vec<EndpointCount>, StoreError> {
        let mut pipe = redis::pipe();
        let last = isize::try_from(max).unwrap_or(LISTED_MAX).min(LISTED_MAX) - 1;
        for hour in hours {
            pipe.zrevrange(keys::worst(which, hour), 0, last);
        }
        let listed: Vec<Vec<String>> = self.ask_all(&pipe).await?;
        let members: BTreeSet<String> = listed.into_iter().flatten().collect();
        let unreadable = |error| corrupt("worst endpoints", error);
        let (mut pipe, mut names) = (redis::pipe(), Vec::new());
        for member in &members {
            let (tenant, endpoint) = member.split_once('/').unwrap_or_default();
            let tenant: TenantId = tenant.parse().map_err(unreadable)?;
            let endpoint: EndpointId = endpoint.parse().map_err(unreadable)?;
            let fields = ['n', 'f', 't'].map(|name| format!("{endpoint}:{name}"));
            for hour in hours {
                pipe.cmd("HMGET").arg(keys::endpoint_tallies(&tenant, hour)).arg(&fields);
            }
            names.push((tenant, endpoint));
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let read: Vec<[Option<u64>; 3]> = self.ask_all(&pipe).await?;
        let counts = names.into_iter().zip(read.chunks(hours.len()));
        let count = |((tenant, endpoint), hours): ((TenantId, EndpointId), &[[Option<u64>; 3]])| {
            let mut tally = EndpointTally::default();
            for [attempts, failures, duration_ms] in hours {
                tally.attempts += attempts.unwrap_or(0);
                tally.failures += failures.unwrap_or(0);
                tally.duration_ms += duration_ms.unwrap_or(0);
            }
            EndpointCount { tenant, endpoint, tally }
        };
        Ok(counts.map(count).collect())
    }
}

fn hour(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(Step::Hour.ms())
}
