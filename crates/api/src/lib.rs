//! The HTTP API: events, endpoints, attempts, dead letters, jobs, health.
//!
//! It knows the producer, the queue and the store, and no worker: what a worker has done is read from
//! the store, and what it is to do is written there as a job. Errors are problems (RFC 9457).

mod attempts;
mod auth;
mod batch;
mod console_links;
mod dead_letter_view;
mod dead_letters;
mod endpoint_view;
mod endpoints;
mod entity_tag;
mod event_list;
mod events;
mod extract;
mod fleet;
mod guesses;
mod health;
mod jobs;
mod metrics;
mod once;
mod openapi;
#[cfg(test)]
mod outside;
mod preview;
mod problem;
mod random;
mod resend;
mod serve;
mod shield;
mod stats;
mod system;
mod tenants;
mod tokens;
mod usage;
mod visits;
mod wait;

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use hookfleet_domain::{AttemptRecord, Clock, Endpoint, EndpointPolicy, Event, Secret, limits};
use hookfleet_producer::Producer;
use hookfleet_queue::Queue;
use hookfleet_store::Store;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use problem::Problem;

pub use auth::{Caller, TokenCache};
pub use console_links::ConsoleLinks;
pub use fleet::{FleetMetrics, FleetWatch};
pub use guesses::Guesses;
pub use health::{QueueAndStore, Ready, health_router, ops_router};
pub use metrics::ApiMetrics;
pub use serve::{Peer, serve};
pub use system::{Finding, Inspection, Inspections, Inspector};
pub use usage::{TokenLimits, VisitorUsage};
pub use visits::{CODE_GOOD_FOR, VISIT_PATH, Visit, Visits};

/// What the API is made of.
pub struct Api {
    /// Is it ready?
    pub queue: Arc<dyn Queue>,
    /// What the fleet remembers.
    pub store: Arc<dyn Store>,
    /// The door for events.
    pub producer: Producer,
    /// Tries endpoints out.
    pub prober: Arc<dyn Prober>,
    /// Looks at broker and store.
    pub inspector: Arc<dyn Inspector>,
    /// What it found lately.
    pub inspections: Inspections,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The token that reaches everything.
    pub admin_token: Secret,
    /// Tenants' tokens that were shown lately.
    pub tokens: TokenCache,
    /// Tokens that nobody knows.
    pub guesses: Guesses,
    /// What visitors are asking for.
    pub visitors: VisitorUsage,
    /// What links to the console are made of.
    pub links: ConsoleLinks,
    /// What each token, and all visitors of a tenant together, may ask for.
    pub token_limits: TokenLimits,
    /// What the operator allows of endpoints.
    pub policy: EndpointPolicy,
    /// What is counted.
    pub metrics: ApiMetrics,
}

/// Tries endpoints out, for callers who wait for the result.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Can it be reached? Any HTTP answer will do; else why there was none.
    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String>;

    /// Can it be sent to with its client certificate? Else why not.
    fn check_certificate(&self, endpoint: &Endpoint) -> Result<(), String>;

    /// Sends it an event once.
    async fn test(&self, endpoint: &Endpoint, event: &Event) -> AttemptRecord;

    /// What it would be sent, with all its secrets; else why nothing would be.
    fn preview(&self, endpoint: &Endpoint, event: &Event) -> Result<Preview, String>;
}

/// A request that was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// `POST`
    pub method: String,
    /// All of it.
    pub url: String,
    /// Names and values, in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// As it is signed.
    pub body: String,
}

/// Room for an event's other members, beside its data.
const EVENT_REQUEST_BYTES_MAX: usize = limits::EVENT_BYTES_MAX + 4096;
/// Largest request that holds no event.
const SMALL_REQUEST_BYTES_MAX: usize = 256 * 1024;

const _: () = assert!(
    limits::HEADERS_MAX * limits::HEADER_VALUE_BYTES_MAX
        + limits::URL_BYTES_MAX
        + 2 * limits::CERTIFICATE_BYTES_MAX
        < SMALL_REQUEST_BYTES_MAX / 2,
    "the largest endpoint that the limits allow fits into a request"
);
const _: () = assert!(
    limits::FILTER_IDS_MAX * 68 < SMALL_REQUEST_BYTES_MAX / 2,
    "the longest filter fits, too: ids of up to 64 characters, with quotes, comma and a space"
);

/// Every route under `/v1`, each with its description.
fn routes() -> OpenApiRouter<Arc<Api>> {
    let limit = DefaultBodyLimit::max;
    let tenant = OpenApiRouter::new()
        .routes(routes!(events::publish).layer(limit(EVENT_REQUEST_BYTES_MAX)))
        .routes(routes!(batch::publish).layer(limit(limits::BATCH_BYTES_MAX)))
        .routes(routes!(event_list::list))
        .routes(routes!(events::show))
        .routes(routes!(event_list::content))
        .routes(routes!(resend::resend))
        .routes(routes!(endpoints::list, endpoints::create))
        .routes(routes!(endpoints::show, endpoints::change, endpoints::delete))
        .routes(routes!(preview::of_new))
        .routes(routes!(preview::of_endpoint))
        .routes(routes!(attempts::list))
        .routes(routes!(endpoints::test))
        .routes(routes!(endpoints::rotate_secret))
        .routes(routes!(jobs::recover))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(console_links::create))
        .routes(routes!(stats::of_tenant))
        .routes(routes!(stats::endpoints_of_tenant));
    let v1 = OpenApiRouter::new()
        .nest("/tenants/{tenant}", tenant)
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::discard))
        .routes(routes!(dead_letters::reindex))
        .routes(routes!(dead_letters::show))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(tenants::list))
        .routes(routes!(stats::of_fleet))
        .routes(routes!(stats::endpoints_of_fleet))
        .routes(routes!(system::show));
    OpenApiRouter::with_openapi(openapi::Names::openapi()).nest("/v1", v1)
}

/// The OpenAPI document, as the API serves it at `/openapi.json`.
pub fn document() -> OpenApi {
    openapi::complete(routes().into_openapi())
}

/// The routes of the API, with its description and health beside them.
pub fn router(api: Api) -> Router {
    let ready = QueueAndStore::new(Arc::clone(&api.queue), Arc::clone(&api.store));
    let api = Arc::new(api);
    Router::from(routes())
        .fallback(Problem::no_route)
        .method_not_allowed_fallback(Problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(SMALL_REQUEST_BYTES_MAX))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&api), auth::authenticate))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), metrics::measure))
        .with_state(api)
        .merge(openapi::router())
        .merge(health_router(Arc::new(ready)))
}
