//! Secrets at rest: XChaCha20-Poly1305 under the fleet's master key.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hookfleet_domain::Secret;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;

/// Seals secrets before they are stored, and opens them again.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

/// A text that is no master key. It is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the master key (HOOKFLEET_MASTER_KEY) is invalid: expected 64 hex digits")]
pub struct InvalidMasterKey;

/// A secret that could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The operating system gave no randomness.
    #[error("no randomness to seal a secret with")]
    NoRandomness,
    /// Sealed under another master key, for another record, or damaged.
    #[error("a sealed secret does not open: is HOOKFLEET_MASTER_KEY the one it was sealed under?")]
    WrongKey,
}

impl Sealer {
    /// Takes the master key, 64 hex digits.
    pub fn new(master_key: &Secret) -> Result<Self, InvalidMasterKey> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(master_key.expose().trim(), bytes.as_mut())
            .map_err(|_| InvalidMasterKey)?;
        Ok(Self(XChaCha20Poly1305::new(&Key::from(*bytes))))
    }

    /// Seals a secret for the record of that name, so that it opens in no other.
    pub fn seal(&self, record: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: record.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealError::WrongKey)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for the record of that name.
    pub fn open(&self, record: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(SealError::WrongKey)?;
        let nonce: &[u8; NONCE_BYTES] = nonce;
        let payload = Payload { msg: sealed, aad: record.as_bytes() };
        let bytes = self.0.decrypt(&XNonce::from(*nonce), payload);
        let bytes = Zeroizing::new(bytes.map_err(|_| SealError::WrongKey)?);
        let text = str::from_utf8(&bytes).map_err(|_| SealError::WrongKey)?;
        Ok(Secret::new(text))
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(digit: &str) -> Sealer {
        Sealer::new(&Secret::new(digit.repeat(64))).unwrap()
    }

    #[test]
    fn opens_only_under_its_key_and_for_its_record() {
        let secret = Secret::new("whsec_hush");
        let sealed = sealer("1").seal("ep_1/secret", &secret).unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        assert_eq!(sealer("1").open("ep_1/secret", &sealed), Ok(secret));
        assert_eq!(sealer("2").open("ep_1/secret", &sealed), Err(SealError::WrongKey));
        assert_eq!(sealer("1").open("ep_2/secret", &sealed), Err(SealError::WrongKey));
        assert_eq!(sealer("1").open("ep_1/secret", b"short"), Err(SealError::WrongKey));
    }

    #[test]
    fn a_master_key_has_64_hex_digits() {
        for bad in ["", "abc", &"g".repeat(64), &"1".repeat(63)] {
            assert!(Sealer::new(&Secret::new(bad)).is_err(), "{bad}");
        }
    }
}
