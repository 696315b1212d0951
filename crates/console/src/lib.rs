//! The operators' console: pages over the HTTP API, in the same process.
//!
//! It knows no port: whatever it shows or does it asks the API's own router for, with the caller's
//! principal (`api::Api`). So authorization, validation and limits live in one place, and there is
//! nothing here that the API and the command line cannot do. Pages are made on the server and work
//! without scripts; what scripts add is comfort: copying, a live preview, progress by server-sent
//! events.

mod answers;
mod api;
mod assets;
mod chart;
mod fields;
mod filters;
mod guard;
mod html;
mod json;
mod live;
mod page;
mod pages;
mod session;
mod signed_in;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use axum::{Router, middleware};
use hookfleet_api::Visits;
use hookfleet_domain::Clock;
use hookfleet_store::Sealer;
use tokio_util::sync::CancellationToken;

use live::Streams;
use session::Sessions;

/// What the console is made of.
pub struct ConsoleParts {
    /// The API's routes, health and description included.
    pub api: Router,
    /// Seals the sessions in cookies.
    pub sealer: Sealer,
    /// Opens the links that products hand to their customers.
    pub visits: Visits,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Ends what is live.
    pub stop: CancellationToken,
}

/// What every page is made with.
struct Console {
    api: Router,
    sessions: Sessions,
    streams: Streams,
    clock: Arc<dyn Clock>,
}

/// Largest form: an endpoint with all its headers, each character encoded as three.
const FORM_BYTES_MAX: usize = 512 * 1024;

/// The console's pages, and behind them the API.
pub fn router(parts: ConsoleParts) -> Router {
    let ConsoleParts { api, sealer, visits, clock, stop } = parts;
    let sessions = Sessions::new((sealer, visits), Arc::clone(&clock));
    let console = Arc::new(Console { api, sessions, streams: Streams::new(stop), clock });
    pages::routes()
        .merge(assets::routes())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(guard::guard))
        .fallback(elsewhere)
        .with_state(console)
}

/// Paths of the API go there; a browser that is lost gets a page, not a problem in JSON.
async fn elsewhere(State(console): State<Arc<Console>>, request: Request) -> Response {
    let path = request.uri().path();
    if guard::is_the_apis(path) || !guard::wants_html(request.headers()) {
        return api::forward(console.api.clone(), request).await;
    }
    guard::shielded(page::nowhere(path))
}
