//! When the gateway acts by itself: heartbeats and cron jobs.
//!
//! Runs in the core. What is due, and when next, are questions to pure functions here, and the job
//! file and the run logs are kept here; who sleeps in between and starts turns is
//! `gateway::heartbeat` and `gateway::cron`.

mod error;
pub mod expression;
pub mod heartbeat;
pub mod input;
pub mod job;
pub mod next;
pub mod runlog;
mod store;

pub use error::Error;
pub use store::{Book, Store};
