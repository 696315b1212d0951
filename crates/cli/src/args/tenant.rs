//! `hookfleet tenant …`

use clap::{Args, Subcommand};

use super::ServerArgs;

#[derive(Debug, Args)]
pub struct TenantArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: TenantCommand,
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List every tenant that has endpoints or tokens, by name. Takes the admin token.
    List,
}
