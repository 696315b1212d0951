//! End-to-end tests through the public surface.

mod api;
mod backlog;
mod cli;
mod crash;
mod dead_letters;
mod delivery_limit;
mod fan_out;
mod isolation;
mod lifecycle;
mod outage;
mod plain_amqp;
mod profiles;
mod retries;
mod telemetry;
mod tidy;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_hookfleet-under-test");
