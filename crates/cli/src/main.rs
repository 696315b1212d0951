//! The one binary.

use std::process::ExitCode;

/// Events are a little longer than what glibc keeps at hand for each thread, and thousands of endpoints
/// leave its heap scattered: there, a delivery cost a fifth more.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hookfleet_cli::main()
}
