//! Visits: a tenant's console, opened by a link that a product hands to its customer.
//!
//! A link holds a *code*: who may visit and until when, sealed under the master key, good for a few
//! minutes. Whoever shows a code gets a *pass*, sealed the same way, good until the visit ends. Nothing
//! is stored: every API process opens what another one has sealed, and a code can be shown several
//! times while it is good. Neither can be taken back before its time.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hookfleet_domain::{Access, Secret, TenantId, Timestamp};
use hookfleet_store::{SealError, Sealer};
use serde::{Deserialize, Serialize};

/// Where the console takes a code: `VISIT_PATH?code=CODE`.
pub const VISIT_PATH: &str = "/visit";
/// A code is good for so long.
pub const CODE_GOOD_FOR: Duration = Duration::from_mins(5);
/// Far longer than any code or pass.
const TEXT_BYTES_MAX: usize = 1024;

/// Somebody who looks at a tenant's things for a while.
///
/// As an extension of a request to the API's router it is the caller, instead of a token. Only code in
/// this process can set one: no header and nothing else of a request becomes an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Whose things.
    pub tenant: TenantId,
    /// What they may do with them.
    pub access: Access,
    /// Until when.
    pub until: Timestamp,
}

/// What a code says.
#[derive(Serialize, Deserialize)]
struct Invitation {
    visit: Visit,
    good_until: Timestamp,
}

/// What is sealed, so that the one never opens as the other.
#[derive(Clone, Copy)]
enum Kind {
    Code,
    Pass,
}

impl Kind {
    fn record(self) -> &'static str {
        match self {
            Self::Code => "console/visit-code",
            Self::Pass => "console/visit-pass",
        }
    }
}

/// Seals visits, and opens them.
#[derive(Debug, Clone)]
pub struct Visits(Sealer);

impl Visits {
    /// Under the fleet's master key.
    pub fn new(sealer: Sealer) -> Self {
        Self(sealer)
    }

    /// A code for a link, good for [`CODE_GOOD_FOR`].
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn code(&self, visit: &Visit, now: Timestamp) -> Result<String, SealError> {
        let good_until = now.after(CODE_GOOD_FOR).min(visit.until);
        self.seal(Kind::Code, &Invitation { visit: visit.clone(), good_until })
    }

    /// The visit that a code is for; none: it is none of ours, or not good any more.
    pub fn of_code(&self, code: &str, now: Timestamp) -> Option<Visit> {
        let Invitation { visit, good_until } = self.open(Kind::Code, code)?;
        (now < good_until && now < visit.until).then_some(visit)
    }

    /// A pass, to be kept by the visitor's browser.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn pass(&self, visit: &Visit) -> Result<String, SealError> {
        self.seal(Kind::Pass, visit)
    }

    /// The visit that a pass is for; none: it is none of ours, or the visit is over.
    pub fn of_pass(&self, pass: &str, now: Timestamp) -> Option<Visit> {
        let visit: Visit = self.open(Kind::Pass, pass)?;
        (now < visit.until).then_some(visit)
    }

    fn seal(&self, kind: Kind, content: &impl Serialize) -> Result<String, SealError> {
        let text = serde_json::to_string(content).map_err(|_| SealError::WrongKey)?;
        Ok(BASE64.encode(self.0.seal(kind.record(), &Secret::new(text))?))
    }

    fn open<T: for<'de> Deserialize<'de>>(&self, kind: Kind, text: &str) -> Option<T> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let sealed = BASE64.decode(text).ok()?;
        let opened = self.0.open(kind.record(), &sealed).ok()?;
        serde_json::from_str(opened.expose()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits(digit: &str) -> Visits {
        Visits::new(Sealer::new(&Secret::new(digit.repeat(64))).unwrap())
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix_ms(minutes * 60_000)
    }

    #[test]
    fn a_code_is_good_for_minutes_and_a_pass_until_the_end() {
        let (visits, others) = (visits("1"), visits("2"));
        let tenant = "acme".parse().unwrap();
        let visit = Visit { tenant, access: Access::Read, until: at(60) };
        let (code, pass) = (visits.code(&visit, at(0)).unwrap(), visits.pass(&visit).unwrap());
        assert!(!code.contains("acme") && code.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(visits.of_code(&code, at(4)), Some(visit.clone()));
        assert_eq!(visits.of_code(&code, at(5)), None, "too late");
        assert_eq!(visits.of_pass(&pass, at(59)), Some(visit.clone()));
        assert_eq!(visits.of_pass(&pass, at(60)), None, "over");
        assert_eq!((visits.of_code(&pass, at(1)), visits.of_pass(&code, at(1))), (None, None));
        assert_eq!((others.of_code(&code, at(1)), others.of_pass(&pass, at(1))), (None, None));
        for bad in ["", "x", &code[1..], &"A".repeat(5000)] {
            assert_eq!(visits.of_code(bad, at(1)), None, "{bad}");
        }
        let short = Visit { until: at(1), ..visit };
        let code = visits.code(&short, at(0)).unwrap();
        assert_eq!(visits.of_code(&code, at(1)), None, "no longer than the visit");
    }
}
