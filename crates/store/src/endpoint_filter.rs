//! Which of a tenant's endpoints are looked for.

use hookfleet_domain::{EventType, ProjectId};

use crate::StoreError;
use crate::wire::{EndpointGlance, glance_at_endpoint};

/// Which endpoints; a part that is none admits all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Switched on, or off.
    pub active: Option<bool>,
    /// That want events of this type.
    pub event_type: Option<EventType>,
    /// Whose name, URL or id holds this text, in any case.
    pub search: Option<String>,
}

impl EndpointFilter {
    /// Does it admit every endpoint? Then records need not be looked at one by one.
    pub fn admits_all(&self) -> bool {
        *self == Self::default()
    }

    /// Does it admit the endpoint of this record? Its secrets stay sealed. `key` names the record in
    /// errors.
    pub fn admits(&self, key: &str, record: &[u8]) -> Result<bool, StoreError> {
        if self.admits_all() {
            return Ok(true);
        }
        Ok(self.matches(&glance_at_endpoint(key, record)?))
    }

    fn matches(&self, endpoint: &EndpointGlance) -> bool {
        let wants = |event_type: &EventType| {
            endpoint.events.is_empty()
                || endpoint.events.iter().any(|wanted| wanted.matches(event_type))
        };
        (self.project.is_none() || self.project == endpoint.project)
            && self.active.is_none_or(|active| active == endpoint.active)
            && self.event_type.as_ref().is_none_or(wants)
            && self.search.as_ref().is_none_or(|text| holds(endpoint, text))
    }
}

fn holds(endpoint: &EndpointGlance, text: &str) -> bool {
    let text = text.to_lowercase();
    let name = endpoint.name.as_deref().unwrap_or_default();
    let texts = [name, &endpoint.url, endpoint.id.as_str()];
    texts.iter().any(|other| other.to_lowercase().contains(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &EndpointFilter, expected: bool) {
        let record = br#"{"v":1,"id":"ep_1","tenant":"acme","project":"shop","name":"Tills \u00c4",
            "url":"https://Receiver.example/hook","events":["order.*"],"active":true,
            "secret":"nothing that could be opened"}"#;
        assert_eq!(filter.admits("k", record).unwrap(), expected, "{filter:?}");
    }

    #[test]
    fn every_part_must_match() {
        let all = EndpointFilter::default;
        check(&all(), true);
        for (project, expected) in [("shop", true), ("site", false)] {
            check(&EndpointFilter { project: Some(project.parse().unwrap()), ..all() }, expected);
        }
        for (active, expected) in [(true, true), (false, false)] {
            check(&EndpointFilter { active: Some(active), ..all() }, expected);
        }
        for (kind, expected) in [("order.paid", true), ("orders.paid", false)] {
            check(&EndpointFilter { event_type: Some(kind.parse().unwrap()), ..all() }, expected);
        }
        for (text, expected) in
            [("TILLS ä", true), ("receiver.EX", true), ("EP_1", true), ("x", true), ("y", false)]
        {
            check(&EndpointFilter { search: Some(text.to_owned()), ..all() }, expected);
        }
        let both =
            EndpointFilter { active: Some(false), search: Some("tills".to_owned()), ..all() };
        check(&both, false);
    }

    #[test]
    fn a_record_of_a_later_version_is_left_alone() {
        let filter = EndpointFilter { active: Some(true), ..EndpointFilter::default() };
        let read = filter.admits("k", br#"{"v":99,"id":7}"#);
        assert!(matches!(read, Err(StoreError::Newer { version: 99, .. })), "{read:?}");
    }
}
