//! Who is calling.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookfleet_domain::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Api;
use crate::problem::Problem;

/// Whoever showed a token that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Reaches everything.
    Admin,
}

impl Caller {
    /// The name that is kept with what was asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }
}

/// Lets a request through if its token is known, and tells the handlers whose it is.
pub async fn authenticate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut request = request;
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let Some(caller) = header.and_then(|header| caller(&api.admin_token, header)) else {
        let detail = "expected the header `Authorization: Bearer TOKEN` with a valid token";
        return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn caller(admin: &Secret, header: &str) -> Option<Caller> {
    let (scheme, token) = header.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") && same(admin.expose(), token.trim());
    known.then_some(Caller::Admin)
}

/// Digests have one length: the comparison tells nothing, not even how long the token is.
fn same(expected: &str, given: &str) -> bool {
    let (expected, given) = (Sha256::digest(expected), Sha256::digest(given));
    expected.as_slice().ct_eq(given.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token() {
        let check = |header: &str| caller(&Secret::new("hush"), header);
        assert_eq!(check("Bearer hush"), Some(Caller::Admin));
        assert_eq!(check("bearer hush"), Some(Caller::Admin));
        for bad in ["Bearer", "Bearer ", "Bearer hus", "Bearer hushh", "Basic hush", "hush", ""] {
            assert_eq!(check(bad), None, "{bad:?}");
        }
    }
}
