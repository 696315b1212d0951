//! How a command fails: a line on stderr, what to do next on another, and an exit code.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    text: String,
    hint: Option<String>,
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
    fn new(kind: Kind, text: impl Display) -> Self {
        Self { kind, text: text.to_string(), hint: None }
    }

    /// And what to do next.
    #[must_use]
    pub fn next(self, hint: impl Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// What to do next, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// It did not work.
    pub fn failed(text: impl Display) -> Self {
        Self::new(Kind::Failed, text)
    }

    /// It was called wrongly.
    pub fn usage(text: impl Display) -> Self {
        Self::new(Kind::Usage, text)
    }

    /// What it was about is not there.
    pub fn not_found(text: impl Display) -> Self {
        Self::new(Kind::NotFound, text)
    }

    /// It was refused: authentication or policy.
    pub fn refused(text: impl Display) -> Self {
        Self::new(Kind::Refused, text)
    }

    /// Server, broker or store are out of reach.
    pub fn out_of_reach(text: impl Display) -> Self {
        Self::new(Kind::OutOfReach, text)
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
