//! `openclaw sandbox`: what sandboxed sessions may do, and the containers some of them use.

pub mod explain;
pub mod list;

use crate::base::cmdline::Command;

pub const SPEC: Command = Command {
    name: "sandbox",
    summary: "What sandboxed sessions may do, and their containers",
    subcommands: &[explain::SPEC, list::LIST, list::RECREATE],
    ..Command::NEW
};
