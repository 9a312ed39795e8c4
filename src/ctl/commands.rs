//! The commands of `openclawctl`, and their table.

mod agent;
mod ask;
mod completion;
mod config;
mod logs;
mod watch;

use super::{Context, Done};
use crate::base::cmdline::Command;

pub const SPECS: &[Command] = &[
    agent::SPEC,
    ask::CALL,
    completion::SPEC,
    config::SPEC,
    logs::SPEC,
    ask::SESSIONS,
    ask::STATUS,
    agent::WAIT,
    watch::SPEC,
];

pub type Run = fn(&mut Context) -> Done;

const ROWS: &[(&str, Run)] = &[
    ("agent", agent::run),
    ("call", ask::call),
    ("completion", completion::run),
    ("config get", config::get),
    ("config set", config::set),
    ("config unset", config::unset),
    ("logs", logs::run),
    ("sessions", ask::sessions),
    ("status", ask::status),
    ("wait", agent::wait),
    ("watch", watch::run),
];

pub fn find(name: &str) -> Option<Run> {
    ROWS.iter().find(|(n, _)| *n == name).map(|(_, run)| *run)
}
