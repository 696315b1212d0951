//! How many requests one endpoint gets at once from this worker.
//!
//! A delivery that finds its endpoint's lane full waits a moment for a turn: a quick endpoint gives
//! one soon. After that it does not go on holding a slot that others could use: it is deferred, to
//! a time of its own, far enough ahead that it waits once and need not ask again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookfleet_domain::{Endpoint, EndpointId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long a delivery waits for a turn with its slot in hand.
const PATIENCE: Duration = Duration::from_millis(250);
/// How far ahead a delivery is deferred at most, unless one turn alone takes longer.
const HORIZON: Duration = Duration::from_mins(10);
/// Lanes that are kept; past that, idle ones are forgotten.
const LANES_MAX: usize = 10_000;
/// A new measurement counts for one part in so many.
const SMOOTHING: u32 = 8;

/// The lanes of all endpoints that this worker delivers to.
#[derive(Default)]
pub struct Lanes(Mutex<HashMap<EndpointId, Arc<Lane>>>);

/// One endpoint's lane.
struct Lane {
    width: u32,
    turns: Arc<Semaphore>,
    pace: Mutex<Pace>,
}

/// What is known of how fast a lane moves.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How long a turn takes, smoothed.
    turn: Duration,
    /// The time given to the delivery that was deferred last.
    last_given: Timestamp,
}

/// A delivery's turn; over when it is dropped.
pub struct Turn {
    lane: Arc<Lane>,
    begun: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Lanes {
    /// A turn in the endpoint's lane, or when to come again.
    pub async fn enter(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Turn, Timestamp> {
        let lane = self.lane(endpoint);
        match timeout(PATIENCE, Arc::clone(&lane.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { lane, begun: Instant::now(), _permit: permit }),
            // A lane is never closed; if it were, later would be right, too.
            Ok(Err(_)) | Err(_) => Err(lane.reserve(now)),
        }
    }

    fn lane(&self, endpoint: &Endpoint) -> Arc<Lane> {
        let width = endpoint.settings.max_in_flight;
        let mut lanes = lock(&self.0);
        if let Some(lane) = lanes.get(&endpoint.id).filter(|lane| lane.width == width) {
            return Arc::clone(lane);
        }
        if lanes.len() >= LANES_MAX {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let lane = Arc::new(Lane::new(width));
        lanes.insert(endpoint.id.clone(), Arc::clone(&lane));
        lane
    }
}

impl Lane {
    fn new(width: u32) -> Self {
        let pace = Pace { turn: Duration::ZERO, last_given: Timestamp::from_unix_ms(0) };
        let turns = Arc::new(Semaphore::new(width as usize));
        Self { width, turns, pace: Mutex::new(pace) }
    }

    /// A time of one's own: after those that were given before, at the pace of the lane.
    fn reserve(&self, now: Timestamp) -> Timestamp {
        let mut pace = lock(&self.pace);
        let interval = pace.turn / self.width;
        let next = pace.last_given.max(now).after(interval);
        // Past the horizon the times begin anew: an endpoint that recovers is not left alone for long.
        pace.last_given = if next > now.after(HORIZON) { now.after(interval) } else { next };
        pace.last_given
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut pace = lock(&self.lane.pace);
        let took = self.begun.elapsed();
        pace.turn = if pace.turn.is_zero() {
            took
        } else {
            (pace.turn * (SMOOTHING - 1) + took) / SMOOTHING
        };
    }
}

/// What is behind these locks is whole after any panic: each change to it is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hookfleet_domain::{EndpointPatch, EndpointPolicy, Secret};

    use super::*;

    fn endpoint(max_in_flight: u32) -> Endpoint {
        let json = format!(r#"{{"url":"https://a.example","max_in_flight":{max_in_flight}}}"#);
        let patch: EndpointPatch = serde_json::from_str(&json).unwrap();
        let policy = EndpointPolicy { allow_http: false };
        let now = Timestamp::from_unix_ms(0);
        patch.create("acme".parse().unwrap(), now, policy, |_| Secret::new("s")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_lane_gives_times_that_follow_each_other() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(2));
        let now = Timestamp::from_unix_ms(1_000_000);
        let first = lanes.enter(&endpoint, now).await.ok().unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        drop(first);
        // A turn takes ten seconds, and two go at once: one every five.
        let _turns = [lanes.enter(&endpoint, now).await, lanes.enter(&endpoint, now).await];
        for n in 1..=3 {
            let given = lanes.enter(&endpoint, now).await.err();
            assert_eq!(given, Some(now.after(Duration::from_secs(5 * n))));
        }
        for _ in 4..=120 {
            assert!(lanes.enter(&endpoint, now).await.is_err());
        }
        let anew = lanes.enter(&endpoint, now).await.err();
        assert_eq!(anew, Some(now.after(Duration::from_secs(5))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_lane_gives_its_turn_soon() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(1));
        let now = Timestamp::from_unix_ms(0);
        let turn = lanes.enter(&endpoint, now).await.ok().unwrap();
        let leaves = async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(turn);
        };
        let (entered, ()) = tokio::join!(lanes.enter(&endpoint, now), leaves);
        assert!(entered.is_ok());
    }
}
