//! What each subcommand does.

pub mod bench;
pub mod console;
pub mod dead;
pub mod doctor;
pub mod endpoint;
pub mod event;
pub mod generate;
pub mod job;
pub mod listen;
pub mod preview;
pub mod serve;
pub mod stats;
pub mod system;
pub mod tenant;
pub mod token;
pub mod transfer;
