//! The Tailscale helper: the one process that runs `tailscale`.
//!
//! The core may run no command and the supervisor parses nothing, so this is a process of its own:
//! it publishes the gateway's port (`tailscale serve` or `funnel`), takes that back when it ends, if
//! the configuration says so, and tells the core whose address in the tailnet a client has. The
//! supervisor starts it when the core wants it.

mod command;
pub mod link;
pub mod main;

pub use main::main;

/// The helper's argv[0], as `ps` shows it.
pub const ROLE: &str = "openclaw-gateway: tailscale";
/// Its row in the supervisor's table.
pub const WORKER_ID: &str = "tailscale";
