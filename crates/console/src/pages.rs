//! Every page, a file each.

mod attempts;
mod dead_letter;
mod dead_letters;
mod delivery;
mod endpoint;
mod endpoint_form;
mod endpoints;
mod events;
mod jobs;
mod links;
mod overview;
mod preview;
mod recover;
mod sign_in;
mod system;
mod tenants;
mod tokens;

use std::sync::Arc;

use axum::Router;

use crate::Console;

/// The routes of all pages.
pub fn routes() -> Router<Arc<Console>> {
    Router::new()
        .merge(sign_in::routes())
        .merge(overview::routes())
        .merge(endpoints::routes())
        .merge(endpoint::routes())
        .merge(preview::routes())
        .merge(attempts::routes())
        .merge(delivery::routes())
        .merge(recover::routes())
        .merge(events::routes())
        .merge(dead_letters::routes())
        .merge(dead_letter::routes())
        .merge(jobs::routes())
        .merge(tenants::routes())
        .merge(tokens::routes())
        .merge(links::routes())
        .merge(system::routes())
}
