//! What wakes the core's main thread. Connections, runs and timers have threads of their own; only
//! what concerns the life of the process comes here.

use crate::wire::control::ToCore;

/// Events that may wait for the main thread, which never blocks for long.
pub const QUEUE: usize = 64;

#[derive(Debug)]
pub enum Event {
    /// A line of the supervisor.
    Control(ToCore),
    /// The supervisor is gone or speaks nonsense; the text says which.
    Orphaned(String),
    /// The configuration file, or one it includes, was changed and has come to rest.
    ConfigTouched,
    /// Something else is laid over the configuration file.
    ConfigOverlaid,
    /// A client left, the first since the heap was last trimmed.
    Departed,
}
