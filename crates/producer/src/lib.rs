//! Takes an event in: validate, deduplicate, publish. The library that other Rust services use.
