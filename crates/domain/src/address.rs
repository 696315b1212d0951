//! Which addresses deliveries may reach: global unicast ones, and what the operator's list adds.
//!
//! One decision for all who ask: the API, where a URL shows its address, and the worker at each
//! connection, where names have become addresses. Ranges: the IANA IPv4 and IPv6 special-purpose
//! address registries (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Host;

use crate::EndpointUrl;

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

/// Global unicast is all that is left of IPv6: NAT64, mapped, compatible, link-local, unique local
/// and multicast addresses lie outside of it.
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

    /// Every address there is: for connections that no caller chooses.
    pub fn everything() -> Self {
        Self::new(vec![IpNet::V4(v4(0, 0, 0, 0, 0)), IpNet::V6(v6(0, 0, 0))])
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

    /// May this URL's host be reached, as far as the URL itself tells? An address, however it is
    /// spelled, never comes to a resolver; `localhost` need not ask one (RFC 6761, 6.3).
    pub fn check_url(&self, url: &EndpointUrl) -> Result<(), ForbiddenAddress> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(name)) if is_localhost(name) => self
                .check(Ipv6Addr::LOCALHOST.into())
                .or_else(|_| self.check(Ipv4Addr::LOCALHOST.into())),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// Names in URLs are in lower case already.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
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
            "::1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            check(forbidden, false);
        }
    }

    #[test]
    fn the_edges_of_each_range() {
        for net in FORBIDDEN_V4 {
            check(&net.network().to_string(), net == v4(127, 0, 0, 0, 8));
            check(&net.broadcast().to_string(), net == v4(127, 0, 0, 0, 8));
        }
        for net in FORBIDDEN_V6 {
            check(&net.network().to_string(), false);
            check(&net.broadcast().to_string(), false);
        }
        for outside in ["1.0.0.0", "9.255.255.255", "100.63.255.255", "100.128.0.0", "172.32.0.0"] {
            check(outside, true);
        }
        for outside in ["2001:200::", "2003::", "3ffe::", "2000::"] {
            check(outside, true);
        }
    }

    #[test]
    fn an_operator_may_allow_localhost() {
        let url: EndpointUrl = "http://localhost/".parse().unwrap();
        assert!(AddressPolicy::default().check_url(&url).is_err());
        for allowed in ["127.0.0.0/8", "::1/128"] {
            let policy = AddressPolicy::new(vec![allowed.parse().unwrap()]);
            assert!(policy.check_url(&url).is_ok(), "{allowed}");
        }
    }
}
