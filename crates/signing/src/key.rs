//! Signing keys.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// Keys of Standard Webhooks: 24 to 64 bytes, as its specification asks for.
const STANDARD_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A signing key, ready to sign.
#[derive(Clone)]
pub struct Key(pub(crate) Hmac<Sha256>);

/// A text that is no key. It is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form that Standard Webhooks gives to secrets.
    #[error("secret is invalid: expected `whsec_` and the base64 of 24 to 64 bytes")]
    NotStandard,
    /// No text at all.
    #[error("secret is empty")]
    Empty,
}

impl Key {
    /// `whsec_` and base64: the key is what the base64 decodes to (Standard Webhooks).
    pub fn standard(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::NotStandard)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::NotStandard)?);
        if !STANDARD_BYTES.contains(&bytes.len()) {
            return Err(KeyError::NotStandard);
        }
        Self::of(&bytes).ok_or(KeyError::NotStandard)
    }

    /// Any text: the key is its UTF-8 bytes.
    pub fn text(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        Self::of(text.as_bytes()).ok_or(KeyError::Empty)
    }

    /// The text of a new Standard Webhooks secret, out of random bytes.
    pub fn standard_text(random: &[u8; 32]) -> String {
        format!("{PREFIX}{}", BASE64.encode(random))
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert!(Key::standard(&Key::standard_text(&[7; 32])).is_ok());
        for bad in [
            "",
            "whsec_",
            "whsec_?",
            "whsec_AAAA",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(
                Key::standard(bad).err(),
                Some(KeyError::NotStandard),
                "{bad:?}"
            );
        }
        assert_eq!(Key::text("").err(), Some(KeyError::Empty));
        assert_eq!(format!("{:?}", Key::text("hush").unwrap()), "Key(…)");
    }
}
