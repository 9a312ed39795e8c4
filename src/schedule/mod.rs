//! When the gateway acts by itself: heartbeats and cron jobs.
//!
//! Runs in the core. What is due, and when next, are questions to pure functions here; who asks
//! them, sleeps in between and starts turns is `gateway::heartbeat` and `gateway::cron`.

pub mod heartbeat;
