//! What Hookfleet itself tells a tenant about: operational events.
//!
//! They are delivered like any other event, to endpoints that ask for them by name: `endpoint.failing`,
//! `endpoint.*`. Neither `*` nor an empty list asks for them, for those mean what publishers send. None
//! is delivered to the endpoint that it is about, and none is about the delivery of another one: so
//! there are no loops.

use std::sync::Arc;

use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    DeadLetter, Delivery, DisabledReason, Endpoint, EndpointId, Event, EventId, EventType,
    InvalidName, ProjectId, TenantId, Timestamp,
};

/// Consecutive failed attempts after which an endpoint is said to be failing.
pub const FAILING_AFTER: u64 = 5;

const DISABLED: &str = "endpoint.disabled";
const FAILING: &str = "endpoint.failing";
const RECOVERED: &str = "endpoint.recovered";
const DEAD_LETTER: &str = "dead_letter.created";

/// Something that an operational event is about.
#[derive(Debug, Clone, Copy)]
pub enum Occurrence<'a> {
    /// An endpoint was switched off by us.
    Disabled(&'a Endpoint, DisabledReason),
    /// So many attempts in a row have failed.
    Failing(&'a Endpoint, u64),
    /// An attempt succeeded, after so many had failed.
    Recovered(&'a Endpoint, u64),
    /// A delivery was given up.
    Dead(&'a DeadLetter, &'a Delivery),
}

impl<'a> Occurrence<'a> {
    /// What the count of failures says after an attempt, if it says something new: after a success,
    /// how many came before it.
    pub fn of_count(endpoint: &'a Endpoint, success: bool, failure_count: u64) -> Option<Self> {
        if success {
            let failed = failure_count >= FAILING_AFTER;
            return failed.then_some(Self::Recovered(endpoint, failure_count));
        }
        (failure_count == FAILING_AFTER).then_some(Self::Failing(endpoint, failure_count))
    }

    /// The event's type.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Disabled(..) => DISABLED,
            Self::Failing(..) => FAILING,
            Self::Recovered(..) => RECOVERED,
            Self::Dead(..) => DEAD_LETTER,
        }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &'a TenantId {
        match self {
            Self::Disabled(endpoint, _)
            | Self::Failing(endpoint, _)
            | Self::Recovered(endpoint, _) => &endpoint.tenant,
            Self::Dead(_, delivery) => &delivery.event.tenant,
        }
    }

    /// The endpoint that it is about.
    pub fn endpoint(&self) -> &'a EndpointId {
        match self {
            Self::Disabled(endpoint, _)
            | Self::Failing(endpoint, _)
            | Self::Recovered(endpoint, _) => &endpoint.id,
            Self::Dead(_, delivery) => &delivery.endpoint,
        }
    }

    fn project(&self) -> Option<&'a ProjectId> {
        match self {
            Self::Disabled(endpoint, _)
            | Self::Failing(endpoint, _)
            | Self::Recovered(endpoint, _) => endpoint.project.as_ref(),
            Self::Dead(_, delivery) => delivery.event.project.as_ref(),
        }
    }

    /// Is this endpoint to be told?
    pub fn concerns(&self, endpoint: &Endpoint) -> bool {
        endpoint.active
            && endpoint.id != *self.endpoint()
            && (endpoint.project.is_none() || endpoint.project.as_ref() == self.project())
            && endpoint.events.iter().any(|wanted| wanted.names(self.event_type()))
    }

    /// The event. That of a dead letter has always the same id.
    ///
    /// # Errors
    /// None that can happen: names and data are ours.
    pub fn event(&self, now: Timestamp) -> Result<Event, InvalidName> {
        let id = match self {
            Self::Dead(letter, _) => EventId::about(&letter.id),
            Self::Disabled(..) | Self::Failing(..) | Self::Recovered(..) => EventId::generate(now),
        };
        Ok(Event {
            id,
            tenant: self.tenant().clone(),
            event_type: self.event_type().parse()?,
            project: self.project().cloned(),
            timestamp: now,
            accepted_at: now,
            idempotency_key: None,
            trace: None,
            data: self.data(),
        })
    }

    fn data(&self) -> Arc<RawValue> {
        let data = match self {
            Self::Disabled(endpoint, reason) => {
                json!({"endpoint_id": endpoint.id, "name": endpoint.name, "reason": reason})
            }
            Self::Failing(endpoint, count) | Self::Recovered(endpoint, count) => {
                json!({"endpoint_id": endpoint.id, "name": endpoint.name, "failure_count": count})
            }
            Self::Dead(letter, delivery) => json!({
                "dead_letter_id": letter.id,
                "endpoint_id": delivery.endpoint,
                "event_id": delivery.event.id,
                "event_type": delivery.event.event_type,
                "reason": letter.reason,
                "attempts": delivery.history.len(),
                "died_at": letter.died_at,
            }),
        };
        to_raw_value(&data).unwrap_or_else(|_| RawValue::NULL.to_owned()).into()
    }
}

/// Is an event of this type one of ours? A publisher's may have the same name: then nothing is told
/// about its deliveries.
pub fn is_operational(event_type: &EventType) -> bool {
    [DISABLED, FAILING, RECOVERED, DEAD_LETTER].contains(&event_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointPatch, EndpointPolicy, Secret};

    const NOW: Timestamp = Timestamp::from_unix_ms(0);

    fn endpoint(fields: &str) -> Endpoint {
        let patch: EndpointPatch =
            serde_json::from_str(&format!(r#"{{"url":"https://a.example",{fields}}}"#)).unwrap();
        let policy = &EndpointPolicy::default();
        let tenant = "acme".parse().unwrap();
        patch.create(tenant, NOW, policy, |_| Secret::new("s")).unwrap()
    }

    #[track_caller]
    fn check(listener: &str, expected: bool) {
        let failing = endpoint(r#""project":"site","name":"CMS""#);
        let occurrence = Occurrence::Failing(&failing, 5);
        assert_eq!(occurrence.concerns(&endpoint(listener)), expected, "{listener}");
    }

    #[test]
    fn who_asks_by_name_is_told() {
        check(r#""events":["endpoint.failing"]"#, true);
        check(r#""events":["a.b","endpoint.*"]"#, true);
        check(r#""events":["endpoint.failing"],"project":"site""#, true);
        check(r#""events":["endpoint.failing"],"project":"other""#, false);
        check(r#""events":["endpoint.failing"],"active":false"#, false);
        check(r#""events":["endpoint.disabled"]"#, false);
        check(r#""events":["*"]"#, false);
        check(r#""events":[]"#, false);
    }

    #[test]
    fn never_about_itself() {
        let failing = endpoint(r#""events":["endpoint.*"]"#);
        assert!(!Occurrence::Failing(&failing, 5).concerns(&failing));
    }

    #[test]
    fn a_count_says_something_new_once() {
        let it = endpoint(r#""name":null"#);
        let says = |success, count| {
            Occurrence::of_count(&it, success, count).map(|occurrence| occurrence.event_type())
        };
        assert_eq!(says(false, 4), None);
        assert_eq!(says(false, 5), Some(FAILING));
        assert_eq!(says(false, 6), None);
        assert_eq!(says(true, 4), None);
        assert_eq!(says(true, 9), Some(RECOVERED));
    }

    #[test]
    fn the_event() {
        let failing = endpoint(r#""project":"site","name":"CMS""#);
        let event = Occurrence::Failing(&failing, 5).event(NOW).unwrap();
        assert!(is_operational(&event.event_type));
        assert_eq!(event.project, failing.project);
        let expected =
            format!(r#"{{"endpoint_id":"{}","name":"CMS","failure_count":5}}"#, failing.id);
        let fields = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(fields(event.data.get()), fields(&expected));
    }
}
