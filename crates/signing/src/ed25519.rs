//! Keys of Standard Webhooks' asymmetric scheme, `v1a`: ed25519 (RFC 8032).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::{Key, KeyError};

const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
const SEED_BYTES: usize = 32;
const PUBLIC_BYTES: usize = 32;
/// A seed with the public key behind it, as some write private keys.
const PAIR_BYTES: usize = SEED_BYTES + PUBLIC_BYTES;

/// A private key. Not printable. Few endpoints have one: where none is, it takes no room.
pub struct PrivateKey(Box<Ed25519KeyPair>);

/// A public key: what a receiver verifies with, and nobody can sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl PrivateKey {
    /// `whsk_` and the base64 of a 32-byte seed, with or without the public key behind it.
    ///
    /// # Errors
    /// [`KeyError::NotPrivate`].
    pub fn standard(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::NotPrivate)?;
        let bytes = Zeroizing::new(BASE64.decode(encoded).map_err(|_| KeyError::NotPrivate)?);
        let pair = match bytes.split_at_checked(SEED_BYTES) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) if bytes.len() == PAIR_BYTES => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            Some(_) | None => return Err(KeyError::NotPrivate),
        };
        pair.map(|pair| Self(Box::new(pair))).map_err(|_| KeyError::NotPrivate)
    }

    /// The text of a new key, out of random bytes.
    pub fn standard_text(random: &[u8; 32]) -> String {
        format!("{PRIVATE_PREFIX}{}", BASE64.encode(random))
    }

    /// The text of the public key that belongs to it: `whpk_` and base64.
    pub fn public_text(&self) -> String {
        format!("{PUBLIC_PREFIX}{}", BASE64.encode(self.0.public_key()))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> {
        self.0.sign(message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PublicKey {
    /// `whpk_` and base64.
    ///
    /// # Errors
    /// [`KeyError::NotPublic`].
    pub fn standard(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PUBLIC_PREFIX).ok_or(KeyError::NotPublic)?;
        let bytes = BASE64.decode(encoded).map_err(|_| KeyError::NotPublic)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::NotPublic)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

/// What Standard Webhooks are signed with.
#[derive(Debug)]
pub struct StandardKeys {
    /// For `v1`.
    pub v1: Key,
    /// For `v1a`, if there is one.
    pub v1a: Option<PrivateKey>,
}

impl StandardKeys {
    /// `whsec_…`, or `whsec_…,whsk_…`.
    ///
    /// # Errors
    /// [`KeyError::NotStandard`], [`KeyError::NotPrivate`].
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let (v1, v1a) = match text.split_once(',') {
            Some((v1, v1a)) => (v1, Some(v1a)),
            None => (text, None),
        };
        let v1a = v1a.map(PrivateKey::standard).transpose()?;
        Ok(Self { v1: Key::standard(v1)?, v1a })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn rfc_8032_vector() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let [seed, public] = [seed, public].map(|text| hex::decode(text).unwrap());
        for bytes in [seed.clone(), [seed.clone(), public.clone()].concat()] {
            let text = format!("{PRIVATE_PREFIX}{}", BASE64.encode(bytes));
            let key = PrivateKey::standard(&text).unwrap();
            assert_eq!(key.public_text(), format!("{PUBLIC_PREFIX}{}", BASE64.encode(&public)));
            assert_eq!(hex::encode(key.sign(&[0x72])), signature);
        }
        let public = PublicKey(public.try_into().unwrap());
        let signature = hex::decode(signature).unwrap();
        assert!(public.verifies(&[0x72], &signature));
        assert!(!public.verifies(&[0x73], &signature) && !public.verifies(&[0x72], &[]));
    }

    #[test]
    fn keys() {
        let good = PrivateKey::standard_text(&[7; 32]);
        let key = PrivateKey::standard(&good).unwrap();
        assert!(PublicKey::standard(&key.public_text()).is_ok());
        assert_eq!(format!("{key:?}"), "PrivateKey(…)");
        let wrong_pair = format!("{PRIVATE_PREFIX}{}", BASE64.encode([7; PAIR_BYTES]));
        for bad in ["", "whsk_", "whsk_AAAA", &good[5..], &wrong_pair, &key.public_text()] {
            assert_eq!(PrivateKey::standard(bad).err(), Some(KeyError::NotPrivate), "{bad:?}");
        }
        for bad in ["", "whpk_", "whpk_AAAA", &good] {
            assert_eq!(PublicKey::standard(bad).err(), Some(KeyError::NotPublic), "{bad:?}");
        }
    }
}
