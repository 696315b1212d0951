//! Making signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Mac;

use crate::Key;

/// HMAC-SHA256 over the parts, one after the other.
fn mac(key: &Key, parts: &[&[u8]]) -> hmac::digest::CtOutput<hmac::Hmac<sha2::Sha256>> {
    let mut mac = key.0.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize()
}

/// One Standard Webhooks entry without its version: the base64 of the MAC over
/// `ID.TIMESTAMP.BODY`.
pub(crate) fn standard_entry(key: &Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    BASE64.encode(mac(key, &parts).into_bytes())
}

/// The header `webhook-signature` (Standard Webhooks): an entry `v1,BASE64` for each key, in the
/// order of the keys (newest first), separated by exactly one space.
pub fn sign_standard(keys: &[Key], id: &str, timestamp_unix_s: i64, body: &[u8]) -> String {
    let timestamp = timestamp_unix_s.to_string();
    let entry = |key| format!("v1,{}", standard_entry(key, id, &timestamp, body));
    keys.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// Lower-case hex of the MAC over the body.
pub fn sign_hex(key: &Key, body: &[u8]) -> String {
    hex::encode(mac(key, &[body]).into_bytes())
}

/// `sha256=` and [`sign_hex`].
pub fn sign_sha256_hex(key: &Key, body: &[u8]) -> String {
    format!("sha256={}", sign_hex(key, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published with the reference libraries of Standard Webhooks.
    #[test]
    fn standard_webhooks_vector() {
        let key = Key::standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign_standard(
            &[key],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 4231, test case 2.
    #[test]
    fn rfc_4231_vector() {
        let key = Key::text("Jefe").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign_hex(&key, b"what do ya want for nothing?"), expected);
        let prefixed = sign_sha256_hex(&key, b"what do ya want for nothing?");
        assert_eq!(prefixed, format!("sha256={expected}"));
    }

    #[test]
    fn the_newest_key_signs_first() {
        let keys = [Key::text("new").unwrap(), Key::text("old").unwrap()];
        let both = sign_standard(&keys, "id", 1, b"{}");
        let [new, old] = keys.map(|key| sign_standard(&[key], "id", 1, b"{}"));
        assert_eq!(both, format!("{new} {old}"));
    }
}
