//! Who is calling, and what that caller may reach.
//!
//! Both are decided here, before any handler: a route that nobody thought of is closed to tenants. What
//! belongs to several tenants (dead letters, jobs) is narrowed down by its handlers with
//! [`Caller::tenant`].

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{Access, ApiToken, DeadLetterFilter, TenantId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::Api;
use crate::problem::Problem;
use crate::serve::Peer;
use crate::usage::Usage;
use crate::visits::Visit;

/// Whoever showed a token that is known, or whom this process itself let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Reaches everything.
    Admin,
    /// Reaches one tenant.
    Token(Arc<ApiToken>),
    /// Reaches one tenant, but not what would let them in again.
    Visitor(Visit),
}

impl Caller {
    /// The name that is kept with what was asked for.
    pub fn name(&self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::Token(token) => format!("token {}", token.id),
            Self::Visitor(_) => "visitor".to_owned(),
        }
    }

    /// The only tenant that this caller reaches; none: it reaches all.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Admin => None,
            Self::Token(token) => Some(&token.tenant),
            Self::Visitor(visit) => Some(&visit.tenant),
        }
    }

    /// The filter, narrowed down to what this caller reaches.
    pub fn narrow(&self, filter: DeadLetterFilter) -> Result<DeadLetterFilter, Problem> {
        match (self.tenant(), &filter.tenant) {
            (Some(own), Some(asked)) if own != asked => Err(forbidden("this token is another's")),
            (Some(own), _) => Ok(DeadLetterFilter { tenant: Some(own.clone()), ..filter }),
            (None, _) => Ok(filter),
        }
    }

    fn may(&self, method: &Method, path: &str) -> Result<(), Problem> {
        let (own, access) = match self {
            Self::Admin => return Ok(()),
            Self::Token(token) => (&token.tenant, token.access),
            Self::Visitor(visit) => (&visit.tenant, visit.access),
        };
        let is_visitor = matches!(self, Self::Visitor(_));
        if access == Access::Read && method != Method::GET && method != Method::HEAD {
            return Err(forbidden("this token may only read"));
        }
        let words: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match words.as_slice() {
            ["tenants", _, "tokens" | "console-links", ..] if is_visitor => {
                Err(forbidden("a visitor reaches neither tokens nor links"))
            }
            ["tenants", tenant, ..] if *tenant == own.as_str() => Ok(()),
            ["dead-letters", "reindex"] => Err(forbidden("reindexing is the operator's")),
            ["dead-letters" | "jobs", ..] => Ok(()),
            _ => Err(forbidden("this token is another's")),
        }
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

/// Lets a request through if its token is known and reaches that far, and tells the handlers whose
/// it is.
pub async fn authenticate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut request = request;
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let visit = request.extensions_mut().remove::<Visit>();
    let known = match visit {
        Some(visit) => Ok(visitor(&api, visit)),
        None => caller(&api, &header, peer).await,
    };
    let (caller, usage) = match known {
        Ok(Some(found)) => found,
        Ok(None) => {
            let detail = "expected the header `Authorization: Bearer TOKEN` with a valid token";
            return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
        }
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = caller.may(request.method(), request.uri().path()) {
        return problem.into_response();
    }
    let permit = match usage.map(|usage| usage.enter(api.token_limits)).transpose() {
        Ok(permit) => permit,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    // For who calls us in the same process; nothing of it goes over the wire.
    response.extensions_mut().insert(caller);
    if let Some(permit) = permit {
        permit.tell(response.headers_mut());
    }
    response
}

/// Somebody whom this process itself let in, until the visit is over.
fn visitor(api: &Api, visit: Visit) -> Option<(Caller, Option<Arc<Usage>>)> {
    let usage = api.visitors.of(&visit.tenant);
    (api.clock.now() < visit.until).then_some((Caller::Visitor(visit), Some(usage)))
}

/// Whose token it is, and what is asked for with it; the operator's own has no limits.
async fn caller(
    api: &Api,
    header: &str,
    peer: IpAddr,
) -> Result<Option<(Caller, Option<Arc<Usage>>)>, Problem> {
    let Some(token) = bearer(header) else {
        return Ok(None);
    };
    if same(api.admin_token.expose(), token) {
        return Ok(Some((Caller::Admin, None)));
    }
    let digest = digest(token);
    if !api.tokens.knows(&digest) {
        api.guesses.check(peer)?;
    }
    let found = api.tokens.find(api, &digest).await?;
    if found.is_none() {
        api.guesses.wrong(peer);
    }
    Ok(found.map(|Shown { token, usage, .. }| (Caller::Token(token), Some(usage))))
}

pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What is stored of a token.
pub fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// Digests have one length: the comparison tells nothing, not even how long the token is.
fn same(expected: &str, given: &str) -> bool {
    let (expected, given) = (Sha256::digest(expected), Sha256::digest(given));
    expected.as_slice().ct_eq(given.as_slice()).into()
}

/// A token that was revoked is known for so long yet.
const TIME_TO_LIVE: Duration = Duration::from_secs(1);
/// Tokens that are kept; past that, all are forgotten.
const TOKENS_MAX: usize = 10_000;
/// How often it is written down that a token is used.
const USE_TOLD_EVERY: Duration = Duration::from_mins(1);

/// Tokens that were shown lately, by their digests.
#[derive(Default)]
pub struct TokenCache(Mutex<HashMap<String, Shown>>);

#[derive(Clone)]
struct Shown {
    token: Arc<ApiToken>,
    looked_up: Instant,
    use_told: Option<Instant>,
    usage: Arc<Usage>,
}

impl TokenCache {
    /// Was it right when it was last shown? Only right ones are kept: nobody's guesses push them out.
    fn knows(&self, digest: &str) -> bool {
        self.lock().contains_key(digest)
    }

    async fn find(&self, api: &Api, digest: &str) -> Result<Option<Shown>, Problem> {
        let before = self.lock().get(digest).cloned();
        if let Some(shown) = &before
            && shown.looked_up.elapsed() < TIME_TO_LIVE
        {
            return Ok(Some(shown.clone()));
        }
        let Some(token) = api.store.token(digest).await?.map(Arc::new) else {
            self.lock().remove(digest);
            return Ok(None);
        };
        let (mut use_told, usage) =
            before.map(|shown| (shown.use_told, shown.usage)).unwrap_or_default();
        if use_told.is_none_or(|told| told.elapsed() > USE_TOLD_EVERY) {
            api.store.token_used(&token, api.clock.now()).await?;
            use_told = Some(Instant::now());
        }
        let shown = Shown { token, looked_up: Instant::now(), use_told, usage };
        let mut tokens = self.lock();
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(digest.to_owned(), shown.clone());
        Ok(Some(shown))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Shown>> {
        // The map is whole after any panic: each change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hookfleet_domain::Timestamp;

    use super::*;

    #[test]
    fn only_a_bearer() {
        assert_eq!(bearer("Bearer hush"), Some("hush"));
        assert_eq!(bearer("bearer  hush "), Some("hush"));
        for bad in ["Bearer", "Bearer ", "Basic hush", "hush", ""] {
            assert_eq!(bearer(bad), None, "{bad:?}");
        }
        assert!(same("hush", "hush"));
        assert!(!same("hush", "hus") && !same("hush", ""));
    }

    fn token(access: Access) -> Caller {
        Caller::Token(Arc::new(ApiToken {
            id: "tok_1".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            name: None,
            access,
            created_at: Timestamp::from_unix_ms(0),
            digest: String::new(),
        }))
    }

    #[track_caller]
    fn check(caller: &Caller, method: &Method, path: &str, expected: bool) {
        assert_eq!(caller.may(method, path).is_ok(), expected, "{caller:?} {method} {path}");
    }

    #[test]
    fn a_token_reaches_its_tenant_alone() {
        let own = token(Access::Full);
        check(&own, &Method::POST, "/v1/tenants/acme/events", true);
        check(&own, &Method::POST, "/v1/tenants/acm/events", false);
        check(&own, &Method::GET, "/v1/tenants/acme2/endpoints/x", false);
        check(&own, &Method::GET, "/v1/dead-letters/x", true);
        check(&own, &Method::POST, "/v1/dead-letters/reindex", false);
        check(&own, &Method::GET, "/v1/jobs/x", true);
        check(&own, &Method::GET, "/v1/something/new", false);
        check(&Caller::Admin, &Method::DELETE, "/v1/something/new", true);
        let visitor = Caller::Visitor(Visit {
            tenant: "acme".parse().unwrap(),
            access: Access::Full,
            until: Timestamp::from_unix_ms(0),
        });
        check(&visitor, &Method::POST, "/v1/tenants/acme/endpoints", true);
        check(&visitor, &Method::GET, "/v1/tenants/other/endpoints", false);
        check(&visitor, &Method::GET, "/v1/tenants/acme/tokens", false);
        check(&visitor, &Method::POST, "/v1/tenants/acme/console-links", false);
        check(&visitor, &Method::GET, "/v1/system", false);
        let reader = token(Access::Read);
        check(&reader, &Method::GET, "/v1/tenants/acme/events/x", true);
        check(&reader, &Method::POST, "/v1/tenants/acme/events", false);
        check(&reader, &Method::POST, "/v1/dead-letters/replay", false);
    }

    #[test]
    fn a_filter_is_narrowed_down() {
        let all = DeadLetterFilter::default;
        let own = token(Access::Full).narrow(all()).unwrap();
        assert_eq!(own.tenant, Some("acme".parse().unwrap()));
        assert_eq!(Caller::Admin.narrow(all()).unwrap(), all());
        let other = DeadLetterFilter { tenant: Some("other".parse().unwrap()), ..all() };
        assert!(token(Access::Full).narrow(other).is_err());
    }
}
