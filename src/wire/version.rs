//! One number per protocol, with a line on what each added.

/// Gateway WebSocket protocol. 3: the one of OpenClaw 2026.2.3; no other is spoken.
pub const GATEWAY: u32 = 3;

/// Supervisor and core over their socket pair. 1: `want`, `child`, `ready`, `stop`. 2: `part`.
pub const CONTROL: u32 = 2;

/// Core and tool runner. 1: `run`, `write`, `kill`, `output`, `exited`. 2: `keep`.
pub const EXEC: u32 = 2;

/// The behaviour this project is compatible with, where a file or frame names a program version.
pub const BEHAVIOUR: &str = "2026.2.3";

/// This program's own version.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");
