//! The names of all keys. What stands in braces decides the slot on a cluster.

use hookfleet_domain::{EndpointId, EventId, IdempotencyKey, TenantId, WorkerId};
use hookfleet_store::Worst;

/// Channel on which changes of endpoints are announced; the message is the tenant.
pub const CHANGES: &str = "hf:changes";
/// Dead letters by the time at which they were given up.
pub const DEAD_BY_TIME: &str = "{hf:dead}:by_time";
/// Dead letters by id.
pub const DEAD_LETTERS: &str = "{hf:dead}:letters";
/// Endpoints whose breaker opened, by the time of their last failure.
pub const BROKEN: &str = "hf:broken";
/// Processes, by the time at which they were last seen.
pub const PROCESSES: &str = "hf:processes";
/// Jobs by id.
pub const JOBS: &str = "{hf:jobs}:all";
/// Jobs that have not ended, by the time at which they were asked for.
pub const JOBS_OPEN: &str = "{hf:jobs}:open";
/// Jobs that have ended, by the time at which they were asked for.
pub const JOBS_ENDED: &str = "{hf:jobs}:ended";
/// The one job that is claimed, by whom and until when.
pub const JOB_CLAIM: &str = "{hf:jobs}:claim";

/// A tenant's endpoints, by id.
pub fn endpoints(tenant: &TenantId) -> String {
    format!("hf:{{t:{tenant}}}:endpoints")
}

/// Tenants that something became of, and, for a while, that all of them are there.
pub const TENANTS: &str = "hf:tenants";
/// See [`TENANTS`].
pub const TENANTS_WHOLE: &str = "hf:tenants:whole";

/// Matches the keys of endpoints and of tokens, and few others: one pattern, for one scan of them all.
pub const OF_TENANTS: &str = "hf:{t:*}:[et][no]*";

/// The tenant whose endpoints or tokens are under this key.
pub fn tenant_of(key: &str) -> Option<&str> {
    let (name, what) = key.strip_prefix("hf:{t:")?.split_once('}')?;
    matches!(what, ":endpoints" | ":tokens").then_some(name)
}

/// A tenant's tokens, by id.
pub fn tokens(tenant: &TenantId) -> String {
    format!("hf:{{t:{tenant}}}:tokens")
}

/// When each of them was last used.
pub fn tokens_used(tenant: &TenantId) -> String {
    format!("hf:{{t:{tenant}}}:tokens:used")
}

/// Where a token is found, by its digest.
pub fn token(digest: &str) -> String {
    format!("hf:token:{digest}")
}

/// What an idempotency key stands for.
pub fn intake(tenant: &TenantId, key: &IdempotencyKey) -> String {
    format!("hf:{{t:{tenant}}}:key:{key}")
}

/// An event.
pub fn event(id: &EventId) -> String {
    format!("hf:{{e:{id}}}")
}

/// Whom an event is for, as a worker that began with it found, and the first attempts that were leased to
/// it then.
pub fn begun(id: &EventId) -> String {
    format!("hf:{{e:{id}}}:begun")
}

/// One delivery: its lease, its last settled attempt, its stage. The number is the version of what
/// stands there: whoever writes another form uses another name.
pub fn delivery(endpoint: &EndpointId, event: &EventId) -> String {
    format!("hf:{{{endpoint}}}:d2:{event}")
}

/// What its attempts say of an endpoint.
pub fn health(endpoint: &EndpointId) -> String {
    format!("hf:{{{endpoint}}}:health")
}

/// An endpoint's last attempts.
pub fn attempts(endpoint: &EndpointId) -> String {
    format!("hf:{{{endpoint}}}:attempts")
}

/// A worker's sign of life.
pub fn worker(id: &WorkerId) -> String {
    format!("hf:w:{id}")
}

/// Counts over time, of a tenant or of the whole fleet: so many buckets in each string.
pub fn tallies(tenant: Option<&TenantId>, step: char, string: i64) -> String {
    match tenant {
        Some(tenant) => format!("hf:{{t:{tenant}}}:tallies:{step}:{string}"),
        None => format!("hf:tallies:{step}:{string}"),
    }
}

/// What the attempts of a tenant's endpoints were in one hour.
pub fn endpoint_tallies(tenant: &TenantId, hour: i64) -> String {
    format!("hf:{{t:{tenant}}}:counted:{hour}")
}

/// The worst endpoints of an hour in the whole fleet.
pub fn worst(which: Worst, hour: i64) -> String {
    match which {
        Worst::Failing => format!("hf:failing:{hour}"),
        Worst::Slowest => format!("hf:slowest:{hour}"),
    }
}

/// What a process tells of itself.
pub fn process(id: &WorkerId) -> String {
    format!("hf:p:{id}")
}
