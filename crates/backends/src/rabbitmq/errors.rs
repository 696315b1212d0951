//! What a broker's errors mean to our caller.

use hookfleet_queue::QueueError;
use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// Access, permission and declaration errors need a person; everything else may pass.
pub fn queue_error(error: &lapin::Error) -> QueueError {
    let text = error.to_string();
    if is_lasting(error) { QueueError::Refused(text) } else { QueueError::Unavailable(text) }
}

fn is_lasting(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return false;
    };
    matches!(
        error.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED | AMQPSoftError::PRECONDITIONFAILED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    )
}

/// Is the queue in somebody's exclusive use?
pub fn is_locked(error: &lapin::Error) -> bool {
    is(error, &AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED))
}

/// Was a frame larger than was agreed on?
pub fn is_frame_error(error: &lapin::Error) -> bool {
    is(error, &AMQPErrorKind::Hard(AMQPHardError::FRAMEERROR))
}

fn is(error: &lapin::Error, kind: &AMQPErrorKind) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.kind() == kind)
}
