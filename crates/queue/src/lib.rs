//! The queue port: where accepted work lies until it is settled.
//!
//! Every accepted event is at any moment in exactly one of: the events queue, the deliveries queue,
//! a delay, a worker's hands (a [`Lease`] not yet settled), the dead letters; or it is settled.
//! A backend keeps that law by confirming a [`Queue::publish`] only once the message is durable, and
//! by handing a leased message out again whenever its lease ends without [`Lease::settle`].
//!
//! This crate names what we need, not how a product does it; the product stands behind it in
//! `backends`. What it does *not* do: remember what was delivered (that is the store's).

mod archive;
mod depth;
mod lease;
mod pauses;
pub mod search;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;

use async_trait::async_trait;
use hookfleet_domain::{
    DeadLetter, Delay, Delivery, Event, IdempotencyKey, Timestamp, TraceParent,
};

pub use archive::{Archive, archived};
pub use depth::{Depth, QueueKind};
pub use lease::{Lease, Receipt, Settle};
pub use pauses::Pauses;
pub use search::{Found, FoundEvent, Position, Search};

/// Something to be made durable.
#[derive(Debug, Clone, Copy)]
pub enum Outgoing<'a> {
    /// A new event.
    Event(&'a Event),
    /// A delivery of its own, to come after a delay.
    Delivery(&'a Delivery, Delay),
    /// Something that was given up.
    DeadLetter(&'a DeadLetter),
    /// A message that could not be read, once more to the events queue.
    Raw(&'a RawMessage),
    /// A message of a later version, byte for byte, to come again after a delay.
    Newer(&'a NewerMessage, Delay),
}

/// Something that was leased.
#[derive(Debug, Clone)]
pub enum Message {
    /// An event.
    Event(Event),
    /// An event of a plain client, which has no id yet.
    Draft(hookfleet_domain::Draft),
    /// A delivery whose time has come.
    Delivery(Delivery),
    /// One that a later version of this program wrote.
    Newer(NewerMessage),
    /// Bytes that are none of these.
    Malformed(RawMessage),
}

/// A message that a later version of this program wrote, and that this one leaves to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerMessage {
    /// Its version.
    pub version: u32,
    /// Its body.
    pub bytes: Vec<u8>,
    /// What travels beside it, if it is an event; else it is a delivery.
    pub event: Option<wire::Envelope>,
}

/// A message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Its body.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub error: String,
    /// Its idempotency key, if it had a valid one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Its place in a trace, if it had a valid one.
    pub trace: Option<TraceParent>,
}

/// Why a queue did not do what it was asked for. Variants say what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// Out of reach, or the connection broke: try again later. What was being published may or may
    /// not be durable: publish it again under the same id.
    #[error("queue is out of reach: {0}")]
    Unavailable(String),
    /// Too full to take anything in (memory or disk alarm): try again later.
    #[error("queue takes nothing in: {0}")]
    Blocked(String),
    /// It refuses us, and will go on doing so: a person must act.
    #[error("queue refuses: {0}")]
    Refused(String),
    /// Another pass over the dead letters is under way.
    #[error("another pass over the dead letters is under way")]
    PassBusy,
}

/// Whether a queue can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It can be read, but takes nothing in: why.
    Blocked(String),
    /// It cannot: why.
    Unavailable(String),
}

/// Where accepted work lies until it is settled.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Makes a message durable. Callers publish concurrently; a backend makes one round trip (or one
    /// disk flush) serve many. Returns only once the message is durable, so `Ok` is a promise.
    ///
    /// Not cancel-safe: a dropped call may or may not have published.
    async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError>;

    /// Begins to lease: events and due deliveries, at most `prefetch` of each kind unsettled.
    async fn leases(&self, prefetch: u16) -> Result<Box<dyn Leases>, QueueError>;

    /// Begins a pass over the dead letters: everything that was there when it began, once, and
    /// nothing that is put there meanwhile. One pass at a time in the whole fleet.
    async fn pass(&self) -> Result<Box<dyn Pass>, QueueError>;

    /// Reads the archive from about this time on (it may begin somewhat earlier), in the order in
    /// which events were accepted, more or less. Without an archive there is nothing in it.
    async fn archive_since(&self, since: Timestamp) -> Result<Box<dyn Archive>, QueueError>;

    /// Looks through the archive, the newest events first, as far as is done in some tenths of a second.
    /// What was accepted in the last moments may be missing.
    async fn search_archive(&self, search: &Search) -> Result<Found, QueueError>;

    /// How much waits, of each kind, in the whole fleet. Cheap enough to be asked every few seconds;
    /// a backend's own count may lag by some seconds.
    async fn depths(&self) -> Result<Vec<Depth>, QueueError>;

    /// Can it be used?
    fn readiness(&self) -> Readiness;
}

/// A worker's intake.
#[async_trait]
pub trait Leases: Send {
    /// The next message, waiting for one as long as it takes. After an error this intake is over.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    async fn next(&mut self) -> Result<Lease, QueueError>;

    /// Leases no more. What was leased can still be settled, or may, after a moment, be leased
    /// by others, too; what was fetched but not handed out goes back at once.
    async fn close(self: Box<Self>);
}

/// A pass over the dead letters.
#[async_trait]
pub trait Pass: Send {
    /// The next dead letter; `None` at the end. Whoever does not settle a letter's receipt leaves
    /// it among the dead letters.
    async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, QueueError>;
}
