//! Webhook signatures: make, verify, rotate.
//!
//! Usable alone by receivers: no input or output, no clock, no runtime.
//!
//! | scheme | header | signed | with |
//! | --- | --- | --- | --- |
//! | [Standard Webhooks](https://www.standardwebhooks.com) | `v1,BASE64` | `ID.TIMESTAMP.BODY` | HMAC-SHA256 |
//! | the same, asymmetric | `v1a,BASE64` | `ID.TIMESTAMP.BODY` | ed25519 |
//! | plain hex | `HEX` | the body | HMAC-SHA256 |
//! | prefixed hex | `sha256=HEX` | the body | HMAC-SHA256 |
//!
//! HMAC is that of RFC 2104 and FIPS 180-4, ed25519 that of RFC 8032. While a secret is being
//! rotated, Standard Webhooks carries one entry per key, newest first, separated by one space; the
//! hex schemes have room for one signature. Entries of `v1a` come before those of `v1`: the reference
//! libraries skip versions that they do not know, but the one for Elixir reads the last entry alone.
//! That it is the oldest key's during a rotation hurts that library's users least: they go on
//! with the old secret until the time of grace is over, and change it then.

mod ed25519;
mod key;
mod sign;
mod verify;

pub use ed25519::{PrivateKey, PublicKey, StandardKeys};
pub use key::{Key, KeyError};
pub use sign::{sign_hex, sign_sha256_hex, sign_standard, sign_standard_v1a};
pub use verify::{
    Received, TOLERANCE_S, Tolerance, VerifyError, verify_hex, verify_sha256_hex, verify_standard,
    verify_standard_v1a,
};
