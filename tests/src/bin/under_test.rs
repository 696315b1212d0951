//! The binary under test: `CARGO_BIN_EXE_*` exists only for a package's own binaries.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookfleet_cli::main()
}
