//! The tool runner: `openclaw-exec`, the only process that starts commands for the agent, and the
//! core's way to it.
//!
//! `client` runs in the core. Everything else runs in `openclaw-exec`, which has one thread:
//!
//! ```text
//! openclaw-exec            main, serve: listener, connection, one poll loop
//!  └─ exec-keeper          keeper: forked for one command, subreaper of all it starts
//!      └─ sh -c …          the command, in a session of its own, fenced by sandbox
//! ```
//!
//! The runner has no configuration, no token, no network and nothing on disk. It trusts the core,
//! and its commands with nothing: they inherit no descriptor and no variable, they cannot connect
//! to it, and whatever they start ends with them. `kill -9` of the runner ends every command, of a
//! keeper its own.
//!
//! Commands live as long as the core's connection, but for those it has asked to keep, its background
//! sessions: they go on for some minutes without a core, and the next one gets them back with the
//! note that was left on each and the last of what it printed.

pub mod client;
mod group;
mod keeper;
mod kept;
mod link;
mod main;
mod run;
mod sandbox;
mod serve;
mod tree;
mod watch;

pub use client::{Client, Event};
pub use main::main;
pub use sandbox::enforces;
