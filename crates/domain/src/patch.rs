//! What callers may say of an endpoint: to create it, or to change it.

mod check;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::profile::InvalidHeader;
use crate::schema;
use crate::{
    AddressPolicy, Auth, BodyShape, Endpoint, EndpointId, EndpointUrl, ForbiddenAddress,
    HeaderName, InvalidUrl, Method, Profile, ProjectId, Rate, RetrySchedule, Secret, Settings,
    Signature, Subscription, TenantId, Timestamp, limits,
};

pub(crate) use check::checked_secret;
use check::{check, checked_headers, refuse_reserved};

/// The fields of an endpoint that callers set. An absent field keeps what is there (on creation:
/// what the profile says); `null` clears a field that can be empty.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent and null mean different things (RFC 7396)")]
pub struct EndpointPatch {
    /// Where it is reached: https, or http where the operator and the profile allow it.
    #[serde(default, deserialize_with = "url")]
    #[schema(schema_with = schema::url)]
    url: Option<String>,
    /// The preset that all other settings begin with.
    profile: Option<Profile>,
    /// A name for people.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(max_length = 200)]
    name: Option<Option<String>>,
    /// The project whose events it gets; none: every event of the tenant.
    #[serde(default, deserialize_with = "nullable")]
    project: Option<Option<ProjectId>>,
    /// Which events it wants; none: all.
    #[schema(max_items = 100)]
    events: Option<Vec<Subscription>>,
    /// Signs its deliveries. With the signature `standard`: `whsec_` and the base64 of 24 to 64 bytes;
    /// with `standard_v1a` also, behind a comma, `whsk_` and the base64 of an ed25519 seed, or one is
    /// generated.
    #[serde(default, deserialize_with = "secret")]
    #[schema(schema_with = schema::secret)]
    secret: Option<Secret>,
    /// How deliveries authenticate themselves.
    auth: Option<AuthPatch>,
    /// What deliveries present when the endpoint asks who connects (mutual TLS). Never shown again.
    #[serde(default, deserialize_with = "nullable")]
    client_certificate: Option<Option<CertificatePatch>>,
    /// Of the request.
    method: Option<Method>,
    /// Further headers of its own.
    #[schema(schema_with = schema::headers)]
    headers: Option<BTreeMap<String, String>>,
    /// What the body is made of.
    body: Option<BodyShape>,
    /// How deliveries are signed.
    signature: Option<Signature>,
    /// The header `Accept`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(schema_with = schema::accept)]
    accept: Option<Option<String>>,
    /// The header that carries the event's type.
    #[serde(default, deserialize_with = "nullable")]
    event_header: Option<Option<HeaderName>>,
    /// The header that carries the event's idempotency key.
    #[serde(default, deserialize_with = "nullable")]
    idempotency_header: Option<Option<HeaderName>>,
    /// What one attempt may take: 100ms to 2m.
    #[schema(schema_with = schema::timeout)]
    timeout: Option<DurationText>,
    /// When a failed delivery is tried again.
    retry: Option<RetryPatch>,
    /// The most deliveries that it takes.
    #[serde(default, deserialize_with = "nullable")]
    rate_limit: Option<Option<Rate>>,
    /// The most requests that a worker has under way to it.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1000)]
    max_in_flight: Option<u32>,
    /// Refuse a URL that is not https.
    require_https: Option<bool>,
    /// Refuse a URL that nobody answers at.
    check_reachable: Option<bool>,
    /// Does it get deliveries?
    active: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct DurationText(#[serde(with = "crate::duration::text")] pub Duration);

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Retry)]
struct RetryPatch {
    schedule: RetrySchedule,
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Auth)]
enum AuthPatch {
    None {},
    Header {
        /// `Authorization` sends `Bearer TOKEN`, any other name the bare token.
        name: Option<HeaderName>,
        #[schema(schema_with = schema::secret)]
        token: String,
    },
    Query {
        #[schema(schema_with = schema::secret)]
        token: String,
    },
}

/// Without the token.
impl std::fmt::Debug for AuthPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthPatch(…)")
    }
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientCertificate)]
struct CertificatePatch {
    /// The certificate, and behind it those of the authorities in between, as PEM.
    #[schema(schema_with = schema::certificate)]
    certificate: String,
    /// Its private key, as PEM, not encrypted.
    #[schema(schema_with = schema::private_key)]
    key: String,
}

/// Without the key.
impl std::fmt::Debug for CertificatePatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CertificatePatch(…)")
    }
}

/// In JSON `3.0` is as whole as `3`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let expected = || D::Error::custom(format!("{number}: expected a whole number"));
    number.to_string().parse().map(Some).map_err(|_| expected())
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

pub(crate) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(Secret::new(text)))
}

/// Tells an absent field (`None`) from `null` (`Some(None)`).
#[expect(clippy::option_option, reason = "absent and null mean different things (RFC 7396)")]
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A patch that makes no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// An endpoint needs a URL.
    #[error("url is missing")]
    UrlMissing,
    /// Its URL is unusable.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A header's name is unusable.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The profile, or a setting, asks for https.
    #[error("url must be https: profile or `require_https` asks for it")]
    HttpsRequired,
    /// Plain http is off on this fleet.
    #[error("url must be https: the operator does not allow http (HOOKFLEET_ALLOW_HTTP)")]
    HttpNotAllowed,
    /// Its URL shows an address, or `localhost`, that this fleet does not send to.
    #[error("url is refused: {0}")]
    Forbidden(#[from] ForbiddenAddress),
    /// A value that is right by itself, beside another one that it cannot stand with.
    #[error("{field} is in conflict: {why}")]
    Conflict {
        /// Which field.
        field: &'static str,
        /// With what.
        why: String,
    },
    /// A field has a value outside its bounds.
    #[error("{field} is invalid: {why}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it and what is expected; never the value of a secret.
        why: String,
    },
}

pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> InvalidEndpoint {
    InvalidEndpoint::Field { field, why: why.into() }
}

/// What the operator allows on this fleet.
#[derive(Debug, Clone, Default)]
pub struct EndpointPolicy {
    /// May a URL be plain http?
    pub allow_http: bool,
    /// Which addresses may it be at? What a URL does not show is checked when connecting.
    pub addresses: AddressPolicy,
}

impl EndpointPatch {
    /// A new endpoint. `generate` makes a signing secret of the right form where the profile wants
    /// one and none was given.
    pub fn create(
        self,
        tenant: TenantId,
        now: Timestamp,
        policy: &EndpointPolicy,
        generate: impl FnOnce(&Signature) -> Secret,
    ) -> Result<Endpoint, InvalidEndpoint> {
        let url = self.url.as_deref().ok_or(InvalidEndpoint::UrlMissing)?.parse::<EndpointUrl>()?;
        let profile = self.profile.unwrap_or_default();
        let blank = Endpoint {
            id: EndpointId::generate(now),
            tenant,
            project: None,
            name: None,
            url,
            profile,
            events: Vec::new(),
            settings: Arc::new(profile.settings()),
            auth: Auth::None,
            secret: None,
            retired_secret: None,
            client_certificate: None,
            active: true,
            disabled_reason: None,
            created_at: now,
            updated_at: now,
            revision: 0,
        };
        let mut endpoint = Self { profile: None, ..self }.apply(blank, now, policy)?;
        let signs = endpoint.settings.signature != Signature::None;
        if signs && endpoint.secret.is_none() && profile.generates_secret() {
            endpoint.secret = Some(generate(&endpoint.settings.signature));
        }
        Ok(endpoint)
    }

    /// The endpoint after this change. A change of `profile` begins with that profile's settings
    /// anew; the other fields of the same patch come on top.
    pub fn apply(
        self,
        endpoint: Endpoint,
        now: Timestamp,
        policy: &EndpointPolicy,
    ) -> Result<Endpoint, InvalidEndpoint> {
        let mut endpoint = endpoint;
        if let Some(profile) = self.profile {
            endpoint.profile = profile;
            endpoint.settings = Arc::new(profile.settings());
        }
        if let Some(url) = &self.url {
            endpoint.url = url.parse()?;
            policy.addresses.check_url(&endpoint.url)?;
        }
        if let Some(active) = self.active {
            endpoint.active = active;
            endpoint.disabled_reason = None;
        }
        set(&mut endpoint.name, self.name.clone());
        set(&mut endpoint.project, self.project.clone());
        set(&mut endpoint.events, self.events.clone());
        if let Some(secret) = &self.secret {
            endpoint.secret = Some(checked_secret("secret", secret.expose())?);
            endpoint.retired_secret = None;
        }
        if let Some(auth) = self.auth.clone() {
            endpoint.auth = auth.check()?;
        }
        if let Some(given) = self.client_certificate.clone() {
            endpoint.client_certificate = given.map(CertificatePatch::check).transpose()?;
        }
        self.apply_settings(Arc::make_mut(&mut endpoint.settings))?;
        endpoint.revision += 1;
        endpoint.updated_at = now;
        check(&endpoint, policy)?;
        Ok(endpoint)
    }

    fn apply_settings(self, settings: &mut Settings) -> Result<(), InvalidEndpoint> {
        if let Some(headers) = self.headers {
            settings.headers = checked_headers(headers)?;
        }
        set(&mut settings.method, self.method);
        set(&mut settings.body, self.body);
        set(&mut settings.signature, self.signature);
        set(&mut settings.accept, self.accept);
        set(&mut settings.event_header, self.event_header);
        set(&mut settings.idempotency_header, self.idempotency_header);
        set(&mut settings.timeout, self.timeout.map(|text| text.0));
        set(&mut settings.retry, self.retry.map(|retry| retry.schedule));
        set(&mut settings.rate_limit, self.rate_limit);
        set(&mut settings.max_in_flight, self.max_in_flight);
        set(&mut settings.require_https, self.require_https);
        set(&mut settings.check_reachable, self.check_reachable);
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

impl AuthPatch {
    fn check(self) -> Result<Auth, InvalidEndpoint> {
        Ok(match self {
            Self::None {} => Auth::None,
            Self::Query { token } => Auth::Query { token: checked_secret("auth.token", &token)? },
            Self::Header { name, token } => {
                let name = match name {
                    Some(name) => name,
                    None => "Authorization".parse()?,
                };
                refuse_reserved("auth.name", &name)?;
                Auth::Header { name, token: checked_secret("auth.token", &token)? }
            }
        })
    }
}

impl CertificatePatch {
    /// Whether they are what they should be, who sends with them finds out.
    fn check(self) -> Result<Secret, InvalidEndpoint> {
        let lengths = 1..=limits::CERTIFICATE_BYTES_MAX;
        if [&self.certificate, &self.key].iter().all(|pem| lengths.contains(&pem.len())) {
            return Ok(Secret::new([self.certificate, self.key].join("\n")));
        }
        let max = limits::CERTIFICATE_BYTES_MAX;
        Err(invalid("client_certificate", format!("expected two PEM texts of 1 to {max} bytes")))
    }
}

#[cfg(test)]
mod tests;
