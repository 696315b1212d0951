//! Names and ids. Ids of different kinds are different types, and a value of one is the proof
//! that it was checked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::ObjectBuilder;
use uuid::Uuid;

use crate::schema::{VISIBLE, WORD, text};
use crate::{Generation, Timestamp};

/// A text that cannot be the name or id it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is invalid: expected {expected}")]
pub struct InvalidName {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

/// A checked text that is cheap to clone.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        crate::schema::text_schema!($name, concat!($kind, ": ", $expected), $schema.0, $schema.1);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.into()));
                }
                let text = crate::limits::cut(text, 80).to_owned();
                Err(InvalidName { kind: $kind, text, expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// 1 to `chars_max` letters, digits, `_` or `-`.
fn is_word(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

name!(
    /// Whose events and endpoints these are. No dots: it is the first word of a routing key.
    TenantId,
    "tenant",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("acme")
);
name!(
    /// A part of a tenant, such as one website.
    ProjectId,
    "project",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("site-1")
);
name!(
    /// What an event is about: words joined by dots, such as `content.published`.
    EventType,
    "event type",
    "up to 128 characters: words of letters, digits, `_` or `-`, joined by dots",
    |text| text.len() <= 128 && text.split('.').all(|word| is_word(word, 128)),
    (text(r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", 128), "content.published")
);
name!(
    /// An event's id. Those that we make are `UUIDv7`: they sort by time and tell where in the
    /// archive to look.
    EventId,
    "event id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("01997b4e-7c00-7000-8000-000000000000")
);
name!(
    /// The publisher's own name for an event; it also travels as an HTTP header.
    IdempotencyKey,
    "idempotency key",
    "1 to 255 visible ASCII characters",
    |text| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
    (text(VISIBLE, 255), "42-1716206400")
);
name!(
    /// An endpoint's id.
    EndpointId,
    "endpoint id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("ep_01997b4e7c0070008000000000000000")
);
name!(
    /// A dead letter's id.
    DeadLetterId,
    "dead-letter id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("dl_5e20376f511a5249a18f4dbbdfb73650")
);
name!(
    /// The id of a replay, a discard or a reindex.
    JobId,
    "job id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("job_01997b4e7c0070008000000000000000")
);
name!(
    /// The id of an API token, which is not the token.
    TokenId,
    "token id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("tok_01997b4e7c0070008000000000000000")
);
name!(
    /// One running worker process: the owner of leases.
    WorkerId,
    "worker id",
    "1 to 64 letters, digits, `_` or `-`",
    |text| is_word(text, 64),
    word("w_01997b4e7c0070008000000000000000")
);

/// How a word is described to callers.
fn word(example: &'static str) -> (ObjectBuilder, &'static str) {
    (text(WORD, 64), example)
}

fn uuid_v7(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.unix_ms()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos))
}

impl EventId {
    /// When it was made, if it is one of ours.
    pub fn made_at(&self) -> Option<Timestamp> {
        let id = Uuid::try_parse(self.as_str()).ok()?;
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        let millis = seconds.checked_mul(1000)?.checked_add(u64::from(nanos / 1_000_000))?;
        i64::try_from(millis).ok().map(Timestamp::from_unix_ms)
    }

    /// The id of the event that tells of this dead letter: always the same one.
    pub fn about(letter: &DeadLetterId) -> Self {
        let name = format!("about/{letter}");
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).hyphenated().to_string().into())
    }

    /// A new id for an event accepted at `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(uuid_v7(now).hyphenated().to_string().into())
    }
}

impl EndpointId {
    /// A new id for an endpoint created at `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(format!("ep_{}", uuid_v7(now).simple()).into())
    }
}

impl JobId {
    /// A new id for a job asked for at `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(format!("job_{}", uuid_v7(now).simple()).into())
    }
}

impl TokenId {
    /// A new id for a token made at `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(format!("tok_{}", uuid_v7(now).simple()).into())
    }
}

impl WorkerId {
    /// A new id for a worker started at `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(format!("w_{}", uuid_v7(now).simple()).into())
    }
}

impl DeadLetterId {
    /// A new id for something that was never a delivery.
    pub fn generate(now: Timestamp) -> Self {
        Self(format!("dl_{}", uuid_v7(now).simple()).into())
    }

    /// The id of a delivery given up in this generation: always the same one, so that a worker
    /// that crashes between publishing the letter and recording it makes no second letter.
    pub fn of_delivery(event: &EventId, endpoint: &EndpointId, generation: Generation) -> Self {
        let name = format!("{event}/{endpoint}/{}", generation.get());
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Self(format!("dl_{}", id.simple()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr>(text: &str, valid: bool) {
        assert_eq!(text.parse::<T>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn names_are_checked() {
        check::<TenantId>("acme-1", true);
        check::<TenantId>("a.b", false);
        check::<TenantId>("", false);
        check::<EventType>("content.published", true);
        check::<EventType>("content..published", false);
        check::<EventType>(".", false);
        check::<EventType>("ping", true);
        check::<IdempotencyKey>("42-1716206400", true);
        check::<IdempotencyKey>("two words", false);
        check::<IdempotencyKey>(&"k".repeat(256), false);
    }

    #[test]
    fn event_ids_sort_by_time() {
        let early = EventId::generate(Timestamp::from_unix_ms(1_000));
        let late = EventId::generate(Timestamp::from_unix_ms(2_000));
        assert!(early < late);
        assert_eq!(late.made_at(), Some(Timestamp::from_unix_ms(2_000)));
        assert_eq!("ev-1".parse::<EventId>().unwrap().made_at(), None);
        check::<EventId>(early.as_str(), true);
    }

    #[test]
    fn a_delivery_dies_under_one_id_per_generation() {
        let now = Timestamp::from_unix_ms(0);
        let (event, endpoint) = (EventId::generate(now), EndpointId::generate(now));
        let first = DeadLetterId::of_delivery(&event, &endpoint, Generation::FIRST);
        assert_eq!(first, DeadLetterId::of_delivery(&event, &endpoint, Generation::FIRST));
        let second = Generation::FIRST.next();
        assert_ne!(first, DeadLetterId::of_delivery(&event, &endpoint, second));
    }
}
