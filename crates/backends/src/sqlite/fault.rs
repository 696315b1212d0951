//! What can be wrong with a file, and what its callers make of it.

use std::sync::Arc;

use hookfleet_queue::QueueError;
use hookfleet_store::StoreError;
use rusqlite::ErrorCode;

/// Why the file was not read or written. Cheap to clone: one fault may answer many callers.
#[derive(Debug, Clone)]
pub struct Fault {
    why: Arc<str>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Full, read-only, failing: may pass.
    Disk,
    /// Damaged, or used wrongly: a person must act.
    Content,
}

impl Fault {
    /// The process is ending.
    pub fn closed() -> Self {
        Self { why: "it is closed".into(), kind: Kind::Disk }
    }
}

impl From<&rusqlite::Error> for Fault {
    fn from(error: &rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::OutOfMemory,
            ) => Kind::Disk,
            _ => Kind::Content,
        };
        Self { why: error.to_string().into(), kind }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(&error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the database file cannot be used: {}", self.why)
    }
}

impl From<Fault> for QueueError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Disk => Self::Blocked(fault.to_string()),
            Kind::Content => Self::Refused(fault.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Disk => Self::Unavailable(fault.to_string()),
            Kind::Content => Self::Refused(fault.to_string()),
        }
    }
}
