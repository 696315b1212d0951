//! Registered URLs and their settings.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Auth, EndpointId, EndpointUrl, Event, Profile, ProjectId, Secret, Settings, Subscription,
    TenantId, Timestamp,
};

/// A registered URL with its settings.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The project whose events it gets; none: every event of the tenant.
    pub project: Option<ProjectId>,
    /// A name for people.
    pub name: Option<String>,
    /// Where it is reached.
    pub url: EndpointUrl,
    /// The preset that its settings began with.
    pub profile: Profile,
    /// Which events it wants; empty: all.
    pub events: Vec<Subscription>,
    /// Everything that decides how a delivery looks and when it is tried.
    pub settings: Arc<Settings>,
    /// How deliveries authenticate themselves.
    pub auth: Auth,
    /// The signing secret.
    pub secret: Option<Secret>,
    /// The secret before it, while receivers may still know no other.
    pub retired_secret: Option<Box<RetiredSecret>>,
    /// What deliveries present when it asks who connects: certificate, chain and key, as PEM.
    pub client_certificate: Option<Secret>,
    /// Does it get deliveries?
    pub active: bool,
    /// Why it does not, if it was not its owner's wish.
    pub disabled_reason: Option<DisabledReason>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1: a change is refused if somebody else's came before it.
    pub revision: u64,
}

/// A signing secret on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredSecret {
    /// The secret.
    pub secret: Secret,
    /// Signatures are made with it before this time.
    pub until: Timestamp,
}

/// Why an endpoint was switched off by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// It answered `410 Gone`.
    Gone,
}

/// What its attempts say of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// Failed attempts since the last success.
    pub failure_count: u64,
    /// Attempts that succeeded, ever.
    pub successes: u64,
    /// Attempts that failed, ever.
    pub failures: u64,
    /// When the last one succeeded.
    pub last_success_at: Option<Timestamp>,
    /// When the last one failed.
    pub last_failure_at: Option<Timestamp>,
    /// The breaker opened; until then it is open, after it an attempt tries whether it can close.
    pub breaker_open_until: Option<Timestamp>,
    /// Deliveries that were put off without an attempt, by the breaker or the rate, ever.
    pub deferred: u64,
}

impl Endpoint {
    /// Is this event to be delivered here?
    pub fn wants(&self, event: &Event) -> bool {
        self.active
            && self.tenant == event.tenant
            && (self.project.is_none() || self.project == event.project)
            && (self.events.is_empty()
                || self.events.iter().any(|wanted| wanted.matches(&event.event_type)))
    }

    /// The same endpoint, which holds what it has in common with another one in one place with it: thousands
    /// of a tenant's endpoints differ in little.
    #[must_use]
    pub fn sharing(mut self, with: Option<&Arc<Self>>) -> Arc<Self> {
        if let Some(other) = with.filter(|other| other.tenant == self.tenant) {
            self.tenant.clone_from(&other.tenant);
        }
        if let Some(other) = with.filter(|other| other.settings == self.settings) {
            self.settings.clone_from(&other.settings);
        }
        Arc::new(self)
    }

    /// The endpoint with a new secret. Where a request has room for two signatures (Standard
    /// Webhooks), those of the old one go along for `grace`; elsewhere it is over at once.
    #[must_use]
    pub fn rotated(self, secret: Secret, grace: Duration, now: Timestamp) -> Self {
        let until = now.after(grace);
        let both = self.settings.signature.is_standard() && until > now;
        let retired = self.secret.filter(|_| both);
        Self {
            retired_secret: retired.map(|secret| Box::new(RetiredSecret { secret, until })),
            secret: Some(secret),
            revision: self.revision + 1,
            updated_at: now,
            ..self
        }
    }

    /// The secrets to sign with at `now`, newest first.
    pub fn signing_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let retired = self.retired_secret.iter().filter(move |retired| retired.until > now);
        self.secret.iter().chain(retired.map(|retired| &retired.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointPatch, EndpointPolicy};

    fn endpoint(tenant: &str, timeout: &str) -> Endpoint {
        let json = format!(r#"{{"url":"https://a.example","timeout":"{timeout}"}}"#);
        let patch: EndpointPatch = serde_json::from_str(&json).unwrap();
        let (policy, now) = (EndpointPolicy::default(), Timestamp::from_unix_ms(0));
        patch.create(tenant.parse().unwrap(), now, &policy, |_| Secret::new("s")).unwrap()
    }

    #[test]
    fn endpoints_share_what_is_the_same_and_nothing_else() {
        let first = endpoint("acme", "3s").sharing(None);
        let like = endpoint("acme", "3s").sharing(Some(&first));
        assert!(Arc::ptr_eq(&first.settings, &like.settings));
        let slower = endpoint("acme", "4s").sharing(Some(&first));
        assert_eq!(slower.settings.timeout, Duration::from_secs(4));
        let other = endpoint("other", "3s").sharing(Some(&first));
        assert_eq!(other.tenant.as_str(), "other");
    }
}
