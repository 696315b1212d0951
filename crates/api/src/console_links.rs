//! Links that open a tenant's console, for products that show it to their customers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use hookfleet_domain::{Access, TenantId, Timestamp, duration_text, limits, parse_duration};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::Api;
use crate::extract::{MaybeJson, Names};
use crate::problem::Problem;
use crate::visits::{VISIT_PATH, Visit, Visits};

/// What links are made of.
#[derive(Debug, Clone)]
pub struct ConsoleLinks {
    /// Seals their codes.
    pub visits: Visits,
    /// Where people reach the console, without a slash at its end; none: where the link is asked for.
    pub public_url: Option<String>,
}

/// How long a visit lasts unless it is said.
const TTL: Duration = Duration::from_hours(1);

/// How long a visit lasts: `1h`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Ttl(Duration);

impl TryFrom<String> for Ttl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ttl = parse_duration(&text).map_err(|error| error.to_string())?;
        let (min, max) = (limits::VISIT_MIN, limits::VISIT_MAX);
        if (min..=max).contains(&ttl) {
            return Ok(Self(ttl));
        }
        let (min, max) = (duration_text(min), duration_text(max));
        Err(format!("ttl {text} is out of range: expected {min} to {max}"))
    }
}

impl PartialSchema for Ttl {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).examples(["1h"]);
        text.pattern(Some("^([1-9][0-9]{0,2}m|([1-9]|1[0-9]|2[0-4])h|1d)$")).into()
    }
}

impl ToSchema for Ttl {}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewConsoleLink)]
pub struct LinkRequest {
    /// How long the visit lasts: 1m to 24h; an hour unless it is said.
    ttl: Option<Ttl>,
    /// What visitors may do with the tenant's things; `full` unless it is said. No more than that:
    /// they reach neither tokens nor further links.
    #[serde(default)]
    access: Access,
}

/// A link that opens a tenant's console.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsoleLink)]
pub struct LinkView {
    /// Whoever has it may visit: to be opened within 5 minutes.
    url: String,
    /// When the visit ends.
    expires_at: Timestamp,
}

/// Make a link that opens the tenant's console
///
/// To be shown to somebody whom your product knows. It needs to be opened within 5
/// minutes; the visit lasts for `ttl`. It cannot be taken back.
#[utoipa::path(
    post, path = "/console-links", operation_id = "create_console_link", tag = "console",
    request_body(content = LinkRequest, examples(
        ("for an hour" = (value = json!({}))),
        ("to look around for ten minutes" = (value = json!({"ttl": "10m", "access": "read"})))
    )),
    responses(
        (status = 201, description = "The link.", body = LinkView),
        (status = 409, description = "It is not known where people reach the console: `--public-url`.")
    )
)]
pub async fn create(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    MaybeJson(request): MaybeJson<LinkRequest>,
) -> Result<(StatusCode, Answer<LinkView>), Problem> {
    let now = api.clock.now();
    let expires_at = now.after(request.ttl.map_or(TTL, |ttl| ttl.0));
    let ConsoleLinks { visits, public_url } = &api.links;
    let base = public_url.clone().or_else(|| asked_at(&headers)).ok_or_else(|| {
        let detail = "it is not known where people reach the console: set --public-url";
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    let visit = Visit { tenant, access: request.access, until: expires_at };
    let code = visits.code(&visit, now).map_err(Problem::unavailable)?;
    let url = format!("{base}{VISIT_PATH}?code={code}");
    Ok((StatusCode::CREATED, Answer(LinkView { url, expires_at })))
}

/// Where the request was sent to.
fn asked_at(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| format!("http://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls() {
        let read = |text: &str| Ttl::try_from(text.to_owned()).map(|ttl| ttl.0);
        assert_eq!(read("1h"), Ok(Duration::from_hours(1)));
        assert_eq!(read("24h"), Ok(Duration::from_hours(24)));
        for bad in ["59s", "25h", "soon", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_host_is_one() {
        let of = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            asked_at(&headers)
        };
        assert_eq!(of("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(of("[::1]:8080").as_deref(), Some("http://[::1]:8080"));
        for bad in ["", "a/b", "a b", "user@host", "a?b"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(asked_at(&HeaderMap::new()), None);
    }
}
