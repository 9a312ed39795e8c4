//! OpenClaw gateway: one library, six thin programs in `bin/`.
//!
//! The modules stand in floors, lowest first; a file imports from its own room and from floors
//! below, never from above and never from the room next door. `src/README.md` is the map and
//! `tests/tidy.rs` checks it.

#![deny(unsafe_code)]

pub mod base;

pub mod config;
pub mod wire;

pub mod supervisor;

pub mod net;

pub mod client;
pub mod exec;
pub mod memory;
pub mod tailscale;

pub mod model;
pub mod session;

pub mod channel;
pub mod tool;

pub mod agent;
pub mod schedule;

pub mod gateway;

pub mod ops;
pub mod tui;

pub mod cli;
pub mod ctl;
