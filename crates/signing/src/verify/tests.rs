use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::{PrivateKey, sign_sha256_hex, sign_standard, sign_standard_v1a};

const NOW: i64 = 1_700_000_000;

fn key(text: &str) -> Key {
    Key::text(text).unwrap()
}

/// Verifies at [`NOW`], for the id `id` and the body `{}`.
fn verify(keys: &[Key], timestamp: &str, signature: &str) -> Result<(), VerifyError> {
    let received = Received { id: "id", timestamp, signature, body: b"{}" };
    let tolerance = Tolerance { now_unix_s: NOW, seconds: TOLERANCE_S };
    verify_standard(keys, &received, tolerance)
}

#[test]
fn one_known_entry_must_match() {
    #[track_caller]
    fn check(signature: &str, expected: Result<(), VerifyError>) {
        let verified = verify(&[key("k")], &NOW.to_string(), signature);
        assert_eq!(verified, expected, "{signature}");
    }
    let good = sign_standard(&[key("k")], "id", NOW, b"{}");
    let other = sign_standard(&[key("other")], "id", NOW, b"{}");
    let others = format!("{other} ").repeat(ENTRIES_MAX - 1);
    check(&good, Ok(()));
    check(&format!("{other} {good}"), Ok(()));
    check(&format!("v1a,AAAA {good}"), Ok(()));
    check(&format!("{others}{good}"), Ok(()));
    check(&format!("{others}{other} {good}"), Err(VerifyError::Mismatch));
    check(&other, Err(VerifyError::Mismatch));
    check("v1,", Err(VerifyError::Mismatch));
    check("", Err(VerifyError::Malformed));
    check("v2,AAAA", Err(VerifyError::Malformed));
}

#[test]
fn a_public_key_verifies_its_own_entry() {
    let [mine, other] = [[1; 32], [2; 32]]
        .map(|random| PrivateKey::standard(&PrivateKey::standard_text(&random)).unwrap());
    let public = PublicKey::standard(&mine.public_text()).unwrap();
    let check = |signature: &str, expected: Result<(), VerifyError>| {
        let timestamp = NOW.to_string();
        let received = Received { id: "id", timestamp: &timestamp, signature, body: b"{}" };
        let tolerance = Tolerance { now_unix_s: NOW, seconds: TOLERANCE_S };
        assert_eq!(verify_standard_v1a(&[public], &received, tolerance), expected, "{signature}");
    };
    let symmetric = sign_standard(&[key("k")], "id", NOW, b"{}");
    let both = sign_standard_v1a([&other, &mine], "id", NOW, b"{}");
    check(&both, Ok(()));
    check(&format!("{both} {symmetric}"), Ok(()));
    check(&sign_standard_v1a([&mine], "id", NOW, b"{1}"), Err(VerifyError::Mismatch));
    check(&sign_standard_v1a([&other], "id", NOW, b"{}"), Err(VerifyError::Mismatch));
    check("v1a,?", Err(VerifyError::Mismatch));
    check(&symmetric, Err(VerifyError::Malformed));
    let header = format!("{both} {symmetric}");
    assert_eq!(verify(&[key("k")], &NOW.to_string(), &header), Ok(()), "v1 is among them");
}

#[test]
fn a_timestamp_may_lie_as_far_off_as_tolerated() {
    #[track_caller]
    fn check(timestamp: i64, expected: Result<(), VerifyError>) {
        let signature = sign_standard(&[key("k")], "id", timestamp, b"{}");
        let verified = verify(&[key("k")], &timestamp.to_string(), &signature);
        assert_eq!(verified, expected);
    }
    check(NOW - 301, Err(VerifyError::TimestampTooOld));
    check(NOW - 300, Ok(()));
    check(NOW + 300, Ok(()));
    check(NOW + 301, Err(VerifyError::TimestampTooNew));
    check(0, Err(VerifyError::TimestampTooOld));
    check(i64::MAX, Err(VerifyError::TimestampTooNew));
}

/// Otherwise what is signed as (`a`, now, `7.{}`) is also signed as (`a.NOW`, 7, `{}`).
#[test]
fn parts_cannot_move_from_one_field_to_the_next() {
    let (key, id) = (key("k"), format!("a.{NOW}"));
    let signature = sign_standard(std::slice::from_ref(&key), "a", NOW, b"7.{}");
    let moved = Received { id: &id, timestamp: "7", signature: &signature, body: b"{}" };
    let tolerance = Tolerance { now_unix_s: 7, seconds: TOLERANCE_S };
    assert_eq!(verify_standard(&[key], &moved, tolerance), Err(VerifyError::Malformed));
}

#[test]
fn a_timestamp_is_a_whole_number_signed_as_written() {
    #[track_caller]
    fn check(timestamp: &str, expected: Result<(), VerifyError>) {
        let signature = sign_standard(&[key("k")], "id", NOW, b"{}");
        assert_eq!(verify(&[key("k")], timestamp, &signature), expected);
    }
    check("1700000000", Ok(()));
    check("1700000001", Err(VerifyError::Mismatch));
    check("01700000000", Err(VerifyError::Mismatch));
    check("+1700000000", Err(VerifyError::Malformed));
    check("-1700000000", Err(VerifyError::Malformed));
    check("1700000000.0", Err(VerifyError::Malformed));
    check("99999999999999999999", Err(VerifyError::Malformed));
    check("", Err(VerifyError::Malformed));
}

#[test]
fn either_side_of_a_rotation_may_switch_first() {
    #[track_caller]
    fn check(signs: &[&str], accepts: &[&str], expected: Result<(), VerifyError>) {
        let keys = |texts: &[&str]| texts.iter().map(|text| key(text)).collect::<Vec<_>>();
        let signature = sign_standard(&keys(signs), "id", NOW, b"{}");
        let verified = verify(&keys(accepts), &NOW.to_string(), &signature);
        assert_eq!(verified, expected);
    }
    check(&["new", "old"], &["old"], Ok(()));
    check(&["new", "old"], &["new"], Ok(()));
    check(&["old"], &["new", "old"], Ok(()));
    check(&["new"], &["new", "old"], Ok(()));
    check(&["old"], &["new"], Err(VerifyError::Mismatch));
    check(&["new", "old"], &["other"], Err(VerifyError::Mismatch));
    check(&["new"], &[], Err(VerifyError::Mismatch));
}

/// The bytes with one bit turned over.
fn flipped(bytes: &[u8], bit: Index) -> Vec<u8> {
    let bit = bit.index(bytes.len() * 8);
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// The ASCII text with one of its characters' seven bits turned over.
fn flipped_text(text: &str, bit: Index) -> String {
    let bit = bit.index(text.len() * 7);
    let mut bytes = text.as_bytes().to_vec();
    bytes[bit / 7] ^= 1 << (bit % 7);
    String::from_utf8(bytes).unwrap()
}

/// Any text, and texts that look like headers.
fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "-?[0-9]{0,20}",
        "(v1a?,[A-Za-z0-9+/]{40,44}=? ?){0,3}",
        "(sha256=)?[0-9a-fA-F]{62,66}",
    ]
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_one_bit_off_does(
        secret in ".{1,100}",
        id in "[A-Za-z0-9_-]{1,64}",
        body in prop::collection::vec(any::<u8>(), 1..300),
        now_unix_s in 0..i64::MAX,
        bit: Index,
    ) {
        let keys = [key(&secret)];
        let [key] = &keys;
        let timestamp = now_unix_s.to_string();
        let signature = sign_standard(&keys, &id, now_unix_s, &body);
        let received =
            Received { id: &id, timestamp: &timestamp, signature: &signature, body: &body };
        let tolerance = Tolerance { now_unix_s, seconds: 0 };
        let verify = |received| verify_standard(&keys, &received, tolerance);
        let (hex, sha256_hex) = (sign_hex(key, &body), sign_sha256_hex(key, &body));
        prop_assert_eq!(verify(received), Ok(()));
        prop_assert_eq!(verify_hex(key, &hex, &body), Ok(()));
        prop_assert_eq!(verify_sha256_hex(key, &sha256_hex, &body), Ok(()));

        let mismatch = Err(VerifyError::Mismatch);
        let body_off = flipped(&body, bit);
        prop_assert_eq!(verify(Received { body: &body_off, ..received }), mismatch);
        prop_assert_eq!(verify_hex(key, &hex, &body_off), mismatch);
        prop_assert_eq!(verify_sha256_hex(key, &sha256_hex, &body_off), mismatch);

        let signature_off = flipped_text(&signature, bit);
        let verified_off = verify(Received { signature: &signature_off, ..received });
        prop_assert!(verified_off.is_err());
        prop_assert!(verify_hex(key, &flipped_text(&hex, bit), &body).is_err());
        prop_assert!(verify_sha256_hex(key, &flipped_text(&sha256_hex, bit), &body).is_err());
    }

    #[test]
    fn outside_headers(
        id in header(), timestamp in header(), signature in header(), now_unix_s in 0..i64::MAX,
    ) {
        let (key, body) = (key("k"), b"{}");
        prop_assert!(verify_hex(&key, &signature, body).is_err());
        prop_assert!(verify_sha256_hex(&key, &signature, body).is_err());
        let received = Received { id: &id, timestamp: &timestamp, signature: &signature, body };
        let tolerance = Tolerance { now_unix_s, seconds: u32::MAX };
        prop_assert!(verify_standard(&[key], &received, tolerance).is_err());
    }
}
