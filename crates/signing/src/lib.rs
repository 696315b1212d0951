//! Webhook signatures: make, verify, rotate.
//!
//! Usable alone by receivers: no input or output, no clock, no runtime. Every scheme is HMAC-SHA256
//! (RFC 2104, FIPS 180-4):
//!
//! | scheme | header | signed |
//! | --- | --- | --- |
//! | [Standard Webhooks](https://www.standardwebhooks.com) | `v1,BASE64` | `ID.TIMESTAMP.BODY` |
//! | plain hex | `HEX` | the body |
//! | prefixed hex | `sha256=HEX` | the body |
//!
//! While a secret is being rotated, Standard Webhooks carries one entry per key, newest first,
//! separated by one space; the hex schemes have room for one signature.

mod key;
mod sign;
mod verify;

pub use key::{Key, KeyError};
pub use sign::{sign_hex, sign_sha256_hex, sign_standard};
pub use verify::{
    Received, TOLERANCE_S, Tolerance, VerifyError, verify_hex, verify_sha256_hex, verify_standard,
};
