//! `openclaw uninstall`: takes away the service, the state, the workspaces; the programs stay for
//! whoever installed them.

use super::super::Context;
use super::super::ask::Ask;
use super::super::failure::Failure;
use super::reset::{DRY_RUN, NON_INTERACTIVE, YES, at_terminal, stop, take_away};
use crate::base::cmdline::{Command, Flag};
use crate::ops::removal;
use crate::ops::service;
use std::path::PathBuf;

pub const SPEC: Command = Command {
    name: "uninstall",
    summary: "Take away service, state and workspaces",
    about: "The programs stay. What is taken away is gone.",
    flags: &[
        Flag::switch("all", "Service, state, workspaces and app"),
        Flag::switch("app", "The macOS app"),
        DRY_RUN,
        NON_INTERACTIVE,
        Flag::switch("service", "The gateway's service"),
        Flag::switch("state", "State and configuration"),
        Flag::switch("workspace", "The agents' workspaces"),
        YES,
    ],
    ..Command::NEW
};

/// What can be taken away, and how it is called in a question.
const SCOPES: [(&str, &str); 4] = [
    ("service", "Gateway service"),
    ("state", "State + config"),
    ("workspace", "Workspace (agent files)"),
    ("app", "macOS app"),
];
const APP: &str = "/Applications/OpenClaw.app";

pub fn run(context: &mut Context) -> Result<(), Failure> {
    match uninstall(context) {
        Err(Failure::Cancelled) => {
            eprintln!("Uninstall cancelled.");
            Ok(())
        }
        other => other,
    }
}

fn uninstall(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let quiet = matches.has("non-interactive");
    let (yes, dry) = (matches.has("yes"), matches.has("dry-run"));
    if quiet && !yes {
        return Err(Failure::said("Non-interactive mode requires --yes."));
    }
    let named = |name: &&str| matches.has("all") || matches.has(name);
    let mut chosen: Vec<&str> = SCOPES.iter().map(|(name, _)| *name).filter(named).collect();
    if chosen.is_empty() {
        if quiet {
            return Err(Failure::said(
                "Non-interactive mode requires explicit scopes (use --all).",
            ));
        }
        at_terminal("uninstall", "--all --yes --non-interactive")?;
        let labels = SCOPES.map(|(_, label)| label);
        let places = Ask::new()?.several("Uninstall which components?", &labels, &[0, 1, 2])?;
        chosen = places.into_iter().map(|at| SCOPES[at].0).collect();
    }
    if chosen.is_empty() {
        return Ok(context.out.line("Nothing selected.")?);
    }
    if !yes && !dry {
        at_terminal("uninstall", "--all --yes --non-interactive")?;
        if !Ask::new()?.confirm("Proceed with uninstall?", false)? {
            return Err(Failure::Cancelled);
        }
    }
    let has = |name: &str| chosen.contains(&name);
    let mut all = true;
    if has("service") {
        all &= take_service(context, dry)?;
    }
    let workspaces = removal::workspaces(&context.local.snapshot);
    if has("state") {
        if !dry && !has("service") {
            stop(context)?;
        }
        // A workspace may lie in the state folder: it goes only where that was asked for.
        let keep: &[PathBuf] = if has("workspace") { &[] } else { &workspaces };
        let state = removal::state(&context.local.snapshot);
        all &= take_away(context, &state, keep, dry)?;
    }
    if has("workspace") {
        all &= take_away(context, &workspaces, &[], dry)?;
    }
    if has("app") && cfg!(target_os = "macos") {
        all &= take_away(context, &[PathBuf::from(APP)], &[], dry)?;
    }
    let out = &mut context.out;
    out.line("CLI still installed. Remove via npm/pnpm if desired.")?;
    if has("state") && !has("workspace") {
        out.line("Tip: workspaces were preserved. Re-run with --workspace to remove them.")?;
    }
    if all { Ok(()) } else { Err(Failure::Silent) }
}

fn take_service(context: &mut Context, dry: bool) -> Result<bool, Failure> {
    if dry {
        context.out.line("[dry-run] remove gateway service")?;
        return Ok(true);
    }
    stop(context)?;
    let manager = service::here(&context.local.snapshot);
    if manager.written().is_none() {
        context.out.line("Gateway service not installed.")?;
        return Ok(true);
    }
    let (noun, file) = (manager.words().noun, manager.file().display().to_string());
    match manager.uninstall() {
        Ok(_) => {
            context.out.line(format!("Removed {noun}: {file}"))?;
            Ok(true)
        }
        Err(err) => {
            eprintln!("Gateway uninstall failed: Error: {err}");
            Ok(false)
        }
    }
}
