//! The configuration file.

use std::path::Path;

use super::Settings;
use crate::failure::Failure;

/// The settings in a file, each in its range.
pub fn read(path: &Path) -> Result<Settings, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("config file {name} cannot be read: {error}")))?;
    let settings: Settings = toml::from_str(&text).map_err(|error| {
        // The line that is wrong may hold a secret: the message alone is shown.
        let line = error
            .span()
            .map_or(0, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        Failure::usage(format!("config file {name}, line {line}: {}", error.message()))
    })?;
    in_range(&name.to_string(), "partitions", settings.partitions, 1..=64)?;
    in_range(&name.to_string(), "threads", settings.threads, 1..=64)?;
    in_range(&name.to_string(), "concurrency", settings.concurrency, 1..=10_000)?;
    let endpoints = settings.endpoint_metrics_max;
    in_range(&name.to_string(), "endpoint_metrics_max", endpoints, 0..=10_000)?;
    Ok(settings)
}

fn in_range(
    file: &str,
    key: &str,
    value: Option<u16>,
    range: std::ops::RangeInclusive<u16>,
) -> Result<(), Failure> {
    match value.filter(|value| !range.contains(value)) {
        None => Ok(()),
        Some(value) => {
            let (min, max) = range.into_inner();
            Err(Failure::usage(format!(
                "config file {file}: {key} is {value}, expected {min} to {max}"
            )))
        }
    }
}
