//! The tool runner: `openclaw-exec`, the only process that starts commands for the agent, and the
//! core's way to it.
//!
//! `client` runs in the core. Everything else runs in `openclaw-exec`.

pub mod client;

use std::process::ExitCode;

pub use client::{Client, Event};

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
