//! How many requests one endpoint gets at once from this worker.
//!
//! A lane begins narrow and is widened by each success, up to the endpoint's `max_in_flight`; an
//! attempt that meets no answer, or one that says "too much", halves it: so an endpoint that hangs
//! holds few slots before its first time-out, and one after it. While the worker has few slots left,
//! slow endpoints give some back.
//!
//! A delivery that finds its endpoint's lane full waits a moment for a turn: a quick endpoint gives
//! one soon. After that it does not go on holding a slot that others could use: it is deferred, to
//! a time of its own, far enough ahead that it waits once and need not ask again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookfleet_domain::{Endpoint, EndpointId, Outcome, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::pace::Pace;

/// How long a delivery waits for a turn with its slot in hand.
const PATIENCE: Duration = Duration::from_millis(250);
/// Lanes that are kept; past that, idle ones are forgotten.
const LANES_MAX: usize = 20_000;
/// How wide a lane is before anything is known of its endpoint.
const WIDTH_AT_FIRST: u32 = 8;
/// A success that took longer is slow.
const SLOW: Duration = Duration::from_secs(1);
/// What a slow endpoint keeps while slots are scarce.
const WIDTH_WHEN_SLOW: u32 = 4;
/// What it gives back then: one part in so many of its lane.
const GIVEN_BACK: u32 = 8;

/// How long an endpoint is taken to be well after a success here. Its breaker, which others may have
/// opened meanwhile, is not asked until then: what that lets through fails, and ends it.
const WELL_FOR: Duration = Duration::from_secs(10);

/// The lanes of all endpoints that this worker delivers to.
#[derive(Default)]
pub struct Lanes(Mutex<HashMap<EndpointId, Arc<Lane>>>);

/// One endpoint's lane.
struct Lane {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// What the endpoint allows.
    width_max: u32,
    width: u32,
    in_flight: u32,
    /// When a turn began or ended last.
    moved: Instant,
    /// When an attempt succeeded, if the last one did.
    well: Option<Instant>,
    pace: Pace,
}

/// A delivery's turn; over when it is dropped.
pub struct Turn {
    lane: Arc<Lane>,
    begun: Instant,
}

impl Lanes {
    /// A turn in the endpoint's lane, or when to come again.
    pub async fn enter(&self, endpoint: &Endpoint, now: Timestamp) -> Result<Turn, Timestamp> {
        let lane = self.lane(endpoint);
        if lane.take() {
            return Ok(Turn::begin(lane));
        }
        Box::pin(lane.wait(now)).await
    }

    /// A turn, if there is one at once and the endpoint has been well lately.
    pub fn enter_if_well(&self, endpoint: &Endpoint) -> Option<Turn> {
        let lane = self.lane(endpoint);
        let well = lock(&lane.state).well.is_some_and(|since| since.elapsed() < WELL_FOR);
        (well && lane.take()).then(|| Turn::begin(lane))
    }

    fn lane(&self, endpoint: &Endpoint) -> Arc<Lane> {
        let width_max = endpoint.settings.max_in_flight;
        let mut lanes = lock(&self.0);
        if let Some(lane) = lanes.get(&endpoint.id) {
            let mut state = lock(&lane.state);
            state.width_max = width_max;
            state.width = state.width.min(width_max);
            return Arc::clone(lane);
        }
        if lanes.len() >= LANES_MAX {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let lane = Arc::new(Lane::new(width_max));
        lanes.insert(endpoint.id.clone(), Arc::clone(&lane));
        lane
    }
}

impl Lane {
    fn new(width_max: u32) -> Self {
        let state = State {
            width_max,
            width: width_max.min(WIDTH_AT_FIRST),
            in_flight: 0,
            moved: Instant::now(),
            well: None,
            pace: Pace::default(),
        };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }

    fn take(&self) -> bool {
        let mut state = lock(&self.state);
        let free = state.in_flight < state.width;
        if free {
            state.in_flight += 1;
            state.moved = Instant::now();
        }
        free
    }

    async fn wait(self: Arc<Self>, now: Timestamp) -> Result<Turn, Timestamp> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let freed = self.freed.notified();
            if self.take() {
                return Ok(Turn::begin(Arc::clone(&self)));
            }
            if timeout_at(give_up, freed).await.is_err() {
                return Err(self.reserve(now));
            }
        }
    }

    fn reserve(&self, now: Timestamp) -> Timestamp {
        let mut state = lock(&self.state);
        let (width, stuck) = (state.width, state.moved.elapsed());
        state.pace.reserve(width, stuck, now)
    }
}

impl State {
    /// What an attempt says of how wide the lane should be.
    fn learn(&mut self, outcome: &Outcome, took: Duration, crowded: bool) {
        self.pace.learn(took);
        self.well = outcome.is_success().then(Instant::now);
        self.width = match outcome {
            Outcome::TimedOut { .. }
            | Outcome::Unreachable(_)
            | Outcome::Answered { status: 429 | 502..=504, .. } => (self.width / 2).max(1),
            Outcome::Answered { status: 200..=299, .. } if crowded && took > SLOW => {
                (self.width - self.width / GIVEN_BACK).max(WIDTH_WHEN_SLOW).min(self.width)
            }
            Outcome::Answered { status: 200..=299, .. } => (self.width + 1).min(self.width_max),
            Outcome::Answered { .. } | Outcome::Forbidden(_) => self.width,
        };
    }
}

impl Turn {
    fn begin(lane: Arc<Lane>) -> Self {
        Self { lane, begun: Instant::now() }
    }

    /// The attempt was made. `crowded`: the worker has few slots left.
    pub fn made(&self, outcome: &Outcome, crowded: Crowded) {
        let took = self.begun.elapsed();
        lock(&self.lane.state).learn(outcome, took, crowded.0);
    }
}

/// Has the worker few slots left?
#[derive(Debug, Clone, Copy)]
pub struct Crowded(pub bool);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock(&self.lane.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.moved = Instant::now();
        let free = state.width.saturating_sub(state.in_flight);
        drop(state);
        for _ in 0..free.min(2) {
            self.lane.freed.notify_one();
        }
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
        let policy = &EndpointPolicy::default();
        let now = Timestamp::from_unix_ms(0);
        patch.create("acme".parse().unwrap(), now, policy, |_| Secret::new("s")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_lane_gives_times_that_follow_each_other() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(2));
        let now = Timestamp::from_unix_ms(1_000_000);
        let first = lanes.enter(&endpoint, now).await.ok().unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        first.made(&answered(200), Crowded(false));
        drop(first);
        // A turn takes ten seconds, and two go at once: one every five.
        let _turns = [lanes.enter(&endpoint, now).await, lanes.enter(&endpoint, now).await];
        for n in 1..=3 {
            let given = lanes.enter(&endpoint, now).await.err();
            assert_eq!(given, Some(now.after(Duration::from_secs(5 * n))));
        }
        let mut given = Vec::new();
        for _ in 4..=120 {
            given.push(lanes.enter(&endpoint, now).await.err().unwrap());
        }
        let horizon = now.after(Duration::from_mins(10));
        assert!(given.iter().all(|time| *time <= horizon), "however long it hangs");
        assert!(!given.is_sorted(), "they begin anew");
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_hang_are_known_to_take_long_before_they_end() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(2));
        let now = Timestamp::from_unix_ms(1_000_000);
        let _turns = [lanes.enter(&endpoint, now).await, lanes.enter(&endpoint, now).await];
        tokio::time::advance(Duration::from_secs(20)).await;
        let given = lanes.enter(&endpoint, now).await.err();
        assert_eq!(given, Some(now.after(Duration::from_secs(20) + PATIENCE)));
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None, wish: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_as_wide_as_its_endpoint_bears() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(50));
        let now = Timestamp::from_unix_ms(0);
        let mut turns = Vec::new();
        while let Ok(turn) = lanes.enter(&endpoint, now).await {
            turns.push(turn);
        }
        assert_eq!(turns.len(), 8, "nothing is known of it yet");
        let learn = |outcome: &Outcome, crowded: bool| {
            turns[0].made(outcome, Crowded(crowded));
            lock(&turns[0].lane.state).width
        };
        for width in 9..=50 {
            assert_eq!(learn(&answered(200), false), width);
        }
        assert_eq!(learn(&answered(200), false), 50, "what it allows");
        assert_eq!(learn(&answered(500), false), 50, "an answer is an answer");
        assert_eq!(learn(&answered(503), false), 25);
        let timed_out = Outcome::TimedOut { after: Duration::from_secs(15) };
        for width in [12, 6, 3, 1, 1] {
            assert_eq!(learn(&timed_out, false), width);
        }
        for _ in 1..50 {
            learn(&answered(200), false);
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(learn(&answered(200), false), 50, "slow, and there is room");
        assert_eq!(learn(&answered(200), true), 44, "slow, and there is none");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_is_well_for_a_while_after_a_success_that_was_the_last() {
        let (lanes, endpoint) = (Lanes::default(), endpoint(2));
        let well = || lanes.enter_if_well(&endpoint).is_some();
        assert!(!well(), "nothing is known of it");
        let turn = lanes.enter(&endpoint, Timestamp::from_unix_ms(0)).await.ok().unwrap();
        turn.made(&answered(200), Crowded(false));
        assert!(well());
        let _other = lanes.enter_if_well(&endpoint).unwrap();
        assert!(!well(), "its lane is full");
        turn.made(&answered(500), Crowded(false));
        drop(turn);
        assert!(!well(), "it failed");
        let turn = lanes.enter(&endpoint, Timestamp::from_unix_ms(0)).await.ok().unwrap();
        turn.made(&answered(200), Crowded(false));
        drop(turn);
        tokio::time::advance(WELL_FOR).await;
        assert!(!well(), "that was long ago");
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
