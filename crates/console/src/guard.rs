//! What keeps other sites out: no request of theirs changes anything here, and no page of ours loads
//! anything of theirs.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::page;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Refuses what another site sends, and sets the policy of every page.
pub async fn guard(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !safe && !is_our_own(request.headers()) {
        let detail = "the request does not come from this console's own pages";
        return shielded(page::error(StatusCode::FORBIDDEN, detail));
    }
    shielded(next.run(request).await)
}

/// The policy that pages have.
pub fn shielded(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Browsers say where a form comes from: `Sec-Fetch-Site` over https and on this machine, else
/// `Origin`. What says neither is no browser, and has the API.
fn is_our_own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| Some(origin) == text(header::HOST))
}

/// Is it a path of the API's, and none of a page?
pub fn is_the_apis(path: &str) -> bool {
    path.starts_with("/v1/") || matches!(path, "/v1" | "/openapi.json" | "/healthz" | "/readyz")
}

/// Does a browser ask for a page?
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = headers.collect();
        assert_eq!(is_our_own(&headers), expected, "{headers:?}");
    }

    #[test]
    fn only_our_own_pages_change_anything() {
        check(&[("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")], true);
        for site in ["cross-site", "same-site", "none", ""] {
            check(&[("sec-fetch-site", site), ("origin", "http://h"), ("host", "h")], false);
        }
        check(&[("origin", "http://h:8080"), ("host", "h:8080")], true);
        check(&[("origin", "http://other"), ("host", "h:8080")], false);
        check(&[("origin", "null"), ("host", "h:8080")], false);
        check(&[("host", "h:8080")], false);
        check(&[], false);
    }

    #[test]
    fn paths_of_the_api() {
        for path in ["/v1", "/v1/tenants/a/events", "/openapi.json", "/healthz", "/readyz"] {
            assert!(is_the_apis(path), "{path}");
        }
        for path in ["/", "/v12", "/tenants/v1", "/system"] {
            assert!(!is_the_apis(path), "{path}");
        }
    }
}
