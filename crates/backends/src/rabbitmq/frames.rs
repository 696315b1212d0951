//! How large the frames are for which a connection has room.
//!
//! lapin keeps room for 64 of them: with the 128 KiB that RabbitMQ allows that is 8 MiB, and our own
//! messages need less. But what others publish may have headers of a whole frame of theirs. The first
//! such message breaks the connection that consumes it; the next one has room for all that the broker
//! may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lapin::uri::AMQPUri;

use super::errors::is_frame_error;

const BYTES_MAX: u32 = 16 * 1024;

/// Did a larger one come?
#[derive(Debug, Clone, Default)]
pub struct Frames(Arc<AtomicBool>);

impl Frames {
    /// Looks whether a connection broke because of one.
    pub fn heed(&self, error: &lapin::Error) {
        if is_frame_error(error) {
            tracing::info!(
                "a message has headers that need large frames: from now on they have room"
            );
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Where to consume.
    pub fn to_consume(&self, uri: &AMQPUri) -> AMQPUri {
        if self.0.load(Ordering::Relaxed) { uri.clone() } else { small(uri) }
    }
}

/// With room for frames of our own.
pub fn small(uri: &AMQPUri) -> AMQPUri {
    let mut uri = uri.clone();
    uri.query.frame_max.get_or_insert(BYTES_MAX);
    uri
}
