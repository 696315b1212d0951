//! The names of all keys. What stands in braces decides the slot on a cluster.

use hookfleet_domain::{EndpointId, EventId, IdempotencyKey, TenantId, WorkerId};

/// Channel on which changes of endpoints are announced; the message is the tenant.
pub const CHANGES: &str = "hf:changes";
/// Dead letters by the time at which they were given up.
pub const DEAD_BY_TIME: &str = "{hf:dead}:by_time";
/// Dead letters by id.
pub const DEAD_LETTERS: &str = "{hf:dead}:letters";
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

/// Matches the keys of all tenants' endpoints.
pub const ALL_ENDPOINTS: &str = "hf:{t:*}:endpoints";

/// The tenant's name in such a key.
pub fn tenant_of_endpoints(key: &str) -> &str {
    let name = key.strip_prefix("hf:{t:").and_then(|rest| rest.strip_suffix("}:endpoints"));
    name.unwrap_or_default()
}

/// What an idempotency key stands for.
pub fn intake(tenant: &TenantId, key: &IdempotencyKey) -> String {
    format!("hf:{{t:{tenant}}}:key:{key}")
}

/// An event.
pub fn event(id: &EventId) -> String {
    format!("hf:{{e:{id}}}")
}

/// The endpoints that an event is for.
pub fn event_endpoints(id: &EventId) -> String {
    format!("hf:{{e:{id}}}:to")
}

/// One delivery: its lease, its last settled attempt, its stage.
pub fn delivery(endpoint: &EndpointId, event: &EventId) -> String {
    format!("hf:{{{endpoint}}}:d:{event}")
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
