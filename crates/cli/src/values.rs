//! Values as flags, environment and file write them.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use hookfleet_domain::{InvalidRatio, Secret, TraceRatio, parse_duration};
use ipnet::IpNet;
use serde::Deserialize;

/// A duration: `5s`, `10m`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Duration(pub std::time::Duration);

impl FromStr for Duration {
    type Err = hookfleet_domain::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

impl TryFrom<String> for Duration {
    type Error = hookfleet_domain::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Networks, separated by commas: `127.0.0.0/8,10.1.0.0/16`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Networks(pub Vec<IpNet>);

/// A text that is no list of networks.
#[derive(Debug, thiserror::Error)]
#[error("network {0:?} is invalid: expected CIDR such as 10.1.0.0/16, separated by commas")]
pub struct InvalidNetwork(String);

impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parse = |part: &str| part.parse().map_err(|_| InvalidNetwork(part.to_owned()));
        parts.map(parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Networks {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

/// A share, 0 to 1; in a file a number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(pub TraceRatio);

impl FromStr for Ratio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, InvalidRatio> {
        text.parse().map(Self)
    }
}

impl TryFrom<f64> for Ratio {
    type Error = InvalidRatio;

    fn try_from(number: f64) -> Result<Self, InvalidRatio> {
        TraceRatio::try_from(number).map(Self)
    }
}

/// A secret setting: never printed.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Hidden(pub Secret);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl FromStr for Hidden {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Secret::new(text)))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Where people reach a server: http or https, a host, perhaps a path; no slash at its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(pub String);

/// A text that is no such URL.
#[derive(Debug, thiserror::Error)]
#[error("URL {0:?} is invalid: expected one such as https://hooks.example.com")]
pub struct InvalidPublicUrl(String);

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let invalid = || InvalidPublicUrl(text.to_owned());
        let url: url::Url = text.parse().map_err(|_| invalid())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        plain.then(|| Self(url.as_str().trim_end_matches('/').to_owned())).ok_or_else(invalid)
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = InvalidPublicUrl;

    fn try_from(text: String) -> Result<Self, InvalidPublicUrl> {
        text.parse()
    }
}

/// An address to listen on.
pub type Listen = SocketAddr;
