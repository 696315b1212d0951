//! What was accepted, what arrived, and whether the two balance.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::faults::{Fault, Kind};

/// An endpoint of the ledger.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub name: &'static str,
    /// Its id, for its dead letters.
    pub id: String,
    pub event_type: &'static str,
    /// From when on the whole fleet must know of it.
    pub since: Instant,
}

/// An event that the fleet answers for.
#[derive(Debug, Clone)]
struct Accepted {
    event_type: &'static str,
    /// When its publisher began to send it.
    sent: Instant,
}

#[derive(Default)]
struct Pages {
    subscribers: Vec<Subscriber>,
    accepted: HashMap<String, Accepted>,
    /// Successes by endpoint and event.
    arrivals: HashMap<(usize, String), Vec<Instant>>,
    refused: u64,
    by_door: BTreeMap<&'static str, u64>,
    answers: Vec<Answered>,
}

/// Answers that are kept: an outage has fewer, and half an hour of chaos needs none.
const ANSWERS_MAX: usize = 200_000;

/// What the API said to a request for an event to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub begun: Instant,
    pub at: Instant,
    pub said: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Accepted,
    /// 503 with `Retry-After`.
    Later,
    /// Anything else, or nothing.
    Otherwise,
}

#[derive(Default)]
pub struct Ledger(Mutex<Pages>);

/// How the pages stand.
#[derive(Debug, Default, Clone)]
pub struct Balance {
    pub accepted: usize,
    pub by_door: BTreeMap<&'static str, u64>,
    /// Attempts at publishing that were answered with an error, or not at all.
    pub refused: u64,
    /// Deliveries that must be accounted for.
    pub owed: usize,
    pub delivered: usize,
    pub dead: usize,
    /// Of endpoints and events: neither delivered nor dead.
    pub missing: Vec<(&'static str, String)>,
    pub duplicates: usize,
    pub duplicates_by_cause: BTreeMap<&'static str, usize>,
    /// Endpoint and event of each without a cause, and when both came.
    pub unexplained: Vec<(&'static str, String, Instant, Instant)>,
}

impl Ledger {
    pub fn subscribed(&self, subscriber: Subscriber) {
        self.0.lock().unwrap().subscribers.push(subscriber);
    }

    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.0.lock().unwrap().subscribers.clone()
    }

    /// The fleet answered for this event.
    pub fn accepted(
        &self,
        door: &'static str,
        id: String,
        event_type: &'static str,
        sent: Instant,
    ) {
        let mut pages = self.0.lock().unwrap();
        pages.accepted.insert(id, Accepted { event_type, sent });
        *pages.by_door.entry(door).or_default() += 1;
    }

    pub fn refused(&self) {
        self.0.lock().unwrap().refused += 1;
    }

    pub fn answered(&self, begun: Instant, said: Said) {
        let answered = Answered { begun, at: Instant::now(), said };
        let answers = &mut self.0.lock().unwrap().answers;
        if answers.len() < ANSWERS_MAX {
            answers.push(answered);
        }
    }

    pub fn answers(&self) -> Vec<Answered> {
        self.0.lock().unwrap().answers.clone()
    }

    /// Deliveries that arrived in this time.
    pub fn arrivals(&self, during: &Range<Instant>) -> usize {
        let pages = self.0.lock().unwrap();
        pages.arrivals.values().flatten().filter(|at| during.contains(at)).count()
    }

    pub fn arrived(&self, endpoint: usize, id: &str, at: Instant) {
        self.0.lock().unwrap().arrivals.entry((endpoint, id.to_owned())).or_default().push(at);
    }

    /// `dead`: endpoints' ids with events' ids; an event that died before its fan-out is dead for
    /// everybody, under an empty endpoint.
    pub fn balance(&self, dead: &HashSet<(String, String)>, faults: &[Fault]) -> Balance {
        let pages = self.0.lock().unwrap();
        let mut balance = Balance {
            accepted: pages.accepted.len(),
            by_door: pages.by_door.clone(),
            refused: pages.refused,
            ..Balance::default()
        };
        for (id, event) in &pages.accepted {
            for (number, subscriber) in pages.subscribers.iter().enumerate() {
                if subscriber.event_type != event.event_type || event.sent < subscriber.since {
                    continue;
                }
                balance.owed += 1;
                let is_dead = |endpoint: &str| dead.contains(&(endpoint.to_owned(), id.clone()));
                if pages.arrivals.contains_key(&(number, id.clone())) {
                    balance.delivered += 1;
                } else if is_dead(&subscriber.id) || is_dead("") {
                    balance.dead += 1;
                } else {
                    balance.missing.push((subscriber.name, id.clone()));
                }
            }
        }
        for ((number, id), times) in &pages.arrivals {
            for (before, again) in times.iter().zip(times.iter().skip(1)) {
                let cause = cause(*before, faults);
                balance.duplicates += 1;
                *balance.duplicates_by_cause.entry(cause).or_default() += 1;
                if cause == UNEXPLAINED {
                    let name = pages.subscribers.get(*number).map_or("", |one| one.name);
                    balance.unexplained.push((name, id.clone(), *before, *again));
                }
            }
        }
        balance
    }
}

pub const UNEXPLAINED: &str = "unexplained";

/// What kept the fleet from settling a success, or from remembering it: a fault that was under way
/// when it was answered, or came before it can have been settled everywhere.
fn cause(answered: Instant, faults: &[Fault]) -> &'static str {
    const AROUND: Duration = Duration::from_secs(3);
    let mut causes: Vec<Kind> = faults
        .iter()
        .filter(|fault| fault.kind.repeats())
        .filter(|fault| fault.from < answered + AROUND && answered < fault.to + AROUND)
        .map(|fault| fault.kind)
        .collect();
    // Of several, the one that explains it most directly.
    causes.sort_unstable();
    causes.first().map_or(UNEXPLAINED, |kind| kind.label())
}
