//! The order of going: first the core, which says goodbye, then the children, then we. Each step
//! has a deadline after which what is left is killed.

use std::time::{Duration, Instant};

/// For the core to end its runs and tell its clients.
pub const CORE_GRACE: Duration = Duration::from_secs(10);
/// The core keeps the grace itself; this much later it counts as hung.
pub const CORE_MARGIN: Duration = Duration::from_secs(1);
/// For a worker to hand back what it holds, and for the tool runner to end its commands.
pub const CHILD_GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Serving,
    /// The core was told to go and a fresh one follows; children stay.
    Restarting {
        kill_at: Instant,
    },
    StoppingCore {
        kill_at: Instant,
    },
    StoppingChildren,
}

impl Phase {
    pub fn restarting(now: Instant) -> Phase {
        Phase::Restarting {
            kill_at: now + CORE_GRACE + CORE_MARGIN,
        }
    }

    pub fn stopping(now: Instant) -> Phase {
        Phase::StoppingCore {
            kill_at: now + CORE_GRACE + CORE_MARGIN,
        }
    }

    /// When the core is killed.
    pub fn kill_at(self) -> Option<Instant> {
        match self {
            Phase::Restarting { kill_at } | Phase::StoppingCore { kill_at } => Some(kill_at),
            Phase::Serving | Phase::StoppingChildren => None,
        }
    }

    /// The whole gateway is going.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::StoppingCore { .. } | Phase::StoppingChildren)
    }
}
