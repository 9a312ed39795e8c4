//! Everything here starts our real binaries and talks to them as a user or a client would.

mod config;
mod harness;
mod session_state;
