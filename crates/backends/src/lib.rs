//! RabbitMQ, Redis and SQLite behind the two ports.
//!
//! Only the binary and the end-to-end tests name this crate; everything above the ports is the same
//! code over any backend.

mod metrics;
pub mod rabbitmq;
pub mod redis;
pub mod sqlite;

pub use metrics::{BackendMetrics, Measured};
