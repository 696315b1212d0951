//! Which events an endpoint wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::EventType;
use crate::schema::{text, text_schema};

/// One pattern: an exact type, `prefix.*` for everything below a prefix, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subscription {
    /// `*`
    All,
    /// `content.*`: every type that begins with `content.`
    Below(EventType),
    /// `content.published`
    Exactly(EventType),
}

text_schema!(
    Subscription,
    "An event type, `prefix.*` or `*`.",
    text(r"^([*]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.[*])?)$", 128),
    "content.*"
);

/// A text that is not a subscription pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subscription {0:?} is invalid: expected an event type, `prefix.*` or `*`")]
pub struct InvalidSubscription(String);

impl Subscription {
    /// Does an event of this type match?
    pub fn matches(&self, event_type: &EventType) -> bool {
        *self == Self::All || self.names(event_type.as_str())
    }

    /// Does it ask for this type by name, not only for everything?
    pub(crate) fn names(&self, event_type: &str) -> bool {
        match self {
            Self::All => false,
            Self::Exactly(wanted) => wanted.as_str() == event_type,
            Self::Below(prefix) => {
                let rest = event_type.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}

impl FromStr for Subscription {
    type Err = InvalidSubscription;

    fn from_str(text: &str) -> Result<Self, InvalidSubscription> {
        if text == "*" {
            return Ok(Self::All);
        }
        let parsed = match text.strip_suffix(".*") {
            Some(prefix) => prefix.parse().map(Self::Below),
            None => text.parse().map(Self::Exactly),
        };
        parsed.map_err(|_| InvalidSubscription(crate::limits::cut(text, 80).to_owned()))
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
            Self::Exactly(event_type) => write!(f, "{event_type}"),
        }
    }
}

impl TryFrom<String> for Subscription {
    type Error = InvalidSubscription;

    fn try_from(text: String) -> Result<Self, InvalidSubscription> {
        text.parse()
    }
}

impl From<Subscription> for String {
    fn from(subscription: Subscription) -> String {
        subscription.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, event_type: &str, expected: bool) {
        let pattern: Subscription = pattern.parse().unwrap();
        assert_eq!(pattern.matches(&event_type.parse().unwrap()), expected, "{pattern}");
    }

    #[test]
    fn patterns() {
        check("*", "content.published", true);
        check("content.*", "content.published", true);
        check("content.*", "content.block.added", true);
        check("content.*", "content", false);
        check("content.*", "contents.published", false);
        check("content.published", "content.published", true);
        check("content.published", "content.updated", false);
        for bad in ["", "con*", "*.published", "a..b"] {
            assert!(bad.parse::<Subscription>().is_err(), "{bad:?}");
        }
    }
}
