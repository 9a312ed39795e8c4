//! The types that cross a border between two processes or go to disk in the original's format.
//! Only these do; spelling on the wire is upstream's, through serde.

pub mod channel;
pub mod control;
pub mod exec;
pub mod gateway;
pub mod log;
pub mod memory;
pub mod message;
pub mod shape;
pub mod tailscale;
pub mod version;
