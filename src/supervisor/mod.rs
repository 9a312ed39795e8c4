//! The supervisor: `openclaw-gateway` as anybody starts it.
//!
//! It owns the listening sockets, the gateway lock and the table of children, and nothing else: it
//! parses nothing hostile, knows no TLS, reads the configuration only as far as listening needs it,
//! and sleeps in one `poll` until a signal, a line of the core or a deadline comes. One thread.
//!
//! The core may die at any instant and is started again with the same listeners; workers outlive
//! it. When the supervisor dies, the kernel kills its children (`PR_SET_PDEATHSIG`), and the lock,
//! which the core inherits, is free only after the core has gone too.

pub mod args;
mod dev;
pub mod drain;
mod force;
mod link;
pub mod listeners;
pub mod lock;
pub mod main;
pub mod policy;
pub mod spawn;
mod table;

pub use main::main;
