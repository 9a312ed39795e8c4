//! The core: control plane, sessions, agent runs. Runs as `openclaw-gateway: core` under the
//! supervisor; `main` here picks the role.

pub mod agents;
pub mod approvals;
pub mod auth;
pub mod broadcast;
pub mod channels;
pub mod clock;
mod commands;
pub mod connect;
pub mod connection;
pub mod core;
pub mod cron;
pub mod dedupe;
pub mod devices;
pub mod dispatch;
pub mod event;
pub mod failures;
pub mod front;
#[cfg(test)]
mod front_tests;
pub mod handshake;
pub mod health;
pub mod heartbeat;
pub mod hello;
pub mod hooks;
mod host;
pub mod http;
pub mod identity;
pub mod inside;
pub mod ledger;
mod link;
pub mod local_model;
mod main;
mod memory;
pub mod methods;
pub mod models;
pub mod origin;
pub mod outbox;
pub mod pending;
pub mod pool;
pub mod presence;
pub mod queue;
pub mod reload;
pub mod restart;
pub mod runs;
mod session_patch;
pub mod sessions;
pub mod skills;
mod spool;
pub mod subagents;
pub mod system_events;
pub mod tailscale;
pub mod talk;
pub mod turns;
pub mod ui;
pub mod usage;
pub mod watch;
pub mod wizard;

use std::process::ExitCode;

/// Plainly started we are the supervisor; only it starts the other roles.
pub fn main() -> ExitCode {
    let role = std::env::args_os().next().unwrap_or_default();
    if role == crate::supervisor::spawn::CORE {
        main::main()
    } else if role == crate::tailscale::ROLE {
        crate::tailscale::main()
    } else {
        crate::supervisor::main()
    }
}
