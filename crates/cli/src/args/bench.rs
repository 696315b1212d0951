//! `hookfleet bench …`

use std::path::PathBuf;

use clap::Args;
use hookfleet_domain::Rate;

use super::ServerArgs;
use crate::commands::bench::Watched;
use crate::values::{Duration, Hidden};

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Small counts and short phases: tells whether everything works, not how fast it is.
    #[arg(long)]
    pub quick: bool,
    /// How long each phase takes that is not about a number of events.
    #[arg(long, default_value = "10s", default_value_if("quick", "true", "1s"))]
    pub duration: Duration,
    /// Publishers at once, each number in a phase of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub publishers: Vec<usize>,
    /// Events to publish in batches and deliver meanwhile, as fast as can be.
    #[arg(long, default_value_t = 50_000, default_value_if("quick", "true", "5000"))]
    pub events: u64,
    /// The rate at which latency is measured; besides at half of what was delivered at most.
    #[arg(long, default_value = "500/s")]
    pub rate: Rate,
    /// Deliveries that lie ready before they are drained.
    #[arg(long, default_value_t = 100_000, default_value_if("quick", "true", "5000"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub backlog: u64,
    /// Endpoints that each event of a backlog goes to, each number in a phase of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    #[arg(default_value_if("quick", "true", "1,10"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub fan_outs: Vec<u64>,
    /// Endpoints over which a backlog is spread, each event for one of them.
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000")]
    #[arg(default_value_if("quick", "true", "1,100"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub endpoints: Vec<u64>,
    /// The fleet is there for this run alone: its worker may be stopped, and others be started.
    #[arg(long, requires = "amqp_url")]
    pub own_fleet: bool,
    /// Workers that a backlog is drained by, for a receiver that takes 50 ms (of an own fleet).
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    #[arg(default_value_if("quick", "true", "1,2"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=64))]
    pub workers: Vec<u64>,
    /// Partitions over which a backlog is spread, for one worker (of an own fleet).
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    #[arg(default_value_if("quick", "true", "1,2"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=64))]
    pub partitions: Vec<u64>,
    /// The broker, for the floor of a fleet: a straight loop over it and the store. Without it, the
    /// floor is such a loop over SQLite.
    #[arg(long, env = "HOOKFLEET_AMQP_URL", hide_env_values = true, requires = "redis_url")]
    pub amqp_url: Option<Hidden>,
    /// The store, likewise.
    #[arg(long, env = "HOOKFLEET_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<Hidden>,
    /// Where the floor without a broker keeps its file; on the server's disk, to be fair [default:
    /// the system's folder for temporary files].
    #[arg(long, value_name = "FOLDER")]
    pub floor_dir: Option<PathBuf>,
    /// Measures what endpoints that hang do to the others, at these rates.
    #[arg(long, value_delimiter = ',', value_name = "RATES")]
    pub isolation: Vec<Rate>,
    /// For how long, with those that hang and without.
    #[arg(long, default_value = "60s")]
    pub isolation_duration: Duration,
    /// Publishes 100 events a second for so long to an endpoint that is down meanwhile, and counts
    /// what its deliveries cost the queue. Needs --metrics.
    #[arg(long, value_name = "DURATION", requires = "metrics")]
    pub outage: Option<Duration>,
    /// Where the worker's metrics are.
    #[arg(long, value_name = "URL")]
    pub metrics: Option<reqwest::Url>,
    /// Deliveries that wait, at the end, for an endpoint that fails, to see what memory that takes.
    /// Needs --metrics.
    #[arg(long, default_value_t = 0)]
    pub waiting: u64,
    /// Bytes of an event's data.
    #[arg(long, default_value_t = 1024)]
    pub body_bytes: usize,
    /// Requests that a floor has in flight.
    #[arg(long, default_value_t = 256)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub in_flight: usize,
    /// A process whose CPU and memory are told, such as server=4711.
    #[arg(long = "process", value_name = "NAME=ID")]
    pub processes: Vec<Watched>,
    /// A file for the figures as JSON, besides.
    #[arg(long, value_name = "FILE", overrides_with = "json")]
    pub json: Option<PathBuf>,
    /// A file for them as bars, in SVG.
    #[arg(long, value_name = "FILE", overrides_with = "chart")]
    pub chart: Option<PathBuf>,
}
