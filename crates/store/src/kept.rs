//! How long things are remembered: the same for every backend.

use std::time::Duration;

use hookfleet_domain::limits;

use crate::Stage;

/// A worker that gave no sign of life for so long is taken for gone.
pub const LIFE_SIGN_TTL: Duration = Duration::from_secs(4);
/// A process that was not seen for so long is forgotten.
pub const PROCESS: Duration = Duration::from_secs(15);
/// A delivery leased elsewhere is looked at again after this: its worker may have died meanwhile.
pub const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// What became of a delivery that was given up.
pub const DEAD: Duration = Duration::from_hours(7 * 24);
/// An endpoint's attempts.
pub const ATTEMPTS: Duration = Duration::from_hours(30 * 24);
/// What its attempts say of an endpoint.
pub const HEALTH: Duration = Duration::from_hours(90 * 24);
/// Jobs that have ended.
pub const ENDED_JOBS_MAX: u32 = 1000;

/// What became of a delivery, by where it stands; `status_ttl` is what the operator set. A retry must
/// be remembered for as long as it can wait.
pub fn delivery(stage: Stage, status_ttl: Duration) -> Duration {
    match stage {
        Stage::Dead | Stage::Discarded => DEAD,
        Stage::Retrying => limits::RETRY_WAIT_MAX * 2 + status_ttl,
        Stage::Pending | Stage::Delivered => status_ttl,
    }
}
