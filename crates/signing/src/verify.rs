//! Verifying signatures, in constant time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;

use crate::sign::{message, sign_hex, standard_entry};
use crate::{Key, PublicKey};

/// How far a timestamp may lie from the receiver's clock, in seconds: what the reference libraries
/// of Standard Webhooks use.
pub const TOLERANCE_S: u32 = 300;

/// Entries of a signature header that are looked at.
const ENTRIES_MAX: usize = 16;

/// What a receiver of Standard Webhooks got. A header that did not come is an empty text.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Header `webhook-id`.
    pub id: &'a str,
    /// Header `webhook-timestamp`: seconds since 1970.
    pub timestamp: &'a str,
    /// Header `webhook-signature`.
    pub signature: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// The receiver's clock and how far from it a timestamp may lie.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// Seconds since 1970.
    pub now_unix_s: i64,
    /// Seconds on either side; [`TOLERANCE_S`] is usual.
    pub seconds: u32,
}

/// Why a delivery must not be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing or not of the form that the scheme has.
    #[error("a signature header is malformed")]
    Malformed,
    /// It was sent too long ago: a replay, or a clock that is wrong.
    #[error("the timestamp is too old")]
    TimestampTooOld,
    /// It was sent in the future: a clock is wrong.
    #[error("the timestamp is in the future")]
    TimestampTooNew,
    /// Not signed with a key of ours, or changed on the way.
    #[error("the signature does not match")]
    Mismatch,
}

/// Verifies a delivery signed by Standard Webhooks: one `v1` entry must match one key. Entries of
/// other versions, and those past the 16th, are skipped. An id with a dot is refused: a part of it
/// could be a part of the timestamp. Ids are not remembered here: who must not act twice keeps them
/// for as long as a timestamp passes.
///
/// # Errors
/// Any [`VerifyError`]; nothing of the delivery may then be acted upon.
pub fn verify_standard(
    keys: &[Key],
    received: &Received<'_>,
    tolerance: Tolerance,
) -> Result<(), VerifyError> {
    received.check(tolerance)?;
    let expected = |key| standard_entry(key, received.id, received.timestamp, received.body);
    let expected: Vec<String> = keys.iter().map(expected).collect();
    received
        .one_entry("v1,", |signature| expected.iter().any(|expected| equal(expected, signature)))
}

/// Verifies a delivery by its sender's public keys: one `v1a` entry must match one of them. Otherwise
/// as [`verify_standard`].
///
/// # Errors
/// Any [`VerifyError`]; nothing of the delivery may then be acted upon.
pub fn verify_standard_v1a(
    keys: &[PublicKey],
    received: &Received<'_>,
    tolerance: Tolerance,
) -> Result<(), VerifyError> {
    received.check(tolerance)?;
    let message = message(received.id, received.timestamp, received.body);
    received.one_entry("v1a,", |signature| {
        let signature = BASE64.decode(signature).unwrap_or_default();
        keys.iter().any(|key| key.verifies(&message, &signature))
    })
}

impl Received<'_> {
    /// Are the id and the timestamp of a form that is signed, and is it not too long ago?
    fn check(&self, tolerance: Tolerance) -> Result<(), VerifyError> {
        if self.id.is_empty() || self.id.contains('.') {
            return Err(VerifyError::Malformed);
        }
        if !self.timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return Err(VerifyError::Malformed);
        }
        let timestamp: i64 = self.timestamp.parse().map_err(|_| VerifyError::Malformed)?;
        let allowed = i64::from(tolerance.seconds);
        if timestamp < tolerance.now_unix_s.saturating_sub(allowed) {
            return Err(VerifyError::TimestampTooOld);
        }
        if timestamp > tolerance.now_unix_s.saturating_add(allowed) {
            return Err(VerifyError::TimestampTooNew);
        }
        Ok(())
    }

    /// One entry of this version must match.
    fn one_entry(&self, version: &str, matches: impl Fn(&str) -> bool) -> Result<(), VerifyError> {
        let mut known_version = false;
        for entry in self.signature.split(' ').take(ENTRIES_MAX) {
            let Some(signature) = entry.strip_prefix(version) else {
                continue;
            };
            known_version = true;
            if matches(signature) {
                return Ok(());
            }
        }
        Err(if known_version { VerifyError::Mismatch } else { VerifyError::Malformed })
    }
}

/// Verifies lower-case hex over the body.
///
/// # Errors
/// [`VerifyError::Mismatch`], whatever else the header holds.
pub fn verify_hex(key: &Key, header: &str, body: &[u8]) -> Result<(), VerifyError> {
    if equal(&sign_hex(key, body), header) { Ok(()) } else { Err(VerifyError::Mismatch) }
}

/// Verifies `sha256=` and lower-case hex over the body.
///
/// # Errors
/// [`VerifyError::Malformed`] without the prefix, [`VerifyError::Mismatch`].
pub fn verify_sha256_hex(key: &Key, header: &str, body: &[u8]) -> Result<(), VerifyError> {
    let header = header.strip_prefix("sha256=").ok_or(VerifyError::Malformed)?;
    verify_hex(key, header, body)
}

fn equal(expected: &str, received: &str) -> bool {
    expected.as_bytes().ct_eq(received.as_bytes()).into()
}

#[cfg(test)]
mod tests;
