//! `openclaw memory`: the index of the agents' notes. No gateway is asked: each question starts an
//! `openclaw-memory` of its own, and a lock keeps it and a gateway's out of each other's way.

pub mod index;
pub mod search;
pub mod status;

use super::super::Context;
use super::super::failure::Failure;
use super::super::program;
use crate::base::cmdline::{Command, Flag};
use crate::memory::{PROGRAM, link};
use crate::tool::memory::Memory;
use crate::tool::memory::settings::{self, Settings};

pub const SPEC: Command = Command {
    name: "memory",
    summary: "Search the agents' notes, and see to their index",
    flags: &[Flag::value("agent", "id", "Of this agent only").global()],
    subcommands: &[index::SPEC, search::SPEC, status::SPEC],
    ..Command::NEW
};

/// Everything that is told, and how it goes meanwhile.
const VERBOSE: Flag = Flag::switch("verbose", "Say more, and how it goes");

/// The agent named by `--agent`, which must exist.
fn named(context: &Context) -> Result<Option<String>, Failure> {
    let unknown = |typed| Failure::said(format!("Error: Unknown agent id \"{typed}\"."));
    context.agent().map_err(unknown)
}

/// That agent, or all of them.
fn wanted(context: &Context) -> Result<Vec<String>, Failure> {
    let config = &context.local.snapshot.config;
    Ok(match named(context)? {
        Some(id) => vec![id],
        None => config.agent_ids(),
    })
}

/// `None`, and it is said so, when the agent has no memory that is searched.
fn settings(context: &mut Context, agent: &str) -> Result<Option<Settings>, Failure> {
    let snapshot = &context.local.snapshot;
    if settings::is_on(snapshot, agent) {
        return Ok(Some(settings::resolve(
            snapshot,
            context.local.paths(),
            agent,
        )));
    }
    context.out.line("Memory search disabled.")?;
    Ok(None)
}

/// The way to an index of our own.
fn memory() -> Memory {
    let memory = Memory::default();
    memory.connect_by(|| link::start(&program::beside(PROGRAM)));
    memory
}

/// Tells on stderr how far it is, where that is wanted.
fn progress(verbose: bool) -> impl FnMut(u64, u64) {
    move |done, total| {
        if verbose && total > 0 {
            eprintln!("openclaw: {done} of {total}");
        }
    }
}
