//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookfleet_cli::main()
}
