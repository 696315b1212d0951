//! `hookfleet endpoint …`

use clap::{Args, Subcommand};
use hookfleet_domain::Timestamp;

use super::{ServerArgs, TenantArg};
use crate::values::Hidden;

#[derive(Debug, Args)]
pub struct EndpointArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: EndpointCommand,
}

#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Register an endpoint. A generated secret is shown once.
    Create {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        fields: Box<EndpointFields>,
    },
    /// Show what a delivery would send: to an endpoint that is registered, or to one with these fields.
    /// Tokens are masked, and the signature is made with a key of its own.
    Preview(Box<PreviewArgs>),
    /// List a tenant's endpoints.
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those of this project.
        #[arg(long)]
        project: Option<String>,
        /// Only those that are switched on, or off.
        #[arg(long)]
        active: Option<bool>,
        /// Only those that want this type.
        #[arg(long)]
        event_type: Option<String>,
    },
    /// Show one endpoint.
    Show {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
    },
    /// Change an endpoint; what is not given stays.
    Update {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
        #[command(flatten)]
        fields: Box<EndpointFields>,
    },
    /// Delete an endpoint; what is still to be delivered to it becomes dead letters.
    Delete {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
    },
    /// Send a signed webhook.test now, and show what it met.
    Test {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
    },
    /// Replace an endpoint's signing secret. A generated one is shown once.
    RotateSecret {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
        /// The new secret; else one is generated.
        #[arg(long, env = "HOOKFLEET_ENDPOINT_SECRET", hide_env_values = true)]
        secret: Option<Hidden>,
        /// How long the old one goes on being used, too, where there is room for both.
        #[arg(long, default_value = "24h")]
        grace: String,
    },
    /// Deliver again, out of the archive, everything that an endpoint missed.
    Recover {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
        /// From this time on (RFC 3339).
        #[arg(long)]
        since: Timestamp,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Show an endpoint's attempts, newest first.
    Attempts {
        #[command(flatten)]
        tenant: TenantArg,
        /// Its id.
        id: String,
        /// Only those of this event's deliveries.
        #[arg(long)]
        event: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

/// What is previewed.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    #[command(flatten)]
    pub tenant: TenantArg,
    /// An endpoint that is registered.
    #[arg(conflicts_with_all = ["endpoint_url", "profile", "name", "project", "events",
        "timeout", "retry", "active", "json", "event_type", "data"])]
    pub id: Option<String>,
    /// The past event that it is sent [default: a webhook.test].
    #[arg(long, requires = "id")]
    pub event: Option<String>,
    #[command(flatten)]
    pub fields: Box<EndpointFields>,
    /// The type of the event that an endpoint with these fields is sent [default: webhook.test].
    #[arg(long = "type", value_name = "TYPE", requires = "data")]
    pub event_type: Option<String>,
    /// Its data: JSON, @FILE, or - for stdin.
    #[arg(long, value_name = "JSON", requires = "event_type")]
    pub data: Option<String>,
}

/// An endpoint's fields.
#[derive(Debug, Args)]
pub struct EndpointFields {
    /// Where it is reached.
    #[arg(long = "endpoint-url", visible_alias = "to", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The preset of its settings.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// A name for people.
    #[arg(long)]
    pub name: Option<String>,
    /// The project whose events it gets.
    #[arg(long)]
    pub project: Option<String>,
    /// Event types it wants: exact, `prefix.*` or `*`.
    #[arg(long, value_delimiter = ',')]
    pub events: Option<Vec<String>>,
    /// Its signing secret.
    #[arg(long, env = "HOOKFLEET_ENDPOINT_SECRET", hide_env_values = true)]
    pub secret: Option<Hidden>,
    /// What one attempt may take, such as 10s.
    #[arg(long)]
    pub timeout: Option<String>,
    /// Waits between attempts, such as 5s,1m,10m; empty for no retry.
    #[arg(long, value_name = "WAITS")]
    pub retry: Option<String>,
    /// Is it switched on?
    #[arg(long)]
    pub active: Option<bool>,
    /// Any fields, as a JSON object; the flags above come on top.
    #[arg(long, value_name = "JSON")]
    pub json: Option<String>,
}
