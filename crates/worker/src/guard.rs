//! The address policy where connections are made, in the resolver: a name that changes its answer
//! between check and connect gains nothing. One forbidden address among several refuses the whole
//! answer.

use std::net::SocketAddr;
use std::sync::Arc;

use hookfleet_domain::AddressPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver with every answer checked.
pub struct GuardedResolver {
    pub inner: Arc<dyn Resolve>,
    pub policy: AddressPolicy,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (answer, policy) = (self.inner.resolve(name), self.policy.clone());
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = answer.await?.collect();
            for address in &addresses {
                policy.check(address.ip())?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// The operating system's resolver.
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
