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
mod lifecycle;
mod output;
mod parts;
mod starting;
mod telemetry;
mod values;
mod welcome;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use args::{Command, Hookfleet};
use failure::Failure;

/// Runs the program and tells its exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 refused,
/// 5 server or broker out of reach.
pub fn main() -> ExitCode {
    let arguments = match Hookfleet::try_parse() {
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Serve(settings) => commands::serve::serve(*settings).await,
            Command::Api(settings) => commands::serve::api(*settings).await,
            Command::Worker(settings) => commands::serve::worker(*settings).await,
            Command::Doctor(settings) => commands::doctor::run(*settings).await,
            Command::Export(settings) => commands::transfer::export(*settings).await,
            Command::Import { settings, file } => {
                commands::transfer::import(*settings, &file).await
            }
            Command::Bench(arguments) => commands::bench::run(*arguments).await,
            Command::Listen(arguments) => commands::listen::run(arguments).await,
            Command::Endpoint(arguments) => commands::endpoint::run(*arguments).await,
            Command::Event(arguments) => commands::event::run(*arguments).await,
            Command::Token(arguments) => commands::token::run(*arguments).await,
            Command::Dead(arguments) => commands::dead::run(*arguments).await,
        }
    })
}
