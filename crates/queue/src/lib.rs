//! The queue port: publish, lease, settle, dead letters; its wire formats and contract tests.
