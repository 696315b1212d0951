//! The fields of forms and queries.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawQuery, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hookfleet_domain::limits;
use tokio::time::timeout;
use url::form_urlencoded::{Serializer, parse};

/// Names and values in their order.
#[derive(Debug, Default, Clone)]
pub struct Fields(Vec<(String, String)>);

/// The fields of a query.
pub struct Query(pub Fields);

/// The fields of a form.
pub struct Form(pub Fields);

impl Fields {
    fn read(bytes: &[u8]) -> Self {
        Self(parse(bytes).map(field).collect())
    }

    /// These.
    pub fn of(fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// With another value in the place of those of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The first of that name, without white space around it; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// The first of that name, unless it is empty.
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(other, _)| other == name);
        named.map(|(_, value)| value.trim())
    }

    /// Is a box ticked?
    pub fn ticked(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }
}

/// Browsers end lines with CR and LF.
fn field((name, value): (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.replace("\r\n", "\n"))
}

/// A list that a page shows a part of.
pub struct List<'a> {
    /// What is looked for.
    pub fields: Vec<(&'a str, &'a str)>,
}

impl List<'_> {
    /// Where the API has the part that begins at `cursor`.
    pub fn asked(&self, path: &str, cursor: &str) -> String {
        let part = [("limit", PAGE_ITEMS), ("cursor", cursor)];
        with_query(path, &[self.fields.as_slice(), &part].concat())
    }

    /// Where the console has the next one, if there is one.
    pub fn next(&self, path: &str, cursor: Option<String>) -> Option<String> {
        let cursor = cursor?;
        Some(with_query(path, &[self.fields.as_slice(), &[("cursor", &cursor)]].concat()))
    }
}

/// Items that a page shows.
const PAGE_ITEMS: &str = "50";

/// A path with a query of what is not empty.
pub fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await?;
        Ok(Self(Fields::read(query.unwrap_or_default().as_bytes())))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let bytes = timeout(limits::BODY_WAIT_MAX, Bytes::from_request(request, state)).await;
        let late = |_| axum::http::StatusCode::REQUEST_TIMEOUT.into_response();
        let bytes = bytes.map_err(late)?.map_err(IntoResponse::into_response)?;
        Ok(Self(Fields::read(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_their_order() {
        let fields = Fields::read(b"id=a&id=b+c&name=%20x%20&box=on&none=");
        assert_eq!(fields.all("id").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!((fields.get("name"), fields.some("none")), ("x", None));
        assert!(fields.ticked("box") && !fields.ticked("other"));
    }

    #[test]
    fn a_query_of_what_is_not_empty() {
        assert_eq!(with_query("/a", &[("x", "")]), "/a");
        assert_eq!(with_query("/a", &[("x", "1&2"), ("y", ""), ("z", "é")]), "/a?x=1%262&z=%C3%A9");
    }
}
