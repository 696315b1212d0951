//! Where an endpoint is reached.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::limits;

/// An endpoint's URL: http or https, with a host, without user information or fragment, port not
/// zero. Whether its address may be reached is for [`crate::AddressPolicy`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// A text that no webhook can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Not a URL at all.
    #[error("url is invalid: {0}")]
    Unparsable(String),
    /// Neither http nor https.
    #[error("url has the scheme {0:?}: expected https (or http where the operator allows it)")]
    Scheme(String),
    /// `https://user:password@host/`.
    #[error("url carries user information: use the endpoint's `auth` instead")]
    UserInfo,
    /// `https://host/#part`.
    #[error("url has a fragment: it would never be sent")]
    Fragment,
    /// `https://host:0/`.
    #[error("url has port 0: it cannot be connected to")]
    PortZero,
    /// Longer than [`limits::URL_BYTES_MAX`].
    #[error("url is longer than {} bytes", limits::URL_BYTES_MAX)]
    TooLong,
}

impl EndpointUrl {
    /// The parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Is it https?
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host, which every URL of this type has.
    pub fn host(&self) -> Option<Host<&str>> {
        self.0.host()
    }
}

impl FromStr for EndpointUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > limits::URL_BYTES_MAX {
            return Err(InvalidUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|error| InvalidUrl::Unparsable(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme(limits::cut(url.scheme(), 20).to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidUrl::Fragment);
        }
        if url.port() == Some(0) {
            return Err(InvalidUrl::PortZero);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_to() {
        assert!("https://example.com/hook?a=1".parse::<EndpointUrl>().is_ok());
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "https://me:pw@example.com/",
            "https://example.com:0/",
            "https://example.com/#x",
        ] {
            assert!(bad.parse::<EndpointUrl>().is_err(), "{bad:?}");
        }
    }
}
