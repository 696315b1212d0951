//! An endpoint's keys, made once per change of the endpoint and not once per delivery.

use std::iter;

use hookfleet_domain::{Endpoint, HeaderName, Secret, Signature, Timestamp};
use hookfleet_signing::{Key, KeyError, sign_hex, sign_sha256_hex, sign_standard};

/// Signs deliveries to one endpoint.
#[derive(Debug)]
pub enum Signer {
    /// No signature is asked for, or the endpoint has no secret.
    None,
    /// Standard Webhooks.
    Standard { newest: Key, retired: Option<(Key, Timestamp)> },
    /// Hex over the body, alone or after `sha256=`.
    Hex { key: Key, header: HeaderName, prefixed: bool },
    /// The secret is no key: nothing is sent rather than something unsigned.
    Unusable(KeyError),
}

/// Headers that carry a signature.
pub type SignatureHeaders = Vec<(String, String)>;

impl Signer {
    pub fn new(endpoint: &Endpoint) -> Self {
        let Some(secret) = &endpoint.secret else {
            return Self::None;
        };
        Self::of(endpoint, secret).unwrap_or_else(Self::Unusable)
    }

    fn of(endpoint: &Endpoint, secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose();
        Ok(match &endpoint.settings.signature {
            Signature::None => Self::None,
            Signature::Standard => {
                let retired = endpoint.retired_secret.as_ref();
                let retired = retired.map(|retired| {
                    Key::standard(retired.secret.expose()).map(|key| (key, retired.until))
                });
                Self::Standard { newest: Key::standard(text)?, retired: retired.transpose()? }
            }
            Signature::Hex { header } => {
                Self::Hex { key: Key::text(text)?, header: header.clone(), prefixed: false }
            }
            Signature::Sha256 { header } => {
                Self::Hex { key: Key::text(text)?, header: header.clone(), prefixed: true }
            }
        })
    }

    /// Signs a body that is sent at `now`.
    pub fn sign(
        &self,
        id: &str,
        now: Timestamp,
        body: &[u8],
    ) -> Result<SignatureHeaders, KeyError> {
        Ok(match self {
            Self::None => Vec::new(),
            Self::Unusable(error) => return Err(*error),
            Self::Hex { key, header, prefixed } => {
                let sign = if *prefixed { sign_sha256_hex } else { sign_hex };
                vec![(header.as_str().to_owned(), sign(key, body))]
            }
            Self::Standard { newest, retired } => {
                let retired = retired.iter().filter(|(_, until)| *until > now);
                let keys: Vec<Key> =
                    iter::once(newest).chain(retired.map(|(key, _)| key)).cloned().collect();
                vec![
                    ("webhook-id".to_owned(), id.to_owned()),
                    ("webhook-timestamp".to_owned(), now.unix_s().to_string()),
                    ("webhook-signature".to_owned(), sign_standard(&keys, id, now.unix_s(), body)),
                ]
            }
        })
    }
}
