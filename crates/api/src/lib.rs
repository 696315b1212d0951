//! The HTTP API: endpoints, events, attempts, dead letters, jobs, health.
