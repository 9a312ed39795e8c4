//! The core: control plane, sessions, agent runs. Runs as `openclaw-gateway: core` under the
//! supervisor; `main` here picks the role.

pub mod auth;
pub mod broadcast;
pub mod clock;
pub mod connect;
pub mod connection;
pub mod core;
pub mod dedupe;
pub mod devices;
pub mod dispatch;
pub mod front;
#[cfg(test)]
mod front_tests;
pub mod handshake;
pub mod hello;
pub mod host;
pub mod http;
pub mod identity;
pub mod methods;
pub mod outbox;
pub mod pool;
pub mod presence;
pub mod runs;
pub mod system_events;
pub mod ui;

use std::process::ExitCode;

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
