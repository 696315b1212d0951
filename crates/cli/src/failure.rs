//! How a command fails: one line on stderr, and an exit code.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    OutOfReach = 5,
}

impl Failure {
    /// It did not work.
    pub fn failed(text: impl Display) -> Self {
        Self { kind: Kind::Failed, text: text.to_string() }
    }

    /// It was called wrongly.
    pub fn usage(text: impl Display) -> Self {
        Self { kind: Kind::Usage, text: text.to_string() }
    }

    /// What it was about is not there.
    pub fn not_found(text: impl Display) -> Self {
        Self { kind: Kind::NotFound, text: text.to_string() }
    }

    /// It was refused: authentication or policy.
    pub fn refused(text: impl Display) -> Self {
        Self { kind: Kind::Refused, text: text.to_string() }
    }

    /// Server, broker or store are out of reach.
    pub fn out_of_reach(text: impl Display) -> Self {
        Self { kind: Kind::OutOfReach, text: text.to_string() }
    }

    /// Was it called wrongly?
    pub fn is_usage(&self) -> bool {
        self.kind == Kind::Usage
    }

    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
