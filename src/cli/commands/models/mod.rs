//! `openclaw models`: what can answer, what opens it, and the model that runs on this machine.

pub mod list;
pub mod local;
pub mod status;

use crate::base::cmdline::Command;

pub const SPEC: Command = Command {
    name: "models",
    summary: "Show models and their keys; run a small one on this machine",
    subcommands: &[list::SPEC, local::SPEC, status::SPEC],
    ..Command::NEW
};
