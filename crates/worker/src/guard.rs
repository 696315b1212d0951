//! Which addresses deliveries may reach: global unicast ones, and what the operator's list adds.
//!
//! The check stands where a connection is made, in the resolver, so that a name which changes its
//! answer between check and connect gains nothing. One forbidden address among several refuses the
//! whole answer. Ranges: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hookfleet_domain::EndpointUrl;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

const FORBIDDEN_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// Global unicast is all that is left of IPv6: NAT64, mapped, link-local, unique local and multicast
/// addresses lie outside of it.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// Protocol assignments with Teredo, documentation, 6to4, documentation.
const FORBIDDEN_V6: [Ipv6Net; 4] =
    [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

/// What deliveries may reach.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allowed: Arc<[IpNet]>,
}

/// An address that deliveries may not reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {0} is not public (an operator can allow it: HOOKFLEET_ALLOW_PRIVATE_NETWORKS)")]
pub struct ForbiddenAddress(IpAddr);

impl AddressPolicy {
    /// Public addresses, and these networks besides.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed: allowed.into() }
    }

    /// May this address be reached?
    pub fn check(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        // `::ffff:10.0.0.1` is 10.0.0.1 to whoever connects to it.
        let address = address.to_canonical();
        let public = match address {
            IpAddr::V4(v4) => !FORBIDDEN_V4.iter().any(|net| net.contains(&v4)),
            IpAddr::V6(v6) => {
                GLOBAL_V6.contains(&v6) && !FORBIDDEN_V6.iter().any(|net| net.contains(&v6))
            }
        };
        if public || self.allowed.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        Err(ForbiddenAddress(address))
    }

    /// May this URL's host be reached, as far as it is an address? Such a one never comes to the
    /// resolver.
    pub fn check_literal(&self, url: &EndpointUrl) -> Result<(), ForbiddenAddress> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// The system's resolver, with every answer checked.
#[derive(Debug, Clone)]
pub struct GuardedResolver(pub AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            for address in &addresses {
                policy.check(address.ip())?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, allowed: bool) {
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(policy.check(address.parse().unwrap()).is_ok(), allowed, "{address}");
    }

    #[test]
    fn only_public_addresses_and_what_is_allowed() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            check(public, true);
        }
        for allowed in ["127.0.0.1", "::ffff:127.0.0.1"] {
            check(allowed, true);
        }
        for forbidden in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.168.1.1",
            "192.0.0.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2001::1",
            "2002:a00:1::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            check(forbidden, false);
        }
    }
}
