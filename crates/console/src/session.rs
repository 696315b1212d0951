//! Who is signed in: a sealed cookie, so that every API process of the fleet can open it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hookfleet_api::Visits;
use hookfleet_domain::{Clock, Secret, TenantId, Timestamp};
use hookfleet_store::Sealer;
use serde::{Deserialize, Serialize};

use crate::api::Principal;

/// A working day.
const LASTS: Duration = Duration::from_hours(12);
const COOKIE_NAME: &str = "hookfleet_session";
/// What it is sealed for.
const RECORD: &str = "console/session";

/// Somebody who signed in, or came by a link.
#[derive(Clone)]
pub struct Session {
    /// What they may do, as the API judges it.
    pub principal: Principal,
    /// The only tenant that they see; none: they see all.
    pub tenant: Option<TenantId>,
    /// Until then.
    pub until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    token: String,
    tenant: Option<TenantId>,
    until: Timestamp,
}

/// Makes and opens sessions. A visitor's is a pass of the API's, behind a letter of its own.
pub struct Sessions {
    sealer: Sealer,
    visits: Visits,
    clock: Arc<dyn Clock>,
}

const OF_TOKEN: &str = "t.";
const OF_VISIT: &str = "v.";

impl Sessions {
    pub fn new((sealer, visits): (Sealer, Visits), clock: Arc<dyn Clock>) -> Self {
        Self { sealer, visits, clock }
    }

    /// The cookie of a new session; none: it could not be sealed.
    pub fn begin(
        &self,
        (token, tenant): (&Secret, Option<TenantId>),
        headers: &HeaderMap,
    ) -> Option<HeaderValue> {
        let until = self.clock.now().after(LASTS);
        let sealed = Sealed { token: token.expose().to_owned(), tenant, until };
        let sealed = Secret::new(serde_json::to_string(&sealed).ok()?);
        let value = BASE64.encode(self.sealer.seal(RECORD, &sealed).ok()?);
        cookie(&format!("{OF_TOKEN}{value}"), LASTS, headers)
    }

    /// The cookie of whoever shows the code of a link; none: it is not good, or not any more.
    pub fn visit(&self, code: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        let visit = self.visits.of_code(code, self.clock.now())?;
        let pass = self.visits.pass(&visit).ok()?;
        let lasts = visit.until.since(self.clock.now());
        cookie(&format!("{OF_VISIT}{pass}"), lasts, headers)
    }

    /// The cookie that ends any.
    pub fn end(headers: &HeaderMap) -> Option<HeaderValue> {
        cookie("", Duration::ZERO, headers)
    }

    /// Whose request it is.
    pub fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split(';'));
        let value = cookies.find_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == COOKIE_NAME).then_some(value)
        })?;
        match value.strip_prefix(OF_VISIT) {
            Some(pass) => self.of_visit(pass),
            None => self.of_token(value.strip_prefix(OF_TOKEN)?),
        }
    }

    fn of_visit(&self, pass: &str) -> Option<Session> {
        let visit = self.visits.of_pass(pass, self.clock.now())?;
        let (tenant, until) = (Some(visit.tenant.clone()), visit.until);
        Some(Session { principal: Principal::Visitor(visit), tenant, until })
    }

    fn of_token(&self, sealed: &str) -> Option<Session> {
        let sealed = BASE64.decode(sealed).ok()?;
        let sealed = self.sealer.open(RECORD, &sealed).ok()?;
        let Sealed { token, tenant, until } = serde_json::from_str(sealed.expose()).ok()?;
        let session = Session { principal: Principal::Token(Secret::new(token)), tenant, until };
        (until > self.clock.now()).then_some(session)
    }
}

fn cookie(value: &str, lasts: Duration, headers: &HeaderMap) -> Option<HeaderValue> {
    let seconds = lasts.as_secs();
    let secure = if is_https(headers) { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&cookie).ok()
}

/// TLS ends before us: the browser's `Origin` tells, and so may the proxy. Neither can be forged by
/// another site in the caller's browser.
fn is_https(headers: &HeaderMap) -> bool {
    let text = |value: Option<&HeaderValue>| {
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    text(headers.get(ORIGIN)).starts_with("https://")
        || text(headers.get("x-forwarded-proto")).eq_ignore_ascii_case("https")
            && headers.contains_key(HOST)
}
