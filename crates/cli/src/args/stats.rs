//! `hookfleet stats …`

use clap::{Args, Subcommand};
use hookfleet_domain::Timestamp;

use super::ServerArgs;

#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: StatsCommand,
}

#[derive(Debug, Subcommand)]
pub enum StatsCommand {
    /// Events, deliveries, failures and dead letters, minute by minute or hour by hour.
    Show {
        /// Of this tenant [default: of the whole fleet].
        #[arg(long, env = "HOOKFLEET_TENANT")]
        tenant: Option<String>,
        /// `minute`, kept for a day, or `hour`, kept for 30 days [default: minute].
        #[arg(long)]
        step: Option<String>,
        /// From this time on (RFC 3339) [default: an hour ago; a week with --step hour].
        #[arg(long)]
        since: Option<Timestamp>,
        /// Until this time (RFC 3339) [default: now].
        #[arg(long)]
        until: Option<Timestamp>,
    },
    /// The worst endpoints of this hour and the one before.
    Endpoints {
        /// Of this tenant [default: of the whole fleet].
        #[arg(long, env = "HOOKFLEET_TENANT")]
        tenant: Option<String>,
        /// `failing` or `slowest` [default: failing].
        #[arg(long)]
        worst: Option<String>,
        /// At most so many, 1 to 50.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
}
