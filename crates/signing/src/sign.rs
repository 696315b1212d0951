//! Making signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::digest::CtOutput;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Key, PrivateKey};

/// A finished MAC.
type Tag = CtOutput<Hmac<Sha256>>;

/// `v1,`, the base64 of 32 bytes, and a space.
const ENTRY_BYTES: usize = 48;

/// HMAC-SHA256 over the parts, one after the other.
fn mac(key: &Key, parts: &[&[u8]]) -> Tag {
    let mut mac = key.0.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize()
}

/// The MAC over `ID.TIMESTAMP.BODY`.
fn standard_mac(key: &Key, id: &str, timestamp: &str, body: &[u8]) -> Tag {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    mac(key, &parts)
}

/// One Standard Webhooks entry without its version.
pub(crate) fn standard_entry(key: &Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    BASE64.encode(standard_mac(key, id, timestamp, body).as_bytes())
}

/// The header `webhook-signature` (Standard Webhooks): an entry `v1,BASE64` for each key, in the
/// order of the keys (newest first), separated by exactly one space. No keys make an empty text,
/// which is not to be sent.
///
/// The timestamp is that of the attempt. The id must hold no dot, or a part of it could be passed
/// off as the timestamp; receivers here refuse it.
pub fn sign_standard<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    id: &str,
    timestamp_unix_s: i64,
    body: &[u8],
) -> String {
    let timestamp = timestamp_unix_s.to_string();
    let mut header = String::with_capacity(ENTRY_BYTES);
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        BASE64.encode_string(standard_mac(key, id, &timestamp, body).as_bytes(), &mut header);
    }
    header
}

/// The entry `v1a,BASE64` of the asymmetric scheme for each key, in the order of the keys, separated
/// by exactly one space. It goes before the `v1` entries: reference libraries skip what they do not
/// know, but that for Elixir reads the header's last entry alone.
pub fn sign_standard_v1a<'k>(
    keys: impl IntoIterator<Item = &'k PrivateKey>,
    id: &str,
    timestamp_unix_s: i64,
    body: &[u8],
) -> String {
    let message = message(id, &timestamp_unix_s.to_string(), body);
    let entries = keys.into_iter().map(|key| format!("v1a,{}", BASE64.encode(key.sign(&message))));
    entries.collect::<Vec<_>>().join(" ")
}

/// `ID.TIMESTAMP.BODY`
pub(crate) fn message(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), timestamp.as_bytes(), body].join(&b'.')
}

/// Lower-case hex of the MAC over the body.
pub fn sign_hex(key: &Key, body: &[u8]) -> String {
    hex::encode(mac(key, &[body]).as_bytes())
}

/// `sha256=` and [`sign_hex`].
pub fn sign_sha256_hex(key: &Key, body: &[u8]) -> String {
    format!("sha256={}", sign_hex(key, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published with the reference libraries of Standard Webhooks: JavaScript, then Rust.
    #[test]
    fn standard_webhooks_vectors() {
        #[track_caller]
        fn check(secret: &str, id: &str, timestamp_unix_s: i64, body: &str, expected: &str) {
            let key = Key::standard(secret).unwrap();
            let signed = sign_standard(&[key], id, timestamp_unix_s, body.as_bytes());
            assert_eq!(signed, expected);
        }
        check(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        check(
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        );
    }

    /// RFC 4231, section 4, without test case 5: it cuts the tag, which no scheme does.
    #[test]
    fn rfc_4231_vectors() {
        #[track_caller]
        fn check(key: &[u8], data: &[u8], expected: &str) {
            let key = Key::of(key).unwrap();
            assert_eq!(sign_hex(&key, data), expected);
            assert_eq!(sign_sha256_hex(&key, data), format!("sha256={expected}"));
        }
        check(
            &[0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        );
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        );
        check(
            &std::array::from_fn::<u8, 25, _>(|i| u8::try_from(i).unwrap() + 1),
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
        check(
            &[0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        );
    }

    #[test]
    fn the_newest_key_signs_first() {
        let keys = [Key::text("new").unwrap(), Key::text("old").unwrap()];
        let both = sign_standard(&keys, "id", 1, b"{}");
        let [new, old] = keys.map(|key| sign_standard(&[key], "id", 1, b"{}"));
        assert_eq!(both, format!("{new} {old}"));
        assert_eq!(new.len() + 1, ENTRY_BYTES);
        assert_eq!(sign_standard(&[], "id", 1, b"{}"), "");
    }
}
