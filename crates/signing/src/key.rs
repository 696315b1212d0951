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

/// A signing key, kept as the MAC's state after the key went in: a signature starts from a copy of
/// it and does not hash the key again. Not printable; wiped on drop, as are the copies.
#[derive(Clone)]
pub struct Key(pub(crate) Hmac<Sha256>);

/// A text that is no key. It is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form that Standard Webhooks gives to secrets.
    #[error("secret is invalid: expected `whsec_` and the base64 of 24 to 64 bytes")]
    NotStandard,
    /// Not of the form that Standard Webhooks gives to private keys.
    #[error("private key is invalid: expected `whsk_` and the base64 of 32 bytes")]
    NotPrivate,
    /// Not of the form that Standard Webhooks gives to public keys.
    #[error("public key is invalid: expected `whpk_` and the base64 of 32 bytes")]
    NotPublic,
    /// No text at all.
    #[error("secret is empty")]
    Empty,
}

impl Key {
    /// `whsec_` and padded base64: the key is what the base64 decodes to (Standard Webhooks).
    ///
    /// The prefix must stand, although some libraries do without: it tells such a secret from a
    /// plain text, which may decode too, to a key that the other side does not have.
    ///
    /// # Errors
    /// [`KeyError::NotStandard`]; its cause is left out, since it would quote a byte of the secret.
    pub fn standard(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::NotStandard)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::NotStandard)?);
        if !STANDARD_BYTES.contains(&bytes.len()) {
            return Err(KeyError::NotStandard);
        }
        Self::of(&bytes).ok_or(KeyError::NotStandard)
    }

    /// Any text: the key is its UTF-8 bytes.
    ///
    /// # Errors
    /// [`KeyError::Empty`].
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

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
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
    use hmac::digest::CtOutput;
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// Compiles only while the `zeroize` features of `hmac` and `sha2` are on.
    const _: () = {
        const fn wiped_on_drop<T: ZeroizeOnDrop>() {}
        wiped_on_drop::<Sha256>();
        wiped_on_drop::<CtOutput<Hmac<Sha256>>>();
    };

    #[test]
    fn keys() {
        assert!(Key::standard(&Key::standard_text(&[7; 32])).is_ok());
        for bad in ["", "whsec_", "whsec_?", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(Key::standard(bad).err(), Some(KeyError::NotStandard), "{bad:?}");
        }
        for (bytes, good) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("{PREFIX}{}", BASE64.encode(vec![7; bytes]));
            assert_eq!(Key::standard(&text).is_ok(), good, "{bytes} bytes");
        }
        assert_eq!(Key::text("").err(), Some(KeyError::Empty));
        assert_eq!(format!("{:?}", Key::text("hush").unwrap()), "Key(…)");
    }
}
