//! Deliveries that were given up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AttemptSummary, DeadLetterId, Delivery, EndpointId, Event, EventId, EventType, IdempotencyKey,
    TenantId, Timestamp, TraceParent, limits,
};

/// Something that was given up, and why.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// Why it was given up.
    pub reason: DeadLetterReason,
    /// When.
    pub died_at: Timestamp,
    /// What was given up, whole.
    pub remains: Remains,
}

/// What a dead letter holds.
#[derive(Debug, Clone)]
pub enum Remains {
    /// A delivery with its history.
    Delivery(Delivery),
    /// An event that was never fanned out.
    Event(Arc<Event>),
    /// A message that no worker could read.
    Raw {
        /// Its bytes.
        bytes: Vec<u8>,
        /// What is wrong with them.
        error: String,
        /// Its idempotency key, if it had one.
        idempotency_key: Option<IdempotencyKey>,
        /// Its place in a trace, if it had one.
        trace: Option<TraceParent>,
    },
}

/// Why a delivery was given up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// The last attempt of its schedule failed.
    Exhausted,
    /// The endpoint was switched off when the delivery came due.
    EndpointInactive,
    /// The endpoint was deleted before the delivery came due.
    EndpointDeleted,
    /// The endpoint answered `410 Gone`.
    Gone,
    /// It waited longer than it was good for.
    Expired,
    /// The message could not be read.
    Malformed,
    /// The message was redelivered again and again: whoever took it did not survive it.
    Poison,
}

impl DeadLetterReason {
    /// Every reason, for metrics and help texts.
    pub const ALL: [Self; 7] = [
        Self::Exhausted,
        Self::EndpointInactive,
        Self::EndpointDeleted,
        Self::Gone,
        Self::Expired,
        Self::Malformed,
        Self::Poison,
    ];

    /// The name that callers see.
    pub fn label(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::EndpointInactive => "endpoint_inactive",
            Self::EndpointDeleted => "endpoint_deleted",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Poison => "poison",
        }
    }
}

impl DeadLetter {
    /// A delivery that was given up now.
    pub fn of_delivery(delivery: Delivery, reason: DeadLetterReason, now: Timestamp) -> Self {
        let (event, endpoint) = (&delivery.event.id, &delivery.endpoint);
        Self {
            id: DeadLetterId::of_delivery(event, endpoint, delivery.generation),
            reason,
            died_at: now,
            remains: Remains::Delivery(delivery),
        }
    }

    /// The event inside, where one could be read.
    pub fn event(&self) -> Option<&Event> {
        match &self.remains {
            Remains::Delivery(delivery) => Some(&delivery.event),
            Remains::Event(event) => Some(event),
            Remains::Raw { .. } => None,
        }
    }

    /// Whose it is, where that could be read.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.event().map(|event| &event.tenant)
    }

    /// The event's id, where one could be read.
    pub fn event_id(&self) -> Option<&EventId> {
        self.event().map(|event| &event.id)
    }

    /// The endpoint that it was for, if it was for one.
    pub fn endpoint(&self) -> Option<&EndpointId> {
        match &self.remains {
            Remains::Delivery(delivery) => Some(&delivery.endpoint),
            Remains::Event(_) | Remains::Raw { .. } => None,
        }
    }

    /// The attempts that were made, oldest first.
    pub fn attempts(&self) -> &[AttemptSummary] {
        match &self.remains {
            Remains::Delivery(delivery) => &delivery.history,
            Remains::Event(_) | Remains::Raw { .. } => &[],
        }
    }
}

/// Which dead letters are meant. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// For which endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// Of which type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventType>,
    /// Given up for which reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeadLetterReason>,
    /// Given up at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Given up before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Just these; at most [`limits::FILTER_IDS_MAX`]. A single one may be given as `id`.
    #[serde(default, alias = "id", deserialize_with = "bounded_ids")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::schema::ids)]
    pub ids: Vec<DeadLetterId>,
}

fn bounded_ids<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<DeadLetterId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        One(DeadLetterId),
        Many(Vec<DeadLetterId>),
    }
    let ids = match Ids::deserialize(from)? {
        Ids::One(id) => vec![id],
        Ids::Many(ids) => ids,
    };
    if ids.len() > limits::FILTER_IDS_MAX {
        let error = format!("{} ids are too many: at most {}", ids.len(), limits::FILTER_IDS_MAX);
        return Err(serde::de::Error::custom(error));
    }
    Ok(ids)
}

impl DeadLetterFilter {
    /// Is this letter meant?
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, actual: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| actual == Some(wanted))
        }
        same(self.tenant.as_ref(), letter.tenant())
            && same(self.endpoint.as_ref(), letter.endpoint())
            && same(self.event_type.as_ref(), letter.event().map(|event| &event.event_type))
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.since.is_none_or(|since| letter.died_at >= since)
            && self.until.is_none_or(|until| letter.died_at < until)
            && (self.ids.is_empty() || self.ids.contains(&letter.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        let remains = Remains::Raw {
            bytes: b"?".to_vec(),
            error: "no JSON".to_owned(),
            idempotency_key: None,
            trace: None,
        };
        DeadLetter {
            id: "dl_1".parse().unwrap(),
            reason: DeadLetterReason::Malformed,
            died_at: Timestamp::from_unix_ms(5_000),
            remains,
        }
    }

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let filter: DeadLetterFilter = serde_json::from_str(filter).unwrap();
        assert_eq!(filter.matches(&letter()), expected, "{filter:?}");
    }

    #[test]
    fn filters() {
        check("{}", true);
        check(r#"{"reason":"malformed"}"#, true);
        check(r#"{"reason":"exhausted"}"#, false);
        check(r#"{"tenant":"acme"}"#, false);
        check(r#"{"since":"1970-01-01T00:00:05Z","until":"1970-01-01T00:00:06Z"}"#, true);
        check(r#"{"until":"1970-01-01T00:00:05Z"}"#, false);
        check(r#"{"ids":["dl_1","dl_2"]}"#, true);
        check(r#"{"ids":["dl_2"]}"#, false);
        check(r#"{"id":"dl_1"}"#, true);
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<DeadLetterFilter>(r#"{"tennant":"acme"}"#).is_err());
    }
}
