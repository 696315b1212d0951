//! What went through the queue, for a while after it was settled.

use std::time::Duration;

use async_trait::async_trait;
use hookfleet_domain::{Event, EventId};

use crate::{Queue, QueueError};

/// A reader of the archive.
#[async_trait]
pub trait Archive: Send {
    /// The next event; `None`: no more were there when the reading began.
    async fn next(&mut self) -> Result<Option<Event>, QueueError>;
}

/// How far around the time in its id an event is looked for: its publisher may have been slow.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_mins(1);

/// The archived event with this id. An id that is none of ours does not tell where to look, and is
/// not found.
pub async fn archived(queue: &dyn Queue, id: &EventId) -> Result<Option<Event>, QueueError> {
    let Some(made_at) = id.made_at() else {
        return Ok(None);
    };
    let mut archive = queue.archive_since(made_at.before(BEFORE)).await?;
    while let Some(event) = archive.next().await? {
        if event.id == *id {
            return Ok(Some(event));
        }
        if event.accepted_at > made_at.after(AFTER) {
            break;
        }
    }
    Ok(None)
}
