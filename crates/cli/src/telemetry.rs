//! Logs, on stderr.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::failure::Failure;

/// Begins to log.
pub fn begin(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let invalid = |error| Failure::usage(format!("log filter {filter:?} is invalid: {error}"));
    // lapin tells of every broken connection at many levels; we tell of it once.
    let quiet = if filter.contains("lapin") { "" } else { ",lapin=off" };
    let filter = EnvFilter::try_new(format!("{filter}{quiet}")).map_err(invalid)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would tell of a log that takes no more by writing to it, and panic: where logs are on the disk
    // that is full, that would end whoever had something to say.
    let logs = logs.log_internal_errors(false);
    let begun = match format {
        LogFormat::Text => logs.with_ansi(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| Failure::failed(format!("no logs: {error}")))
}
