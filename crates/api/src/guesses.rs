//! Wrong tokens, counted by the address that they come from.
//!
//! Tokens are too long to be guessed; this keeps those who try from the store. A token that is known
//! already is never refused for what others do behind the same address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use hookfleet_domain::limits;
use tokio::time::Instant;

use crate::problem::Problem;

/// Addresses that are counted; past that, all are forgotten.
const ADDRESSES_MAX: usize = 10_000;

const MINUTE: Duration = Duration::from_mins(1);
/// The longest that an address is refused.
const REFUSED_MAX: Duration = Duration::from_mins(10);

/// Wrong tokens of late: until when each address would have to be quiet for all to be forgiven.
#[derive(Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Instant>>);

impl Guesses {
    /// May this address show another token that nobody knows yet?
    pub fn check(&self, peer: IpAddr) -> Result<(), Problem> {
        let forgiven = self.lock().get(&network(peer)).copied();
        let wait = forgiven.map(|at| at.saturating_duration_since(Instant::now() + MINUTE));
        match wait.filter(|wait| !wait.is_zero()) {
            None => Ok(()),
            Some(wait) => Err(too_many(wait)),
        }
    }

    /// It was wrong. Of many that come at once all may have passed the check: they are waited for
    /// afterwards.
    pub fn wrong(&self, peer: IpAddr) {
        let (mut by_address, now) = (self.lock(), Instant::now());
        if by_address.len() >= ADDRESSES_MAX {
            by_address.clear();
        }
        let forgiven = by_address.entry(network(peer)).or_insert(now);
        let later = (*forgiven).max(now) + MINUTE / limits::WRONG_TOKENS_PER_MINUTE_MAX;
        *forgiven = later.min(now + MINUTE + REFUSED_MAX);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Instant>> {
        // The map is whole after any panic: each change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has one address of IPv6 has 2⁶⁴ of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = u16::try_from(wait.as_secs()).unwrap_or(u16::MAX).saturating_add(1);
    let detail = "too many wrong tokens came from your address: come again a little later";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_refused_and_forgiven() {
        let guesses = Guesses::default();
        let (one, other) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        let neighbour = "2001:db8::2".parse().unwrap();
        for _ in 0..=limits::WRONG_TOKENS_PER_MINUTE_MAX {
            assert!(guesses.check(one).is_ok());
            guesses.wrong(one);
        }
        assert_eq!(guesses.check(one).unwrap_err().status, 429);
        assert!(guesses.check(neighbour).is_err() && guesses.check(other).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(guesses.check(one).is_ok());
        for _ in 0..100_000 {
            guesses.wrong(one);
        }
        tokio::time::advance(REFUSED_MAX * 9 / 10).await;
        assert!(guesses.check(one).is_err());
        tokio::time::advance(REFUSED_MAX / 10).await;
        assert!(guesses.check(one).is_ok());
    }

    #[tokio::test]
    async fn the_table_is_bounded() {
        let guesses = Guesses::default();
        for n in 0..2 * u32::try_from(ADDRESSES_MAX).unwrap() {
            guesses.wrong(std::net::Ipv4Addr::from_bits(n).into());
        }
        assert!(guesses.lock().len() <= ADDRESSES_MAX);
    }
}
