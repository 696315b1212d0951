//! What every serving role tells of itself, beside what its parts count.

use prometheus::{IntGaugeVec, Opts, Registry, process_collector::ProcessCollector};

use crate::failure::Failure;

/// Registers the program's version and, on Linux, what the process uses.
pub fn register(registry: &Registry, role: &str) -> Result<(), Failure> {
    let help = "1; which program this is, and which role it plays.";
    let options = Opts::new("hookfleet_build_info", help);
    let registered = IntGaugeVec::new(options, &["version", "role"]).and_then(|build| {
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), role]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(ProcessCollector::for_self()))
    });
    registered.map_err(Failure::failed)
}

#[cfg(test)]
mod tests;
