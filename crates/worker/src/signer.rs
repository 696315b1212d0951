//! An endpoint's keys, made once per change of the endpoint and not once per delivery.

use hookfleet_domain::{Endpoint, HeaderName, RetiredSecret, Secret, Signature, Timestamp};
use hookfleet_signing::{
    Key, KeyError, StandardKeys, sign_hex, sign_sha256_hex, sign_standard, sign_standard_v1a,
};

/// Signs deliveries to one endpoint.
#[derive(Debug)]
pub enum Signer {
    /// No signature is asked for, or the endpoint has no secret.
    None,
    /// Standard Webhooks.
    Standard(Vec<Expiring>),
    /// Standard Webhooks with both kinds of keys. A secret without a private key leaves `v1` alone.
    StandardV1a(Vec<Expiring>),
    /// Hex over the body, alone or after `sha256=`.
    Hex { key: Box<Key>, header: HeaderName, prefixed: bool },
    /// The secret is no key: nothing is sent rather than something unsigned.
    Unusable(KeyError),
}

/// Keys, and the time until which they are used.
#[derive(Debug)]
pub struct Expiring {
    keys: StandardKeys,
    until: Option<Timestamp>,
}

/// Headers that carry a signature: name and value.
pub type SignatureHeaders<'a> = Vec<(&'a str, String)>;

impl Signer {
    pub fn new(endpoint: &Endpoint) -> Self {
        let Some(secret) = &endpoint.secret else {
            return Self::None;
        };
        Self::of(endpoint, secret).unwrap_or_else(Self::Unusable)
    }

    fn of(endpoint: &Endpoint, secret: &Secret) -> Result<Self, KeyError> {
        let hex = |header: &HeaderName, prefixed| {
            let key = Box::new(Key::text(secret.expose())?);
            Ok(Self::Hex { key, header: header.clone(), prefixed })
        };
        Ok(match &endpoint.settings.signature {
            Signature::None => Self::None,
            Signature::Standard => Self::Standard(standard_keys(endpoint, secret)?),
            Signature::StandardV1a => Self::StandardV1a(standard_keys(endpoint, secret)?),
            Signature::Hex { header } => hex(header, false)?,
            Signature::Sha256 { header } => hex(header, true)?,
        })
    }

    /// Signs a body that is sent at `now`.
    pub fn sign(
        &self,
        id: &str,
        now: Timestamp,
        body: &[u8],
    ) -> Result<SignatureHeaders<'_>, KeyError> {
        Ok(match self {
            Self::None => Vec::new(),
            Self::Unusable(error) => return Err(*error),
            Self::Hex { key, header, prefixed } => {
                let sign = if *prefixed { sign_sha256_hex } else { sign_hex };
                vec![(header.as_str(), sign(key, body))]
            }
            Self::Standard(keys) => {
                let v1 = alive(keys, now).map(|keys| &keys.v1);
                standard_headers(id, now, sign_standard(v1, id, now.unix_s(), body))
            }
            Self::StandardV1a(keys) => {
                let v1 = alive(keys, now).map(|keys| &keys.v1);
                let v1a = alive(keys, now).filter_map(|keys| keys.v1a.as_ref());
                let v1 = sign_standard(v1, id, now.unix_s(), body);
                let v1a = sign_standard_v1a(v1a, id, now.unix_s(), body);
                standard_headers(id, now, format!("{v1a} {v1}").trim_start().to_owned())
            }
        })
    }
}

/// The keys to sign with, newest first, each with the time until which it is used.
fn standard_keys(endpoint: &Endpoint, secret: &Secret) -> Result<Vec<Expiring>, KeyError> {
    let newest = StandardKeys::read(secret.expose())?;
    let mut keys = vec![Expiring { keys: newest, until: None }];
    if let Some(RetiredSecret { secret, until }) = endpoint.retired_secret.as_deref() {
        let keys_before = StandardKeys::read(secret.expose())?;
        keys.push(Expiring { keys: keys_before, until: Some(*until) });
    }
    Ok(keys)
}

fn alive(keys: &[Expiring], now: Timestamp) -> impl Iterator<Item = &StandardKeys> {
    keys.iter().filter(move |key| key.until.is_none_or(|until| until > now)).map(|key| &key.keys)
}

fn standard_headers(id: &str, now: Timestamp, signature: String) -> SignatureHeaders<'static> {
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.unix_s().to_string()),
        ("webhook-signature", signature),
    ]
}
