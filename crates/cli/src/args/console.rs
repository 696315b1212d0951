//! `hookfleet console …`

use clap::{Args, Subcommand};

use super::{ServerArgs, TenantArg};

#[derive(Debug, Args)]
pub struct ConsoleArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: ConsoleCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConsoleCommand {
    /// Make a link that opens a tenant's console, to be opened within 5 minutes.
    Link {
        #[command(flatten)]
        tenant: TenantArg,
        /// How long the visit lasts, 1m to 24h.
        #[arg(long, default_value = "1h")]
        ttl: String,
        /// May visitors only look?
        #[arg(long)]
        read_only: bool,
    },
}
