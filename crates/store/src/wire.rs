//! Stored records, in one place: endpoints with their secrets sealed, tokens, jobs.
//!
//! Each carries a version `v` (one without it has the first). A field that is added has a default, and
//! one that is not known is ignored, so that two releases can share a store during an update; only
//! what an older release would get wrong takes a new version. A record of a later version is left
//! alone ([`StoreError::Newer`]).
//!
//! What is counted and looked up for each delivery (Redis hashes, rows of SQLite) carries none: it is
//! short-lived and read field by field, each with a default. What changes its meaning there takes
//! another key or column. Letters in the view of the dead ones carry that of the queue's messages.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hookfleet_domain::{
    ApiToken, Auth, DisabledReason, Endpoint, EndpointId, HeaderName, Profile, ProjectId,
    RetiredSecret, Secret, Settings, Subscription, TenantId, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Job, Sealer, StoreError};

/// Of the records that this release writes.
pub const VERSION: u32 = 1;

const CERTIFICATE: &str = "client_certificate";

#[derive(Serialize, Deserialize)]
struct StoredEndpoint {
    id: EndpointId,
    tenant: TenantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    url: String,
    profile: Profile,
    /// As long as it must be: thousands of endpoints are held at once.
    events: Box<[Subscription]>,
    settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<StoredAuth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_secret: Option<StoredRetired>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: u64,
}

/// Without a header's name, the token travels in the query.
#[derive(Serialize, Deserialize)]
struct StoredAuth {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<HeaderName>,
    token: String,
}

#[derive(Serialize, Deserialize)]
struct StoredRetired {
    secret: String,
    until: Timestamp,
}

/// What an endpoint is looked for by: all of it lies open.
#[derive(Debug, Deserialize)]
pub struct EndpointGlance {
    /// Its id.
    pub id: EndpointId,
    /// The project whose events it gets.
    #[serde(default)]
    pub project: Option<ProjectId>,
    /// Its name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it is reached.
    pub url: String,
    /// Which events it wants; empty: all.
    pub events: Vec<Subscription>,
    /// Does it get deliveries?
    pub active: bool,
}

/// Reads what an endpoint is looked for by, and opens no secret. `key` names the record in errors.
pub fn glance_at_endpoint(key: &str, bytes: &[u8]) -> Result<EndpointGlance, StoreError> {
    decode(key, bytes)
}

/// Writes an endpoint, secrets sealed.
pub fn encode_endpoint(sealer: &Sealer, endpoint: &Endpoint) -> Result<Vec<u8>, StoreError> {
    let unwritable = |why: String| StoreError::Corrupt { key: endpoint.id.to_string(), why };
    let seal = |field: &str, secret: &Secret| {
        let bytes = sealer.seal(&record_name(&endpoint.id, field), secret);
        bytes.map(|bytes| BASE64.encode(bytes)).map_err(|error| unwritable(error.to_string()))
    };
    let auth = match &endpoint.auth {
        Auth::None => None,
        Auth::Header { name, token } => {
            Some(StoredAuth { header: Some(name.clone()), token: seal("auth", token)? })
        }
        Auth::Query { token } => Some(StoredAuth { header: None, token: seal("auth", token)? }),
    };
    let retired_secret = match &endpoint.retired_secret {
        None => None,
        Some(retired) => {
            Some(StoredRetired { secret: seal("secret", &retired.secret)?, until: retired.until })
        }
    };
    let secret = endpoint.secret.as_ref().map(|secret| seal("secret", secret)).transpose()?;
    let certificate = endpoint.client_certificate.as_ref();
    let client_certificate = certificate.map(|pem| seal(CERTIFICATE, pem)).transpose()?;
    let stored = StoredEndpoint {
        id: endpoint.id.clone(),
        tenant: endpoint.tenant.clone(),
        project: endpoint.project.clone(),
        name: endpoint.name.clone(),
        url: endpoint.url.to_string(),
        profile: endpoint.profile,
        events: endpoint.events.as_slice().into(),
        settings: Settings::clone(&endpoint.settings),
        auth,
        secret,
        retired_secret,
        client_certificate,
        active: endpoint.active,
        disabled_reason: endpoint.disabled_reason,
        created_at: endpoint.created_at,
        updated_at: endpoint.updated_at,
        revision: endpoint.revision,
    };
    encode(endpoint.id.as_str(), &stored).map(String::into_bytes)
}

/// Reads an endpoint and opens its secrets. `key` names the record in errors.
pub fn decode_endpoint(sealer: &Sealer, key: &str, bytes: &[u8]) -> Result<Endpoint, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { key: key.to_owned(), why };
    let stored: StoredEndpoint = decode(key, bytes)?;
    let open = |field: &str, sealed: &str| {
        let bytes = BASE64.decode(sealed).map_err(|error| corrupt(error.to_string()))?;
        let opened = sealer.open(&record_name(&stored.id, field), &bytes);
        opened.map_err(|error| corrupt(error.to_string()))
    };
    let auth = match &stored.auth {
        None => Auth::None,
        Some(StoredAuth { header: Some(name), token }) => {
            Auth::Header { name: name.clone(), token: open("auth", token)? }
        }
        Some(StoredAuth { header: None, token }) => Auth::Query { token: open("auth", token)? },
    };
    let retired_secret = match &stored.retired_secret {
        None => None,
        Some(retired) => {
            let secret = open("secret", &retired.secret)?;
            Some(Box::new(RetiredSecret { secret, until: retired.until }))
        }
    };
    let secret = stored.secret.as_deref().map(|sealed| open("secret", sealed)).transpose()?;
    let certificate = stored.client_certificate.as_deref();
    let client_certificate = certificate.map(|sealed| open(CERTIFICATE, sealed)).transpose()?;
    Ok(Endpoint {
        url: stored.url.parse().map_err(|_| corrupt("its url is invalid".to_owned()))?,
        id: stored.id,
        tenant: stored.tenant,
        project: stored.project,
        name: stored.name,
        profile: stored.profile,
        events: stored.events.into(),
        settings: Arc::new(stored.settings),
        auth,
        secret,
        retired_secret,
        client_certificate,
        active: stored.active,
        disabled_reason: stored.disabled_reason,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        revision: stored.revision,
    })
}

/// Writes a token.
pub fn encode_token(token: &ApiToken) -> Result<String, StoreError> {
    encode(token.id.as_str(), token)
}

/// Reads a token. `key` names the record in errors.
pub fn decode_token(key: &str, bytes: &[u8]) -> Result<ApiToken, StoreError> {
    decode(key, bytes)
}

/// Writes a job.
pub fn encode_job(job: &Job) -> Result<String, StoreError> {
    encode(job.id.as_str(), job)
}

/// Reads a job. `key` names the record in errors.
pub fn decode_job(key: &str, bytes: &[u8]) -> Result<Job, StoreError> {
    decode(key, bytes)
}

/// What every record says, whatever its version.
#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    v: Option<u32>,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(flatten)]
    record: &'a T,
}

fn encode<T: Serialize>(key: &str, record: &T) -> Result<String, StoreError> {
    let record = serde_json::to_string(&Versioned { v: VERSION, record });
    record.map_err(|error| StoreError::Corrupt { key: key.to_owned(), why: error.to_string() })
}

/// The version first: what it says decides what the rest means.
fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StoreError> {
    let key = || key.to_owned();
    let corrupt =
        |error: serde_json::Error| StoreError::Corrupt { key: key(), why: error.to_string() };
    let Version { v } = serde_json::from_slice(bytes).map_err(corrupt)?;
    match v {
        Some(version) if version > VERSION => Err(StoreError::Newer { key: key(), version }),
        Some(_) | None => serde_json::from_slice(bytes).map_err(corrupt),
    }
}

fn record_name(id: &EndpointId, field: &str) -> String {
    format!("{id}/{field}")
}

#[cfg(test)]
mod tests {
    use hookfleet_domain::{EndpointPatch, EndpointPolicy};

    use super::*;

    #[test]
    fn an_endpoint_comes_back_and_its_secrets_lie_sealed() {
        let sealer = Sealer::new(&Secret::new("1".repeat(64))).unwrap();
        let patch: EndpointPatch = serde_json::from_str(
            r#"{"url":"https://a.example/","secret":"hush-1","events":["a.*"],"name":"one",
                "auth":{"type":"header","name":"X-API-Key","token":"hush-2"},
                "client_certificate":{"certificate":"hush-4","key":"hush-5"}}"#,
        )
        .unwrap();
        let now = Timestamp::from_unix_ms(1);
        let policy = &EndpointPolicy::default();
        let mut endpoint =
            patch.create("acme".parse().unwrap(), now, policy, |_| unreachable!()).unwrap();
        endpoint.retired_secret =
            Some(Box::new(RetiredSecret { secret: Secret::new("hush-3"), until: now }));

        let bytes = encode_endpoint(&sealer, &endpoint).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hush"));
        let read = decode_endpoint(&sealer, "k", &bytes).unwrap();
        assert_eq!(read.auth, endpoint.auth);
        assert_eq!(read.secret, endpoint.secret);
        assert_eq!(read.retired_secret, endpoint.retired_secret);
        assert_eq!(read.client_certificate, endpoint.client_certificate);
        assert_eq!(read.settings, endpoint.settings);
        assert_eq!(read.url, endpoint.url);

        let other = Sealer::new(&Secret::new("2".repeat(64))).unwrap();
        let error = decode_endpoint(&other, "k", &bytes).unwrap_err();
        assert!(error.to_string().contains("HOOKFLEET_MASTER_KEY"), "{error}");
    }
}
