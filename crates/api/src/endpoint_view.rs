//! An endpoint as callers see it: never with a secret, but for one that was just generated.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookfleet_domain::{
    Auth, BodyShape, DisabledReason, Endpoint, EndpointHealth, EndpointId, HeaderName, Method,
    Profile, ProjectId, Rate, RetrySchedule, Secret, Signature, Subscription, TenantId, Timestamp,
    duration_text,
};
use hookfleet_signing::StandardKeys;
use serde::Serialize;
use utoipa::ToSchema;

/// See the module.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a public JSON object")]
pub struct EndpointView {
    id: EndpointId,
    tenant: TenantId,
    project: Option<ProjectId>,
    name: Option<String>,
    url: String,
    profile: Profile,
    events: Vec<Subscription>,
    method: Method,
    body: BodyShape,
    signature: Signature,
    auth: AuthView,
    accept: Option<String>,
    event_header: Option<HeaderName>,
    idempotency_header: Option<HeaderName>,
    headers: BTreeMap<String, String>,
    timeout: String,
    retry: RetryView,
    rate_limit: Option<Rate>,
    max_in_flight: u32,
    require_https: bool,
    check_reachable: bool,
    active: bool,
    disabled_reason: Option<DisabledReason>,
    has_secret: bool,
    has_client_certificate: bool,
    /// What verifies the entries `v1a` of its signatures.
    public_key: Option<String>,
    /// Until when deliveries are signed with the secret before it, too.
    previous_secret_until: Option<Timestamp>,
    /// One that was just generated: in this answer and in no later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Failed attempts since the last success.
    #[serde(rename = "failureCount")]
    failure_count: u64,
    /// Open: deliveries wait for a time of their own; probing: one of them tries whether it can close.
    breaker: Breaker,
    /// When a delivery is tried next, while the breaker is open.
    next_attempt_at: Option<Timestamp>,
    /// Deliveries that were put off by the breaker or the rate, ever.
    deferred: u64,
    successes: u64,
    failures: u64,
    last_success_at: Option<Timestamp>,
    last_failure_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Breaker {
    Closed,
    Open,
    Probing,
}

#[derive(Debug, Serialize, ToSchema)]
struct RetryView {
    #[schema(value_type = Vec<String>)]
    schedule: RetrySchedule,
}

/// Without its token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AuthView {
    None {},
    Header { name: HeaderName },
    Query {},
}

impl EndpointView {
    /// What callers see of an endpoint.
    pub fn new(endpoint: Endpoint, health: EndpointHealth, now: Timestamp) -> Self {
        let breaker = match health.breaker_open_until {
            None => Breaker::Closed,
            Some(until) if until > now => Breaker::Open,
            Some(_) => Breaker::Probing,
        };
        let public_key = endpoint.secret.as_ref().map(|secret| public_key(&endpoint, secret));
        let settings = Arc::unwrap_or_clone(endpoint.settings);
        let headers = settings.headers.into_iter().map(|(name, value)| (name.into(), value));
        Self {
            id: endpoint.id,
            tenant: endpoint.tenant,
            project: endpoint.project,
            name: endpoint.name,
            url: endpoint.url.to_string(),
            profile: endpoint.profile,
            events: endpoint.events,
            method: settings.method,
            body: settings.body,
            signature: settings.signature,
            auth: endpoint.auth.into(),
            accept: settings.accept,
            event_header: settings.event_header,
            idempotency_header: settings.idempotency_header,
            headers: headers.collect(),
            timeout: duration_text(settings.timeout),
            retry: RetryView { schedule: settings.retry },
            rate_limit: settings.rate_limit,
            max_in_flight: settings.max_in_flight,
            require_https: settings.require_https,
            check_reachable: settings.check_reachable,
            active: endpoint.active,
            disabled_reason: endpoint.disabled_reason,
            public_key: public_key.flatten(),
            has_secret: endpoint.secret.is_some(),
            has_client_certificate: endpoint.client_certificate.is_some(),
            previous_secret_until: endpoint.retired_secret.map(|retired| retired.until),
            secret: None,
            failure_count: health.failure_count,
            breaker,
            next_attempt_at: health.breaker_open_until,
            deferred: health.deferred,
            successes: health.successes,
            failures: health.failures,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }

    /// With a secret that was just generated: in this answer and in no later one.
    #[must_use]
    pub fn with_secret(self, secret: Option<&Secret>) -> Self {
        Self { secret: secret.map(|secret| secret.expose().to_owned()), ..self }
    }
}

fn public_key(endpoint: &Endpoint, secret: &Secret) -> Option<String> {
    let keys = StandardKeys::read(secret.expose()).ok()?;
    let key = keys.v1a.filter(|_| endpoint.settings.signature == Signature::StandardV1a)?;
    Some(key.public_text())
}

impl From<Auth> for AuthView {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::None => Self::None {},
            Auth::Header { name, .. } => Self::Header { name },
            Auth::Query { .. } => Self::Query {},
        }
    }
}
