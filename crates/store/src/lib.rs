//! The store port: endpoints, deduplication, gate, failure counts, attempt log, dead-letter view; its contract tests.
