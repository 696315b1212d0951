//! Signing in with a token, and out.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hookfleet_api::{Peer, VISIT_PATH};
use hookfleet_domain::Secret;

use crate::Console;
use crate::api::{Api, Ask, Principal};
use crate::assets::{ASSETS, Assets};
use crate::fields::{Fields, Form, Query};
use crate::page::{error, render, render_as};
use crate::session::Sessions;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    assets: &'static Assets,
    next: &'a str,
    error: &'a str,
    ended: bool,
}

pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/sign-in", get(form).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route(VISIT_PATH, get(visit))
}

async fn form(Query(query): Query) -> Response {
    let next = inside(&query);
    render(&SignInPage { assets: &ASSETS, next, error: "", ended: query.ticked("ended") })
}

async fn sign_in(
    State(console): State<Arc<Console>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Form(form): Form,
) -> Response {
    let next = inside(&form);
    let again = |status, error: &str| {
        render_as(status, &SignInPage { assets: &ASSETS, next, error, ended: false })
    };
    let token = Secret::new(form.get("token"));
    if HeaderValue::from_str(token.expose()).is_err() || token.expose().is_empty() {
        return again(StatusCode::UNAUTHORIZED, "This token is not known.");
    }
    let peer = peer.map(|Extension(peer)| peer);
    let api = Api::new(console.api.clone(), Principal::Token(token.clone()), peer);
    // Whatever a caller may ask for: the answer tells whose the token is.
    let known = api.ask::<serde_json::Value>(Ask::get("/v1/dead-letters?limit=1")).await;
    let tenant = match known {
        Ok(answer) => answer.caller.and_then(|caller| caller.tenant().cloned()),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
            return again(StatusCode::UNAUTHORIZED, "This token is not known.");
        }
        Err(refusal) => return again(refusal.status, &refusal.detail),
    };
    let Some(cookie) = console.sessions.begin((&token, tenant), &headers) else {
        return again(StatusCode::INTERNAL_SERVER_ERROR, "No session could be made.");
    };
    let next = if next.is_empty() { "/" } else { next };
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

/// Whoever has a link's code comes in by it. A product hands it to its customer: it is followed from
/// another site, and changes nothing but who is signed in here.
async fn visit(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    Query(query): Query,
) -> Response {
    match console.sessions.visit(query.get("code"), &headers) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => {
            error(StatusCode::FORBIDDEN, "This link is not good any more. Ask for another one.")
        }
    }
}

async fn sign_out(headers: HeaderMap) -> Response {
    let mut response = Redirect::to("/sign-in").into_response();
    if let Some(cookie) = Sessions::end(&headers) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Where to go on: a page of ours, or nowhere. `//host` and `/\host` are other sites.
fn inside(fields: &Fields) -> &str {
    let next = fields.get("next");
    let ours = next.starts_with('/') && !next.contains("//") && !next.contains('\\');
    if ours && !next.chars().any(char::is_control) { next } else { "" }
}
