//! Visitors of a tenant's console: what a link lets them do, and what it does not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use e2e::client::text;
use e2e::fleet::{Fleet, Folder, MASTER_KEY};
use hookfleet_api::{
    Api, ApiMetrics, ConsoleLinks, Guesses, Inspection, Inspections, Inspector, Preview, Prober,
    TokenCache, TokenLimits, VISIT_PATH, Visit, VisitorUsage, Visits,
};
use hookfleet_backends::sqlite::{Retention, Sqlite, SqliteOptions};
use hookfleet_domain::{
    Access, AttemptRecord, Clock, Endpoint, EndpointPolicy, Event, Secret, Timestamp,
};
use hookfleet_producer::{Producer, ProducerMetrics};
use hookfleet_queue::Queue;
use hookfleet_store::{Sealer, Store};
use prometheus::Registry;
use serde_json::{Value, json};
use tower::ServiceExt;

crate::on_both_backends!(a_link_is_made);

const LINKS: &str = "/v1/tenants/acme/console-links";

#[expect(clippy::disallowed_methods, reason = "the server goes by the time of day")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
}

fn visits() -> Visits {
    Visits::new(Sealer::new(&Secret::new(MASTER_KEY)).unwrap())
}

async fn a_link_is_made(fleet: Fleet) {
    let (status, link) = fleet.client.post(LINKS, &json!({"ttl": "10m", "access": "read"})).await;
    assert_eq!(status, 201, "{link}");
    let begin = format!("{}{VISIT_PATH}?code=", fleet.client.url);
    let url = text(&link, "url");
    let visit = visits().of_code(url.strip_prefix(&begin).unwrap(), now()).unwrap();
    assert_eq!((visit.tenant.as_str(), visit.access), ("acme", Access::Read));
    assert_eq!(visit.until.to_string(), text(&link, "expires_at"));
    let left = visit.until.since(now());
    assert!(left <= Duration::from_mins(10) && left > Duration::from_mins(5), "{left:?}");
    for bad in [json!({"ttl": "25h"}), json!({"ttl": "soon"}), json!({"access": "all"})] {
        assert_eq!(fleet.client.post(LINKS, &bad).await.0, 422, "{bad}");
    }
    let make = ["console", "link", "--tenant", "acme", "--ttl", "2h", "--output", "json"];
    let (code, out, errors) = fleet.run(&make).await;
    assert_eq!(code, 0, "{errors}");
    assert!(text(&serde_json::from_str(&out).unwrap(), "url").starts_with(&begin));
    // A pass is no token.
    let pass = visits().pass(&visit).unwrap();
    let list = ["endpoint", "list", "--tenant", "acme", "--token", &pass];
    assert_eq!(fleet.run(&list).await.0, 4);
}

#[tokio::test]
async fn links_begin_where_people_reach_the_console() {
    let fleet = Fleet::alone(crate::BINARY);
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let url = "https://hooks.example.com/portal/";
    let server = fleet.spawn(&["serve", "--listen", &listen, "--public-url", url]);
    server.ready().await;
    let (_, link) = fleet.client.post(LINKS, &json!({})).await;
    let expected = "https://hooks.example.com/portal/visit?code=";
    assert!(text(&link, "url").starts_with(expected), "{link}");
}

struct Nobody;

#[async_trait]
impl Prober for Nobody {
    async fn probe(&self, _: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    fn check_certificate(&self, _: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    async fn test(&self, _: &Endpoint, _: &Event) -> AttemptRecord {
        unreachable!("nothing is tried out here")
    }

    fn preview(&self, _: &Endpoint, _: &Event) -> Result<Preview, String> {
        Err("nothing is shown here".to_owned())
    }
}

#[async_trait]
impl Inspector for Nobody {
    async fn inspect(&self) -> Inspection {
        Inspection::default()
    }
}

/// The API's routes, in this process.
fn router(folder: &Folder) -> Router {
    let clock: Arc<dyn Clock> = Arc::new(now);
    let sealer = Sealer::new(&Secret::new(MASTER_KEY)).unwrap();
    let day = Duration::from_hours(24);
    let options = SqliteOptions {
        folder: folder.path().to_owned(),
        sealer,
        dedup_ttl: day,
        status_ttl: day,
        retention: Retention { archive: Some(day), bytes_max: 1 << 30 },
    };
    let file = Sqlite::open(&options, &clock).unwrap();
    let (queue, store): (Arc<dyn Queue>, Arc<dyn Store>) = (file.queue, file.store);
    let registry = Registry::new();
    let metrics = ProducerMetrics::register(&registry).unwrap();
    let parts = (Arc::clone(&queue), Arc::clone(&store), Arc::clone(&clock));
    hookfleet_api::router(Api {
        producer: Producer::new(parts.0, parts.1, parts.2, metrics),
        queue,
        store,
        prober: Arc::new(Nobody),
        inspector: Arc::new(Nobody),
        inspections: Inspections::default(),
        clock,
        admin_token: Secret::new("admin"),
        tokens: TokenCache::default(),
        guesses: Guesses::default(),
        visitors: VisitorUsage::default(),
        links: ConsoleLinks { visits: visits(), public_url: None },
        token_limits: TokenLimits { rate: "1000/s".parse().unwrap(), in_flight_max: 100 },
        policy: EndpointPolicy::default(),
        metrics: ApiMetrics::register(&registry).unwrap(),
    })
}

/// A request of the console's, in the name of a visitor.
async fn call(router: &Router, visit: &Visit, (method, path, body): (&str, &str, Value)) -> u16 {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json").extension(visit.clone());
    let answer = router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap());
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    drop(to_bytes(answer.into_body(), 1 << 20).await.unwrap());
    status
}

#[tokio::test]
async fn a_visitor_reaches_the_tenants_things_until_the_visit_ends() {
    let folder = Folder::new();
    let router = router(&folder);
    let tenant = "acme".parse().unwrap();
    let until = now().after(Duration::from_mins(5));
    let visit = Visit { tenant, access: Access::Full, until };
    let (own, other) = ("/v1/tenants/acme/endpoints", "/v1/tenants/other/endpoints");
    let new = json!({"url": "https://example.com/hook"});
    assert_eq!(call(&router, &visit, ("POST", own, new.clone())).await, 201);
    assert_eq!(call(&router, &visit, ("GET", own, json!({}))).await, 200);
    assert_eq!(call(&router, &visit, ("GET", other, json!({}))).await, 403);
    assert_eq!(call(&router, &visit, ("GET", "/v1/system", json!({}))).await, 403);
    for closed in ["/v1/tenants/acme/tokens", LINKS] {
        assert_eq!(call(&router, &visit, ("POST", closed, json!({}))).await, 403, "{closed}");
    }
    let reader = Visit { access: Access::Read, ..visit.clone() };
    assert_eq!(call(&router, &reader, ("GET", own, json!({}))).await, 200);
    assert_eq!(call(&router, &reader, ("POST", own, new)).await, 403);
    let over = Visit { until: now(), ..visit };
    assert_eq!(call(&router, &over, ("GET", own, json!({}))).await, 401);
}
