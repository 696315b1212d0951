//! Harness of the end-to-end tests: real broker, real store, real processes, raw receivers.
//!
//! Every test has a virtual host and a Redis database of its own, so that tests run side by side; or,
//! one after the other, those that somebody lends.

pub mod amqp;
pub mod borrowed;
pub mod client;
pub mod collector;
pub mod fleet;
pub mod openapi;
pub mod receiver;
pub mod services;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// HTTP clients need a TLS provider, though they speak to this machine alone.
pub fn install_tls() {
    // An error only means that another test of this process was first.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Can this program be run? `version` makes it tell its version.
pub async fn is_at_hand(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

/// Waits until `condition` answers `Some`, looking often; panics with `what` when it takes too long.
#[track_caller]
pub fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    condition: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let mut condition = condition;
        let end = Instant::now() + patience;
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            assert!(Instant::now() < end, "{caller}: not in {patience:?}: {what}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// Patience for what takes a moment.
pub const SOON: Duration = Duration::from_secs(20);
/// Patience for what takes a while: thousands of deliveries, a broker's restart.
pub const IN_A_WHILE: Duration = Duration::from_mins(4);
