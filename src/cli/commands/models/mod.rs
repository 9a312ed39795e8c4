//! `openclaw models`: what can answer, what opens it, and the model that runs on this machine.

pub mod aliases;
pub mod auth;
pub mod fallbacks;
pub mod list;
pub mod local;
pub mod scan;
pub mod set;
pub mod status;

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::base::exit::Report;
use crate::config::Snapshot;
use std::path::PathBuf;

pub const SPEC: Command = Command {
    name: "models",
    summary: "Choose models, keep their keys; run a small one on this machine",
    about: "Without a subcommand it shows the status.",
    flags: &[
        Flag::value("agent", "id", "Of this agent and not the default one").global(),
        Flag::switch("status-json", "The same as status --json"),
        Flag::switch("status-plain", "The same as status --plain"),
    ],
    subcommands: &[
        aliases::SPEC,
        auth::SPEC,
        fallbacks::SPEC,
        fallbacks::IMAGE_SPEC,
        list::SPEC,
        local::SPEC,
        scan::SPEC,
        set::SPEC,
        set::IMAGE_SPEC,
        status::SPEC,
    ],
    standalone: true,
    ..Command::NEW
};

/// `Error: <what>` and the fix, as these commands of the original say it.
fn told(err: &(impl Report + ?Sized)) -> Failure {
    match err.hint() {
        Some(hint) => Failure::said(format!("Error: {err}\n  fix: {hint}")),
        None => Failure::said(format!("Error: {err}")),
    }
}

fn updated(context: &mut Context, after: &Snapshot) -> Result<(), Failure> {
    let path = context.local.paths().tilde(&after.paths.config);
    Ok(context.out.line(format!("Updated {path}"))?)
}

/// The agent named by `--agent`, which must exist.
fn agent(context: &Context) -> Result<Option<String>, Failure> {
    context.agent().map_err(|typed| {
        Failure::said(format!(
            "Error: Unknown agent id \"{typed}\". Use \"openclaw agents list\" to see configured agents."
        ))
    })
}

/// That agent, or the default one, and its folder of credentials.
fn agent_and_dir(context: &Context) -> Result<(String, PathBuf), Failure> {
    let config = &context.local.snapshot.config;
    let id = agent(context)?.unwrap_or_else(|| config.default_agent_id());
    let dir = crate::model::name::agent_dir(context.local.paths(), &id);
    Ok((id, dir))
}

/// `--json` and `--plain` together are no request.
fn one_form(context: &Context) -> Result<(), Failure> {
    match context.json() && context.matches.has("plain") {
        true => Err(Failure::said(
            "Error: Choose either --json or --plain, not both.",
        )),
        false => Ok(()),
    }
}

/// A positive number of a flag, or what there is without it.
fn positive(context: &Context, flag: &str, default: f64, rule: &str) -> Result<f64, Failure> {
    let Some(typed) = context.matches.text(flag) else {
        return Ok(default);
    };
    let number = typed.trim().parse::<f64>().ok();
    number
        .filter(|n| n.is_finite() && *n > 0.0)
        .ok_or_else(|| Failure::said(format!("Error: --{flag} must be {rule}")))
}
