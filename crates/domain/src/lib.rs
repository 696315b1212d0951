//! The nouns of webhook delivery and every decision about them.
//!
//! - An **event** is what a publisher sent: [`Event`].
//! - An **endpoint** is a registered URL with its settings: [`Endpoint`].
//! - A **delivery** is one event for one endpoint: [`Delivery`].
//! - An **attempt** is one HTTP request of a delivery; what it met is its [`Outcome`], what follows
//!   from that is the [`Verdict`].
//! - A **dead letter** is a delivery that was given up, with its reason: [`DeadLetter`].
//!
//! The guarantee that all of this serves: an accepted event is delivered at least once to every
//! endpoint that subscribed to it, or lies in the dead letters with its reason.
//!
//! No input or output happens here and no time is read: `now` is always an argument.

mod address;
mod dead_letter;
mod delay;
mod delivery;
mod duration;
mod endpoint;
mod event;
mod ids;
pub mod limits;
mod occurrence;
mod outcome;
mod patch;
mod profile;
mod rate;
mod retry;
mod rotation;
mod schema;
mod secret;
mod span;
mod subscription;
mod throttle;
mod time;
mod token;
mod trace;
mod url;

pub use address::{AddressPolicy, ForbiddenAddress};
pub use dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterReason, Remains};
pub use delay::Delay;
pub use delivery::{AttemptNumber, AttemptRecord, AttemptSummary, Delivery, Generation};
pub use duration::{DurationError, duration_text, parse_duration};
pub use endpoint::{DisabledReason, Endpoint, EndpointHealth, RetiredSecret};
pub use event::{Draft, Event, InvalidData};
pub use ids::{
    DeadLetterId, EndpointId, EventId, EventType, IdempotencyKey, InvalidName, JobId, ProjectId,
    TenantId, TokenId, WorkerId,
};
pub use occurrence::{FAILING_AFTER, Occurrence, is_operational};
pub use outcome::{Outcome, Verdict, Wish, judge, retry_after};
pub use patch::{EndpointPatch, EndpointPolicy, InvalidEndpoint};
pub use profile::{Auth, BodyShape, HeaderName, Method, Profile, Settings, Signature};
pub use rate::{Pacer, Rate};
pub use retry::RetrySchedule;
pub use rotation::Rotation;
pub use secret::Secret;
pub use span::{Attribute, Published, Span, SpanKind};
pub use subscription::Subscription;
pub use throttle::{
    BREAKER_HEAD_START, BREAKER_HORIZON, BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, BREAKER_OPENS_AFTER,
    BREAKER_STAGGER, Held, Passing, Throttle,
};
pub use time::{Clock, Timestamp};
pub use token::{Access, ApiToken};
pub use trace::{
    InvalidRatio, InvalidTraceParent, Place, SpanId, Spans, TraceId, TraceOptions, TraceParent,
    TraceRatio, Tracer,
};
pub use url::{EndpointUrl, InvalidUrl};
