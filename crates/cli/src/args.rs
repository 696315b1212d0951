//! The command line.

mod bench;
mod console;
mod endpoint;
mod examples;
mod job;
#[cfg(test)]
mod reference;
mod stats;
mod tenant;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hookfleet_domain::{Profile, Rate, Timestamp};

use crate::config::Settings;
use crate::values::{Duration, Hidden};

pub use bench::BenchArgs;
pub use console::{ConsoleArgs, ConsoleCommand};
pub use endpoint::{EndpointArgs, EndpointCommand, EndpointFields, PreviewArgs};
pub use examples::program;
pub use job::{JobArgs, JobCommand};
pub use stats::{StatsArgs, StatsCommand};
pub use tenant::{TenantArgs, TenantCommand};

/// Delivers webhooks: nothing lost, every delivery signed, one bad endpoint never felt by the others.
#[derive(Debug, Parser)]
#[command(name = "hookfleet", version, max_term_width = 100)]
pub struct Hookfleet {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// API and worker in one process.
    Serve(Box<Settings>),
    /// The HTTP API alone, for a fleet.
    Api(Box<Settings>),
    /// A worker alone, for a fleet.
    Worker(Box<Settings>),
    /// Register endpoints, look at them, change them.
    Endpoint(Box<EndpointArgs>),
    /// Publish events and see what became of them.
    Event(Box<EventArgs>),
    /// Look at dead letters, replay them, discard them.
    Dead(Box<DeadArgs>),
    /// Who asked for replays, discards and recoveries, and how far they are.
    Job(JobArgs),
    /// The tenants that there are.
    Tenant(TenantArgs),
    /// Make, list and revoke a tenant's API tokens.
    Token(Box<TokenArgs>),
    /// Counts over time, and the endpoints that fail most or take longest.
    Stats(StatsArgs),
    /// Let others into a tenant's console.
    Console(ConsoleArgs),
    /// The fleet at a glance: processes, queues, versions, and what is wrong.
    System(ServerArgs),
    /// A receiver for trying things out: prints each request, checks its signature, and passes it on
    /// to a program of yours if you like.
    Listen(ListenArgs),
    /// Write endpoints and dead letters to stdout, to be imported elsewhere under the same master
    /// key. Reads broker and store, or the data folder, itself: no server need run.
    Export(Box<Settings>),
    /// Read what `export` wrote into broker and store, or into a data folder. What is there already
    /// stays as it is.
    Import {
        #[command(flatten)]
        settings: Box<Settings>,
        /// The file.
        file: PathBuf,
    },
    /// Load on a running server: what it takes in, what it delivers, how soon, at what price.
    Bench(Box<BenchArgs>),
    /// Check broker, store, topology and clock; says what is wrong and how to mend it.
    Doctor(Box<Settings>),
    /// Write completions for a shell to stdout.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages: one for the program, and one for each command.
    Manual {
        /// The folder they go to; it is made if it is not there.
        folder: PathBuf,
    },
}

/// The heading of [`ServerArgs`] in the help.
const SERVER: &str = "Server and output";

/// Where the server is, and how to speak to it.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The server's URL.
    #[arg(long, env = "HOOKFLEET_URL", default_value = "http://127.0.0.1:8080", global = true, help_heading = SERVER)]
    pub url: String,
    /// The token to authenticate with [default: the admin token of a server on this machine].
    #[arg(long, env = "HOOKFLEET_TOKEN", hide_env_values = true, global = true, help_heading = SERVER)]
    pub token: Option<Hidden>,
    /// The folder of a server on this machine [default: ./hookfleet-data].
    #[arg(long, env = "HOOKFLEET_DATA_DIR", value_name = "FOLDER", global = true, help_heading = SERVER)]
    pub data_dir: Option<PathBuf>,
    /// What is printed on stdout.
    #[arg(long, value_enum, default_value = "text", global = true, help_heading = SERVER)]
    pub output: OutputFormat,
}

/// What is printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub struct TenantArg {
    /// Whose.
    #[arg(long, env = "HOOKFLEET_TENANT", default_value = "default")]
    pub tenant: String,
}

#[derive(Debug, Args)]
pub struct EventArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: EventCommand,
}

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Publish one event, or many from a file.
    Publish {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its type, such as content.published.
        #[arg(long = "type", value_name = "TYPE", required_unless_present = "ndjson")]
        event_type: Option<String>,
        /// Its data: JSON, @FILE, or - for stdin.
        #[arg(long, value_name = "JSON", required_unless_present = "ndjson")]
        data: Option<String>,
        /// The project it belongs to.
        #[arg(long)]
        project: Option<String>,
        /// When it happened; else now.
        #[arg(long)]
        timestamp: Option<String>,
        /// The same key again is the same event.
        #[arg(long)]
        idempotency_key: Option<String>,
        /// Wait so many seconds for what the endpoints answer, and show it.
        #[arg(long, value_name = "SECONDS", conflicts_with = "ndjson")]
        wait: Option<u32>,
        /// A file of events, one JSON object a line; - for stdin.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "data"])]
        ndjson: Option<PathBuf>,
    },
    /// List past events, newest first.
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Of this type: exact, or `prefix.*`.
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Accepted at this time or later (RFC 3339).
        #[arg(long)]
        since: Option<Timestamp>,
        /// Accepted before this time (RFC 3339).
        #[arg(long)]
        until: Option<Timestamp>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show what was published.
    Content {
        #[command(flatten)]
        tenant: TenantArg,
        id: String,
    },
    /// Show an event and its deliveries.
    Show {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
    },
    /// Deliver a past event again: to all endpoints that want it, or to these.
    Resend {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
        /// To this endpoint, subscribed or not.
        #[arg(long = "endpoint", value_name = "ID")]
        endpoints: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token. It is shown once.
    Create {
        #[command(flatten)]
        tenant: TenantArg,
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// May it only read?
        #[arg(long)]
        read_only: bool,
    },
    /// List a tenant's tokens, and when each was last used.
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Revoke a token: within a second it is known nowhere.
    Revoke {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: DeadCommand,
}

#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, newest first.
    List {
        #[command(flatten)]
        filter: DeadFilter,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one dead letter with its history and its payload.
    Show {
        /// Its id.
        id: String,
    },
    /// Deliver matching letters again.
    Replay {
        #[command(flatten)]
        filter: DeadFilter,
        /// At most so fast, such as 50/s.
        #[arg(long)]
        rate: Option<Rate>,
        /// Only tell how many match.
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Throw matching letters away.
    Discard {
        #[command(flatten)]
        filter: DeadFilter,
        /// Without a filter: yes, all of them.
        #[arg(long)]
        all: bool,
        /// Only tell how many match.
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Write matching letters to stdout, one JSON object a line.
    Export {
        #[command(flatten)]
        filter: DeadFilter,
    },
    /// Rebuild the list of dead letters from the queue, which is the truth.
    Reindex,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct DeadFilter {
    /// Of this tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// For this endpoint.
    #[arg(long)]
    pub endpoint: Option<String>,
    /// Of this type.
    #[arg(long)]
    pub event_type: Option<String>,
    /// Given up for this reason.
    #[arg(long)]
    pub reason: Option<String>,
    /// Given up at this time or later (RFC 3339).
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// Given up before this time (RFC 3339).
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// Just these.
    #[arg(long = "id")]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ListenArgs {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// The port; 0 picks a free one.
    #[arg(long, default_value_t = 9000)]
    pub port: u16,
    /// The secret to check signatures with.
    #[arg(long, env = "HOOKFLEET_ENDPOINT_SECRET", hide_env_values = true)]
    pub secret: Option<Hidden>,
    /// The profile whose signature is expected.
    #[arg(long, value_parser = profile, default_value = "standard")]
    pub profile: Profile,
    /// Your program: each request goes on to it, method, headers and body as they came, whatever its
    /// signature, and its answer goes back. A URL without a path takes the request's.
    #[arg(long, value_name = "URL", conflicts_with = "status")]
    pub forward: Option<reqwest::Url>,
    /// The status to answer with.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
    /// How long to wait before answering.
    #[arg(long, default_value = "0s")]
    pub delay: Duration,
    /// What is printed on stdout: text, or one JSON object a request.
    #[arg(long, value_enum, default_value = "text")]
    pub output: OutputFormat,
}

fn profile(name: &str) -> Result<Profile, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}
