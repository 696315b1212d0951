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
    /// How long each phase takes.
    #[arg(long, default_value = "10s")]
    pub duration: Duration,
    /// Publishers at once, each in a phase of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub publishers: Vec<usize>,
    /// Events to deliver as fast as can be.
    #[arg(long, default_value_t = 50_000)]
    pub events: u64,
    /// The rate at which latency is measured.
    #[arg(long, default_value = "500/s")]
    pub rate: Rate,
    /// The broker, for the floor of a fleet: a straight loop over it and the store.
    #[arg(long, env = "HOOKFLEET_AMQP_URL", hide_env_values = true, requires = "redis_url")]
    pub amqp_url: Option<Hidden>,
    /// The store, likewise.
    #[arg(long, env = "HOOKFLEET_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<Hidden>,
    /// Measures what endpoints that hang do to the others, at these rates.
    #[arg(long, value_delimiter = ',', value_name = "RATES")]
    pub isolation: Vec<Rate>,
    /// For how long, with those that hang and without.
    #[arg(long, default_value = "60s")]
    pub isolation_duration: Duration,
    /// Deliveries that fail once and wait, at the end, to see what memory that takes.
    #[arg(long, default_value_t = 0)]
    pub waiting: u64,
    /// Bytes of an event's data.
    #[arg(long, default_value_t = 1024)]
    pub body_bytes: usize,
    /// Requests that the bare client has in flight.
    #[arg(long, default_value_t = 256)]
    pub in_flight: usize,
    /// A process whose CPU and memory are told, such as server=4711.
    #[arg(long = "process", value_name = "NAME=ID")]
    pub processes: Vec<Watched>,
    /// A file for the figures as JSON, besides.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
