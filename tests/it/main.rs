//! End-to-end tests through the public surface.

/// Makes each of these two tests: one over RabbitMQ and Redis, one over SQLite.
macro_rules! on_both_backends {
    ($($test:ident),+ $(,)?) => {
        mod fleet {
            $(#[tokio::test]
            async fn $test() {
                super::$test(e2e::fleet::Fleet::started(crate::BINARY, 1).await).await;
            })+
        }
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test(e2e::fleet::Fleet::embedded(crate::BINARY).await).await;
            })+
        }
    };
}
use on_both_backends;

mod api;
mod backlog;
mod bench;
mod cli;
mod console;
mod crash;
mod dead_letters;
mod delivery_limit;
mod docs;
mod egress;
mod embedded;
mod events;
mod examples;
mod fan_out;
mod isolation;
mod lifecycle;
mod listen;
mod lists;
mod monitoring;
mod openapi;
mod operational;
mod outage;
mod plain_amqp;
mod preview;
mod profiles;
mod quick_start;
mod receivers;
mod resend;
mod retries;
mod secrets;
mod settling;
mod stats;
mod system;
mod telemetry;
mod terminal;
mod tidy;
mod tokens;
mod traces;
mod transfer;
mod upgrade;
mod verify;
mod visits;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_hookfleet-under-test");
