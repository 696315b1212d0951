//! A message in somebody's hands.

use std::fmt;

use async_trait::async_trait;

use crate::{Message, QueueError};

/// A message in a worker's hands. It comes again, to this worker or another, unless it is settled.
#[must_use = "settle the lease, or the message comes again"]
#[derive(Debug)]
pub struct Lease {
    /// What was leased.
    pub message: Message,
    /// How often it had been leased before and came back.
    pub redeliveries: u32,
    /// To be settled.
    pub receipt: Receipt,
}

impl Lease {
    /// Everything that follows from the message is durable: it need not come again.
    pub async fn settle(self) -> Result<(), QueueError> {
        self.receipt.settle().await
    }
}

/// What a backend does when a message is settled, or is not.
#[async_trait]
pub trait Settle: Send {
    /// Removes the message for good.
    async fn settle(self: Box<Self>) -> Result<(), QueueError>;
    /// Makes the message come again, now. Must not block.
    fn give_back(self: Box<Self>);
}

/// The duty to settle one message. Dropping it gives the message back, so that neither an early
/// return nor a panic can lose or hide one.
#[must_use = "settle the receipt, or the message comes again"]
pub struct Receipt(Option<Box<dyn Settle>>);

impl Receipt {
    /// Wraps a backend's own.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Some(Box::new(settle)))
    }

    /// The message need not come again.
    pub async fn settle(mut self) -> Result<(), QueueError> {
        match self.0.take() {
            Some(settle) => settle.settle().await,
            None => Ok(()),
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(settle) = self.0.take() {
            settle.give_back();
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
