//! Changes that are meant for one revision alone.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use crate::problem::Problem;

/// The tag of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag(pub u64);

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The header `If-Match` (RFC 9110, 13.1.1), if there is one.
#[derive(Debug)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Is this one of the revisions that are meant?
    pub fn check(&self, revision: u64) -> Result<(), Problem> {
        let Some(expected) = &self.0 else {
            return Ok(());
        };
        let tag = EntityTag(revision).to_string();
        if expected.split(',').map(str::trim).any(|wanted| wanted == "*" || wanted == tag) {
            return Ok(());
        }
        let detail = format!("If-Match asks for {expected}, and it is {tag} by now: read it again");
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_MATCH).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        Ok(Self((!values.is_empty()).then(|| values.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_tags_is_enough() {
        let check = |header: Option<&str>| IfMatch(header.map(str::to_owned)).check(7).is_ok();
        assert!(check(None) && check(Some("*")) && check(Some("\"7\"")));
        assert!(check(Some("\"3\", \"7\"")));
        // A weak tag does not match (RFC 9110, 13.1.1).
        assert!(!check(Some("\"3\"")) && !check(Some("7")) && !check(Some("W/\"7\"")));
    }
}
