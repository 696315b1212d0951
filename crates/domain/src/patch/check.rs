//! Bounds of an endpoint's fields, and which of them cannot stand together.

use std::collections::BTreeMap;

use super::{EndpointPolicy, InvalidEndpoint, invalid};
use crate::profile::SIGNATURE_HEADER;
use crate::{Endpoint, HeaderName, Secret, Settings, Signature, duration_text, limits};

/// Secrets and tokens travel in headers: visible ASCII only.
pub(crate) fn checked_secret(field: &'static str, text: &str) -> Result<Secret, InvalidEndpoint> {
    let lengths = 1..=limits::SECRET_BYTES_MAX;
    if lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Secret::new(text));
    }
    let max = limits::SECRET_BYTES_MAX;
    Err(invalid(field, format!("expected 1 to {max} visible ASCII characters")))
}

pub(super) fn refuse_reserved(
    field: &'static str,
    name: &HeaderName,
) -> Result<(), InvalidEndpoint> {
    if name.is_reserved() {
        let why = format!("{:?} is a header that no setting may name", name.as_str());
        return Err(invalid(field, why));
    }
    Ok(())
}

pub(super) fn checked_headers(
    headers: BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, String)>, InvalidEndpoint> {
    if headers.len() > limits::HEADERS_MAX {
        return Err(invalid("headers", format!("at most {} are allowed", limits::HEADERS_MAX)));
    }
    let mut checked = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name: HeaderName = name.parse()?;
        refuse_reserved("headers", &name)?;
        if name.as_str().eq_ignore_ascii_case("authorization") {
            return Err(invalid("headers", "`Authorization` is set by `auth`"));
        }
        if name.as_str().eq_ignore_ascii_case(SIGNATURE_HEADER) {
            return Err(invalid("headers", "a signature is set by `signature`"));
        }
        check_header_value("headers", &value)?;
        checked.push((name, value));
    }
    Ok(checked)
}

fn check_header_value(field: &'static str, value: &str) -> Result<(), InvalidEndpoint> {
    let visible = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if value.len() <= limits::HEADER_VALUE_BYTES_MAX && visible {
        return Ok(());
    }
    let max = limits::HEADER_VALUE_BYTES_MAX;
    Err(invalid(field, format!("a value must be up to {max} visible ASCII characters")))
}

pub(super) fn check(endpoint: &Endpoint, policy: &EndpointPolicy) -> Result<(), InvalidEndpoint> {
    let settings = &endpoint.settings;
    if !endpoint.url.is_https() {
        if settings.require_https {
            return Err(InvalidEndpoint::HttpsRequired);
        }
        if !policy.allow_http {
            return Err(InvalidEndpoint::HttpNotAllowed);
        }
        if endpoint.client_certificate.is_some() {
            let why = "it is presented over https alone".to_owned();
            return Err(InvalidEndpoint::Conflict { field: "client_certificate", why });
        }
    }
    if endpoint.name.as_ref().is_some_and(|name| name.chars().count() > limits::NAME_CHARS_MAX) {
        let why = format!("expected at most {} characters", limits::NAME_CHARS_MAX);
        return Err(invalid("name", why));
    }
    if endpoint.events.len() > limits::SUBSCRIPTIONS_MAX {
        let why = format!("expected at most {} patterns", limits::SUBSCRIPTIONS_MAX);
        return Err(invalid("events", why));
    }
    if !(limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX).contains(&settings.timeout) {
        let (min, max) = (duration_text(limits::TIMEOUT_MIN), duration_text(limits::TIMEOUT_MAX));
        return Err(invalid("timeout", format!("expected {min} to {max}")));
    }
    if !(1..=limits::IN_FLIGHT_MAX).contains(&settings.max_in_flight) {
        let why = format!("expected 1 to {}", limits::IN_FLIGHT_MAX);
        return Err(invalid("max_in_flight", why));
    }
    if let Some(accept) = &settings.accept {
        check_header_value("accept", accept)?;
    }
    check_own_headers(settings)
}

/// The headers that settings name must not hide each other.
fn check_own_headers(settings: &Settings) -> Result<(), InvalidEndpoint> {
    let signature = match &settings.signature {
        Signature::None | Signature::Standard | Signature::StandardV1a => None,
        Signature::Hex { header } | Signature::Sha256 { header } => Some(header),
    };
    let own = [
        ("signature.header", signature),
        ("event_header", settings.event_header.as_ref()),
        ("idempotency_header", settings.idempotency_header.as_ref()),
    ];
    let mut seen: Vec<&HeaderName> = settings.headers.iter().map(|(name, _)| name).collect();
    for (field, name) in own.into_iter().filter_map(|(field, name)| Some((field, name?))) {
        refuse_reserved(field, name)?;
        if seen.contains(&name) {
            let why = format!("{:?} is set twice", name.as_str());
            return Err(InvalidEndpoint::Conflict { field, why });
        }
        seen.push(name);
    }
    Ok(())
}
