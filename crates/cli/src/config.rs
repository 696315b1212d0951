//! Settings of the serving roles: flag, then environment, then file, then default.

mod file;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use clap::{Args, ValueEnum};
use hookfleet_api::TokenLimits;
use hookfleet_backends::rabbitmq::{Archive, RabbitOptions};
use hookfleet_backends::sqlite::Retention;
use hookfleet_domain::{AddressPolicy, EndpointPolicy, Rate, Secret, TraceOptions, TraceRatio};
use hookfleet_worker::{Egress, WorkerOptions};
use serde::Deserialize;

use crate::data_folder::{DataFolder, Missing};
use crate::failure::Failure;
use crate::otlp::{self, Otlp};
use crate::values::{Duration, Hidden, Listen, Networks, PublicUrl, Ratio};

/// What flags, environment or file said; nothing is filled in yet.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A TOML file with the settings below, their names written with `_`.
    #[arg(long, env = "HOOKFLEET_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// The folder of a server without broker and store [default: ./hookfleet-data].
    #[arg(long, env = "HOOKFLEET_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The broker: `amqp://user:password@host:5672/vhost`.
    #[arg(long, env = "HOOKFLEET_AMQP_URL", hide_env_values = true)]
    amqp_url: Option<Hidden>,
    /// The store: `redis://:password@host:6379/0`.
    #[arg(long, env = "HOOKFLEET_REDIS_URL", hide_env_values = true)]
    redis_url: Option<Hidden>,
    /// The token that reaches everything.
    #[arg(long, env = "HOOKFLEET_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Hidden>,
    /// 64 hex digits under which secrets are stored; the same for all roles of a fleet.
    #[arg(long, env = "HOOKFLEET_MASTER_KEY", hide_env_values = true)]
    master_key: Option<Hidden>,
    /// Where the API listens [default: 127.0.0.1:8080].
    #[arg(long, env = "HOOKFLEET_LISTEN")]
    listen: Option<Listen>,
    /// Where people reach the console, such as `https://hooks.example.com`: what links to it begin with
    /// [default: where the link is asked for].
    #[arg(long, env = "HOOKFLEET_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Where metrics and health listen [default: 127.0.0.1:9464, or any port if that is taken].
    #[arg(long, env = "HOOKFLEET_METRICS_LISTEN")]
    metrics_listen: Option<Listen>,
    /// Networks that deliveries may reach besides public addresses, such as 127.0.0.0/8.
    #[arg(long, env = "HOOKFLEET_ALLOW_PRIVATE_NETWORKS", value_name = "CIDRS")]
    allow_private_networks: Option<Networks>,
    /// The proxy that deliveries go through, such as `http://user:password@proxy:3128`: it resolves their
    /// names, and must refuse private addresses itself.
    #[arg(long, env = "HOOKFLEET_EGRESS_PROXY", hide_env_values = true, value_name = "URL")]
    egress_proxy: Option<Hidden>,
    /// A PEM file of certificate authorities that endpoints may be certified by, besides the system's.
    #[arg(long, env = "HOOKFLEET_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// May endpoints be plain http? [default: false]
    #[arg(long, env = "HOOKFLEET_ALLOW_HTTP", num_args = 0..=1, default_missing_value = "true")]
    allow_http: Option<bool>,
    /// Requests with one tenant's token, such as 100/s [default: 10000/s].
    #[arg(long, env = "HOOKFLEET_TOKEN_RATE_LIMIT")]
    token_rate_limit: Option<Rate>,
    /// Requests under way at once with one tenant's token [default: 1000].
    #[arg(long, env = "HOOKFLEET_TOKEN_IN_FLIGHT_MAX")]
    token_in_flight_max: Option<u32>,
    /// Queues of each kind over which work is spread, 1 to 64 [default: 1].
    #[arg(long, env = "HOOKFLEET_PARTITIONS", value_parser = clap::value_parser!(u16).range(1..=64))]
    partitions: Option<u16>,
    /// Threads of this process, 1 to 64 [default: 2, or 1 where there is one core]. More processes go
    /// further than more threads.
    #[arg(long, env = "HOOKFLEET_THREADS", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Deliveries under way at once in one worker, 1 to 10000 [default: 512].
    #[arg(long, env = "HOOKFLEET_CONCURRENCY", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: Option<u16>,
    /// Endpoints up to which one event is delivered by one worker [default: 128].
    #[arg(long, env = "HOOKFLEET_FAN_OUT_INLINE")]
    fan_out_inline: Option<usize>,
    /// Returns after which a message is given up as poison [default: 10].
    #[arg(long, env = "HOOKFLEET_DELIVERY_LIMIT")]
    delivery_limit: Option<u32>,
    /// Endpoints that have metrics of their own, 0 to 10000 in each worker [default: 0].
    #[arg(long, env = "HOOKFLEET_ENDPOINT_METRICS_MAX", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    endpoint_metrics_max: Option<u16>,
    /// How long deliveries under way may take at the end [default: 30s].
    #[arg(long, env = "HOOKFLEET_DRAIN_TIMEOUT")]
    drain_timeout: Option<Duration>,
    /// How long an idempotency key is remembered [default: 24h].
    #[arg(long, env = "HOOKFLEET_DEDUP_WINDOW")]
    dedup_window: Option<Duration>,
    /// How long it is remembered what became of an event [default: 24h].
    #[arg(long, env = "HOOKFLEET_EVENT_STATUS_KEPT")]
    event_status_kept: Option<Duration>,
    /// Is every event archived for a while? [default: on]
    #[arg(long, env = "HOOKFLEET_ARCHIVE", value_enum)]
    archive: Option<Switch>,
    /// How long [default: 7d].
    #[arg(long, env = "HOOKFLEET_ARCHIVE_RETENTION")]
    archive_retention: Option<Duration>,
    /// How much, in bytes [default: 10 GiB; without a broker 1 GiB, over the whole database].
    #[arg(long, env = "HOOKFLEET_ARCHIVE_MAX_BYTES")]
    archive_max_bytes: Option<u64>,
    /// The collector that spans are sent to, by OTLP over HTTP, such as `http://collector:4318`;
    /// without it, nothing is recorded.
    #[arg(long, env = "HOOKFLEET_OTLP_ENDPOINT", hide_env_values = true, value_name = "URL")]
    otlp_endpoint: Option<Hidden>,
    /// Headers for the collector: `name=value,name=value`.
    #[arg(long, env = "HOOKFLEET_OTLP_HEADERS", hide_env_values = true, value_name = "HEADERS")]
    otlp_headers: Option<Hidden>,
    /// How many of the traces that begin here are recorded, 0 to 1 [default: 1]. Of a publisher's own,
    /// its `traceparent` says whether.
    #[arg(long, env = "HOOKFLEET_TRACE_RATIO")]
    trace_ratio: Option<Ratio>,
    /// Do endpoints get a `traceparent` that names the attempt, if it is recorded? [default: false]
    #[arg(long, env = "HOOKFLEET_TRACE_ENDPOINTS", num_args = 0..=1, default_missing_value = "true")]
    trace_endpoints: Option<bool>,
    /// What is logged, such as `info` or `hookfleet_worker=debug` [default: info].
    #[arg(long, env = "HOOKFLEET_LOG")]
    log: Option<String>,
    /// How it is logged [default: text].
    #[arg(long, env = "HOOKFLEET_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    On,
    Off,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// What settings are completed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Serve,
    Api,
    Worker,
    Doctor,
    Export,
    Import,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Doctor => "doctor",
            Self::Export => "export",
            Self::Import => "import",
        }
    }

    /// Whether keys and tokens are made where there are none.
    fn missing(self) -> Missing {
        match self {
            Self::Serve | Self::Import => Missing::Make,
            Self::Api | Self::Worker | Self::Doctor | Self::Export => Missing::Refuse,
        }
    }
}

/// Where work lies, and what is remembered.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In RabbitMQ and Redis, shared by a fleet.
    Fleet { rabbit: RabbitOptions, redis_url: Secret },
    /// In a folder, used by this process alone.
    Embedded { folder: DataFolder, retention: Retention },
}

/// Complete settings of a role.
#[derive(Debug)]
pub struct Config {
    pub backend: Backend,
    pub master_key: Secret,
    /// There is one wherever there is an API.
    pub admin_token: Option<Secret>,
    pub listen: Listen,
    /// Without a slash at its end; none: where a link is asked for.
    pub public_url: Option<String>,
    /// None: the usual port, or any if that is taken.
    pub metrics_listen: Option<Listen>,
    pub endpoints: EndpointPolicy,
    pub egress: Egress,
    pub token_limits: TokenLimits,
    pub worker: WorkerOptions,
    pub endpoint_metrics_max: usize,
    pub dedup_window: StdDuration,
    pub event_status_kept: StdDuration,
    pub threads: usize,
    /// None: nothing is recorded.
    pub otlp: Option<Otlp>,
    pub log: String,
    pub log_format: LogFormat,
}

const NO_BROKER: &str = "no broker or no store: give both --amqp-url and --redis-url \
    (HOOKFLEET_AMQP_URL, HOOKFLEET_REDIS_URL); without either, `hookfleet serve` runs alone";
const NO_KEY: &str = "no master key: give --master-key (HOOKFLEET_MASTER_KEY), 64 hex digits, the \
    same for all roles of the fleet";
const NO_TOKEN: &str = "no admin token: give --admin-token (HOOKFLEET_ADMIN_TOKEN)";

/// Far more than one caller needs, and less than would starve the others.
const TOKEN_RATE: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const TOKEN_IN_FLIGHT_MAX: u32 = 1000;
const DAY: StdDuration = StdDuration::from_hours(24);
const GIB: u64 = 1024 * 1024 * 1024;

impl Settings {
    /// Adds what the file says and fills in defaults.
    pub fn complete(self, role: Role) -> Result<Config, Failure> {
        let file = self.config.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let mut all = self.or(file);
        let backend = all.backend(role)?;
        let (master_key, admin_token) = all.keys(role, &backend)?;
        let defaults = WorkerOptions::default();
        let authorities = all.ca_bundle.as_deref().map(read_bundle).transpose()?;
        let otlp = all.otlp(authorities.clone())?;
        let addresses = AddressPolicy::new(all.allow_private_networks.unwrap_or_default().0);
        Ok(Config {
            backend,
            master_key,
            admin_token,
            listen: all.listen.unwrap_or(Listen::from(([127, 0, 0, 1], 8080))),
            public_url: all.public_url.map(|given| given.0),
            metrics_listen: all.metrics_listen,
            endpoints: EndpointPolicy {
                allow_http: all.allow_http.unwrap_or(false),
                addresses: addresses.clone(),
            },
            egress: Egress { addresses, proxy: all.egress_proxy.map(|given| given.0), authorities },
            token_limits: TokenLimits {
                rate: all.token_rate_limit.unwrap_or(Rate::per_second(TOKEN_RATE)),
                in_flight_max: all.token_in_flight_max.unwrap_or(TOKEN_IN_FLIGHT_MAX),
            },
            worker: WorkerOptions {
                concurrency: all.concurrency.unwrap_or(defaults.concurrency),
                fan_out_inline: all.fan_out_inline.unwrap_or(defaults.fan_out_inline),
                delivery_limit: all.delivery_limit.unwrap_or(defaults.delivery_limit),
                drain_timeout: all.drain_timeout.map_or(defaults.drain_timeout, |text| text.0),
            },
            endpoint_metrics_max: all.endpoint_metrics_max.unwrap_or(0).into(),
            dedup_window: all.dedup_window.map_or(DAY, |text| text.0),
            event_status_kept: all.event_status_kept.map_or(DAY, |text| text.0),
            threads: all.threads.map_or_else(default_threads, usize::from),
            otlp,
            log: all.log.unwrap_or_else(|| "info".to_owned()),
            log_format: all.log_format.unwrap_or(LogFormat::Text),
        })
    }

    fn otlp(&mut self, authorities: Option<Vec<u8>>) -> Result<Option<Otlp>, Failure> {
        // Empty as a template leaves it: none.
        let given = self.otlp_endpoint.take().filter(|given| !given.0.expose().is_empty());
        let Some(collector) = given else {
            return Ok(None);
        };
        let headers = self.otlp_headers.take().map(|given| otlp::headers(&given.0)).transpose()?;
        let options = TraceOptions {
            ratio: self.trace_ratio.map_or(TraceRatio::ALL, |given| given.0),
            tell_endpoints: self.trace_endpoints.unwrap_or(false),
        };
        let url = otlp::url(&collector.0)?;
        Ok(Some(Otlp { url, headers: headers.unwrap_or_default(), authorities, options }))
    }

    fn backend(&mut self, role: Role) -> Result<Backend, Failure> {
        let archive = self.archive != Some(Switch::Off);
        let kept = self.archive_retention.map_or(DAY * 7, |text| text.0);
        match (self.amqp_url.take(), self.redis_url.take()) {
            (Some(amqp_url), Some(redis_url)) => {
                let bytes_max = self.archive_max_bytes.unwrap_or(10 * GIB);
                let archived = Archive { max_age: format!("{}s", kept.as_secs()), bytes_max };
                let rabbit = RabbitOptions {
                    url: amqp_url.0,
                    partitions: self.partitions.unwrap_or(1),
                    archive: archive.then_some(archived),
                    name: format!("hookfleet {}", role.name()),
                };
                Ok(Backend::Fleet { rabbit, redis_url: redis_url.0 })
            }
            (None, None) if role != Role::Api && role != Role::Worker => {
                let retention = Retention {
                    archive: archive.then_some(kept),
                    bytes_max: self.archive_max_bytes.unwrap_or(GIB),
                };
                let folder = DataFolder::new(self.data_dir.take());
                Ok(Backend::Embedded { folder, retention })
            }
            (None, _) | (_, None) => Err(Failure::usage(NO_BROKER)),
        }
    }

    /// Master key and admin token: given, or out of the data folder.
    fn keys(&mut self, role: Role, of: &Backend) -> Result<(Secret, Option<Secret>), Failure> {
        let key = self.master_key.take().map(|given| given.0);
        let token = self.admin_token.take().map(|given| given.0);
        let serves = role == Role::Serve || role == Role::Api;
        match of {
            Backend::Fleet { .. } if serves && token.is_none() => Err(Failure::usage(NO_TOKEN)),
            Backend::Fleet { .. } => Ok((key.ok_or_else(|| Failure::usage(NO_KEY))?, token)),
            Backend::Embedded { folder, .. } => {
                let key = key.map_or_else(|| folder.master_key(role.missing()), Ok)?;
                let made = || folder.admin_token(role.missing()).map(Some);
                let token = if serves && token.is_none() { made()? } else { token };
                Ok((key, token))
            }
        }
    }

    /// What is said here, else there.
    fn or(self, file: Self) -> Self {
        Self {
            config: None,
            data_dir: self.data_dir.or(file.data_dir),
            amqp_url: self.amqp_url.or(file.amqp_url),
            redis_url: self.redis_url.or(file.redis_url),
            admin_token: self.admin_token.or(file.admin_token),
            master_key: self.master_key.or(file.master_key),
            listen: self.listen.or(file.listen),
            public_url: self.public_url.or(file.public_url),
            metrics_listen: self.metrics_listen.or(file.metrics_listen),
            allow_private_networks: self.allow_private_networks.or(file.allow_private_networks),
            egress_proxy: self.egress_proxy.or(file.egress_proxy),
            ca_bundle: self.ca_bundle.or(file.ca_bundle),
            allow_http: self.allow_http.or(file.allow_http),
            token_rate_limit: self.token_rate_limit.or(file.token_rate_limit),
            token_in_flight_max: self.token_in_flight_max.or(file.token_in_flight_max),
            partitions: self.partitions.or(file.partitions),
            threads: self.threads.or(file.threads),
            concurrency: self.concurrency.or(file.concurrency),
            fan_out_inline: self.fan_out_inline.or(file.fan_out_inline),
            delivery_limit: self.delivery_limit.or(file.delivery_limit),
            endpoint_metrics_max: self.endpoint_metrics_max.or(file.endpoint_metrics_max),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            dedup_window: self.dedup_window.or(file.dedup_window),
            event_status_kept: self.event_status_kept.or(file.event_status_kept),
            archive: self.archive.or(file.archive),
            archive_retention: self.archive_retention.or(file.archive_retention),
            archive_max_bytes: self.archive_max_bytes.or(file.archive_max_bytes),
            otlp_endpoint: self.otlp_endpoint.or(file.otlp_endpoint),
            otlp_headers: self.otlp_headers.or(file.otlp_headers),
            trace_ratio: self.trace_ratio.or(file.trace_ratio),
            trace_endpoints: self.trace_endpoints.or(file.trace_endpoints),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        }
    }
}

/// One would be what holds a busy worker up while another core idles; past two, more processes go further.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(2)
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| format!("CA bundle {} cannot be read: {error}", path.display());
    std::fs::read(path).map_err(|error| Failure::usage(unreadable(error)))
}
