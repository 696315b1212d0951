//! The one binary `hookfleet`: configuration, wiring, lifecycle, telemetry, subcommands.
