//! Headers that keep browsers from making anything else of an answer than what it is.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Answers hold secrets that are shown once: nobody keeps one. None is a page, a script or a frame.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// Adds them; a page that sets one itself keeps its own.
pub fn shield(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
}
