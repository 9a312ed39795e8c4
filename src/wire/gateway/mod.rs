//! Gateway protocol 3: frames, errors, and the params and results of each method family.

pub mod agent;
pub mod agents;
pub mod approvals;
pub mod channels;
pub mod chat;
pub mod config;
pub mod cron;
pub mod frame;
pub mod health;
pub mod heartbeat;
pub mod sessions;
pub mod skills;
pub mod update;
pub mod usage;
pub mod wizard;
