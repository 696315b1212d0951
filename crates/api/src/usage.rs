//! How much one token, or all visitors of one tenant, may ask for at once: a rate, and requests under way (RFC 6585, section 4).
//!
//! Counted by each process for itself: behind a balancer, a token has that much of every API process.
//! The operator's own token has no limits.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hookfleet_domain::{Pacer, Rate, TenantId};
use tokio::time::Instant;

use crate::problem::Problem;

/// What a token may ask for.
#[derive(Debug, Clone, Copy)]
pub struct TokenLimits {
    /// Requests; a second's worth may come at once.
    pub rate: Rate,
    /// Requests under way at once.
    pub in_flight_max: u32,
}

/// What a token is asking for.
#[derive(Debug)]
pub struct Usage {
    begun: Instant,
    pacer: Mutex<Pacer>,
    in_flight: AtomicU32,
}

/// A request that is under way; it is over when this is dropped.
#[derive(Debug)]
pub struct Permit {
    usage: Arc<Usage>,
    limits: TokenLimits,
    left: u64,
}

/// The headers of draft-ietf-httpapi-ratelimit-headers.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

impl Default for Usage {
    fn default() -> Self {
        let (pacer, in_flight) = (Mutex::default(), AtomicU32::new(0));
        Self { begun: Instant::now(), pacer, in_flight }
    }
}

/// Tenants whose visitors are counted; past that, all begin anew.
const TENANTS_MAX: usize = 10_000;

/// What the visitors of each tenant are asking for.
#[derive(Debug, Default)]
pub struct VisitorUsage(Mutex<HashMap<TenantId, Arc<Usage>>>);

impl VisitorUsage {
    /// Of one tenant.
    pub fn of(&self, tenant: &TenantId) -> Arc<Usage> {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(tenant) {
            tenants.clear();
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}

impl Usage {
    /// Lets a request in, or tells when to come again.
    pub fn enter(self: &Arc<Self>, limits: TokenLimits) -> Result<Permit, Problem> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping it counts down again.
        let mut permit = Permit { usage: Arc::clone(self), limits, left: 0 };
        if before >= limits.in_flight_max {
            let max = limits.in_flight_max;
            return Err(too_many(format_args!("{max} requests are under way"), Duration::ZERO));
        }
        let mut pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = pacer.take(limits.rate, self.begun.elapsed());
        drop(pacer);
        let wait = |wait| too_many(format_args!("more than {} requests", limits.rate), wait);
        permit.left = taken.map_err(wait)?;
        Ok(permit)
    }
}

fn too_many(what: impl Display, wait: Duration) -> Problem {
    let detail = format!("{what} with this token: come again a little later");
    let seconds = u16::try_from(wait.as_secs()).unwrap_or(u16::MAX).saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
}

impl Permit {
    /// Tells the caller how much is left.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let TokenLimits { rate, .. } = self.limits;
        let policy = format!("\"token\";q={};w={}", rate.burst(), rate.window().as_secs());
        let left = format!("\"token\";r={};t=1", self.left);
        for (name, value) in [(POLICY, policy), (LEFT, left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.usage.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_allowed_at_once() {
        let limits = TokenLimits { rate: "1000/s".parse().unwrap(), in_flight_max: 2 };
        let usage = Arc::new(Usage::default());
        let (first, _second) = (usage.enter(limits).unwrap(), usage.enter(limits).unwrap());
        assert_eq!(usage.enter(limits).unwrap_err().status, 429);
        drop(first);
        let again = usage.enter(limits).unwrap();
        let mut headers = HeaderMap::new();
        again.tell(&mut headers);
        assert_eq!(headers[POLICY], "\"token\";q=1000;w=1");
        assert!(headers[LEFT].to_str().unwrap().starts_with("\"token\";r=9"));
    }

    #[test]
    fn no_faster_than_allowed() {
        let limits = TokenLimits { rate: "2/h".parse().unwrap(), in_flight_max: 10 };
        let usage = Arc::new(Usage::default());
        let answers: Vec<_> = (0..3).map(|_| usage.enter(limits).map(drop)).collect();
        assert!(answers[0].is_ok() && answers[1].is_ok());
        assert_eq!(answers[2].as_ref().unwrap_err().status, 429);
    }
}
