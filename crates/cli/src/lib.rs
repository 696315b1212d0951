//! The binary `hookfleet`: configuration, wiring, lifecycle, telemetry, subcommands.
//!
//! This is the only crate that reads the environment and the wall clock, and the only one that names
//! a backend. The library's one entry is [`main`]; the end-to-end tests run it as a process.

mod args;
mod client;
mod clock;
mod commands;
mod config;
mod data_folder;
mod failure;
mod hints;
mod inspector;
mod lifecycle;
mod metrics;
mod otlp;
mod output;
mod parts;
mod presence;
mod progress;
mod starting;
mod telemetry;
mod values;
mod welcome;
mod wire;

use std::process::ExitCode;

use clap::FromArgMatches;

use args::{Command, Hookfleet};
use config::Role;
use failure::Failure;

/// Runs the program and tells its exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 refused,
/// 5 server or broker out of reach.
pub fn main() -> ExitCode {
    let parsed = args::program().try_get_matches();
    let arguments = match parsed.and_then(|found| Hookfleet::from_arg_matches(&found)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // Two TLS stacks are within reach of our dependencies; this one is ours.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err(Failure::failed("the TLS provider was installed twice"));
    }
    match command {
        Command::Serve(settings) => commands::serve::run(*settings, Role::Serve),
        Command::Api(settings) => commands::serve::run(*settings, Role::Api),
        Command::Worker(settings) => commands::serve::run(*settings, Role::Worker),
        Command::Doctor(settings) => block_on(None, commands::doctor::run(*settings)),
        Command::Export(settings) => block_on(None, commands::transfer::export(*settings)),
        Command::Import { settings, file } => {
            block_on(None, commands::transfer::import(*settings, &file))
        }
        Command::Bench(arguments) => block_on(None, commands::bench::run(*arguments)),
        Command::Listen(arguments) => block_on(None, commands::listen::run(arguments)),
        Command::Endpoint(arguments) => block_on(None, commands::endpoint::run(*arguments)),
        Command::Event(arguments) => block_on(None, commands::event::run(*arguments)),
        Command::Job(arguments) => block_on(None, commands::job::run(arguments)),
        Command::Tenant(arguments) => block_on(None, commands::tenant::run(arguments)),
        Command::Token(arguments) => block_on(None, commands::token::run(*arguments)),
        Command::Console(arguments) => block_on(None, commands::console::run(arguments)),
        Command::System(arguments) => block_on(None, commands::system::run(arguments)),
        Command::Stats(arguments) => block_on(None, commands::stats::run(arguments)),
        Command::Dead(arguments) => block_on(None, commands::dead::run(*arguments)),
        Command::Completions { shell } => commands::generate::completions(shell),
        Command::Manual { folder } => commands::generate::manual(&folder),
    }
}

/// Runs something on so many threads; none: as many as there are cores.
fn block_on(
    threads: Option<usize>,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?.block_on(work)
}
