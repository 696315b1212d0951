//! The serving roles: API, worker, or both.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use hookfleet_api::{
    Api, ApiMetrics, ConsoleLinks, FleetMetrics, FleetWatch, Guesses, Inspections, Preview, Prober,
    QueueAndStore, TokenCache, VisitorUsage, Visits,
};
use hookfleet_console::ConsoleParts;
use hookfleet_domain::{AttemptRecord, Clock, Endpoint, Event, Secret, limits};
use hookfleet_store::Sealer;
use hookfleet_worker::{PreviewedRequest, Sender};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Role, Settings};
use crate::failure::Failure;
use crate::inspector::Doctor;
use crate::otlp::Tracing;
use crate::parts::Parts;
use crate::presence::Presence;
use crate::starting::Starting;
use crate::wire::Ports;
use crate::{block_on, lifecycle, metrics, telemetry, welcome};

const METRICS_LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9464);

/// `hookfleet serve`, `api`, `worker`
pub fn run(settings: Settings, role: Role) -> Result<(), Failure> {
    let config = settings.complete(role)?;
    block_on(Some(config.threads), serve(config, role))
}

async fn serve(config: Config, role: Role) -> Result<(), Failure> {
    telemetry::begin(&config.log, config.log_format)?;
    if config.admin_token.as_ref().is_some_and(is_short) {
        tracing::warn!("the admin token is short enough to be guessed: openssl rand -hex 32");
    }
    let mut tasks = JoinSet::new();
    let stop = lifecycle::stop_on_signal(&mut tasks)?;
    let registry = Registry::new();
    metrics::register(&registry, role.name())?;
    let starting = Starting::new(stop.clone());
    // Metrics and health are told until everything else has ended.
    let ended = CancellationToken::new();
    let mut servers = JoinSet::new();
    let ops = hookfleet_api::ops_router(registry.clone(), Arc::new(starting.clone()));
    let ops_listener = bind_ops(config.metrics_listen).await?;
    tracing::info!("metrics and health listen on http://{}", local(&ops_listener));
    servers.spawn(hookfleet_api::serve(ops_listener, ops, ended.clone()));
    let mut listens = String::new();
    if role != Role::Worker {
        let listener = bind(config.listen).await?;
        listens = local(&listener);
        tracing::info!("the API listens on http://{listens}");
        servers.spawn(hookfleet_api::serve(listener, starting.router(), stop.clone()));
    }
    let Some(backend) = Ports::open(&config, &registry, &stop).await? else {
        return Ok(());
    };
    let tracing = Tracing::begin(config.otlp.as_ref(), &registry)?;
    let parts = Parts::new(&backend, &config, &registry, &tracing.tracer)?;
    let ready = QueueAndStore::new(Arc::clone(&parts.queue), Arc::clone(&parts.store));
    let router = match (role, &config.admin_token) {
        (Role::Serve | Role::Api, Some(token)) => {
            let api = api_of(&parts, &config, token.clone(), &registry)?;
            Some(with_console(api, &config, &stop)?)
        }
        (Role::Worker | Role::Doctor | Role::Export | Role::Import, _) | (_, None) => None,
    };
    starting.begun(Arc::new(ready), router);
    if role != Role::Worker {
        let asked = (Arc::clone(&parts.queue), Arc::clone(&parts.store));
        let gauges = FleetMetrics::register(&registry).map_err(Failure::failed)?;
        let watch = FleetWatch::new(asked, Arc::clone(&parts.clock), gauges);
        tasks.spawn(watch.run(stop.clone()));
    }
    tracing::info!("ready");
    welcome::print(&config, &listens);
    let works = role != Role::Api;
    let worker = works.then(|| parts.worker(&config, &registry)).transpose()?;
    let told = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
    let mut present = JoinSet::new();
    present.spawn(Presence::new(told, role, worker.clone()).run(ended.clone()));
    if let Some(worker) = worker {
        // On a thread of the runtime: what it takes in is then handed on without waking another.
        let mut working = JoinSet::new();
        working.spawn(worker.run(stop.clone()));
        if let Some(Err(panicked)) = working.join_next().await {
            return Err(Failure::failed(panicked));
        }
    }
    stop.cancelled().await;
    ended.cancel();
    end(servers).await;
    present.join_all().await;
    tracing.end().await;
    backend.close().await;
    Ok(())
}

fn is_short(token: &Secret) -> bool {
    token.expose().len() < limits::ADMIN_TOKEN_BYTES_MIN
}

/// Requests under way are answered; the listeners have stopped already.
async fn end(mut servers: JoinSet<()>) {
    let grace = std::time::Duration::from_secs(10);
    let ended = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("some requests were still under way");
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::failed(format!("cannot listen on {address}: {error}")))
}

/// Several workers on one machine must not fail over a port that nobody chose.
async fn bind_ops(chosen: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    if let Some(address) = chosen {
        return bind(address).await;
    }
    match TcpListener::bind(METRICS_LISTEN).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let (host, port) = METRICS_LISTEN;
            tracing::warn!(%error, "port {port} is taken: metrics and health listen on another");
            bind(SocketAddr::from((host, 0))).await
        }
    }
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string())
}

/// The API, and the console in front of it.
fn with_console(
    api: Api,
    config: &Config,
    stop: &CancellationToken,
) -> Result<axum::Router, Failure> {
    let (clock, visits) = (Arc::clone(&api.clock), api.links.visits.clone());
    Ok(hookfleet_console::router(ConsoleParts {
        api: hookfleet_api::router(api),
        sealer: Sealer::new(&config.master_key).map_err(Failure::usage)?,
        visits,
        clock,
        stop: stop.clone(),
    }))
}

fn api_of(
    parts: &Parts,
    config: &Config,
    admin_token: Secret,
    registry: &Registry,
) -> Result<Api, Failure> {
    let clock = Arc::clone(&parts.clock);
    let sealer = Sealer::new(&config.master_key).map_err(Failure::usage)?;
    Ok(Api {
        queue: Arc::clone(&parts.queue),
        store: Arc::clone(&parts.store),
        producer: parts.producer.clone(),
        prober: Arc::new(SendingProber { sender: Arc::clone(&parts.sender), clock }),
        inspector: Arc::new(Doctor {
            backend: config.backend.clone(),
            master_key: config.master_key.clone(),
        }),
        inspections: Inspections::default(),
        clock: Arc::clone(&parts.clock),
        admin_token,
        tokens: TokenCache::default(),
        guesses: Guesses::default(),
        visitors: VisitorUsage::default(),
        links: ConsoleLinks { visits: Visits::new(sealer), public_url: config.public_url.clone() },
        token_limits: config.token_limits,
        policy: config.endpoints.clone(),
        metrics: ApiMetrics::register(registry).map_err(Failure::failed)?,
    })
}

/// Endpoints are probed by what sends to them later, under the same address policy.
struct SendingProber {
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Prober for SendingProber {
    async fn probe(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.sender.probe(endpoint, self.clock.as_ref()).await
    }

    fn check_certificate(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.sender.check_certificate(endpoint)
    }

    async fn test(&self, endpoint: &Endpoint, event: &Event) -> AttemptRecord {
        self.sender.test(endpoint, event, self.clock.as_ref()).await
    }

    fn preview(&self, endpoint: &Endpoint, event: &Event) -> Result<Preview, String> {
        let request = self.sender.preview(endpoint, event, self.clock.as_ref())?;
        let PreviewedRequest { method, url, headers, body } = request;
        Ok(Preview { method, url, headers, body })
    }
}
