//! `hookfleet job …`

use clap::{Args, Subcommand};

use super::ServerArgs;

#[derive(Debug, Args)]
pub struct JobArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: JobCommand,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs, newest first: those that have not ended, and the last ones that have.
    List {
        /// At most so many, 1 to 200.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one job, and how far it is.
    Show {
        /// Its id.
        id: String,
    },
}
