//! `openclaw reset`: takes away the configuration, or more, and leaves the programs.

use super::super::Context;
use super::super::ask::{self, Ask};
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::ops::removal::{self, Scope};
use crate::ops::service;
use crate::supervisor::lock;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const SPEC: Command = Command {
    name: "reset",
    summary: "Take away the configuration, sessions or everything",
    about: "config: the configuration file. config+creds+sessions: also the channels' credentials and \
            every agent's sessions. full: the state folder and the workspaces. What is taken away is \
            gone; openclaw backup keeps it.",
    flags: &[
        DRY_RUN,
        NON_INTERACTIVE,
        Flag::value("scope", "scope", "config, config+creds+sessions or full"),
        YES,
    ],
    ..Command::NEW
};

pub const DRY_RUN: Flag = Flag::switch("dry-run", "Only say what would be done");
pub const NON_INTERACTIVE: Flag = Flag::switch("non-interactive", "Ask nothing (needs --yes)");
pub const YES: Flag = Flag::switch("yes", "Do it without a last question");

/// A gateway that was told to stop has gone by then.
const GONE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

pub fn run(context: &mut Context) -> Result<(), Failure> {
    match reset(context) {
        Err(Failure::Cancelled) => {
            eprintln!("Reset cancelled.");
            Ok(())
        }
        other => other,
    }
}

fn reset(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let quiet = matches.has("non-interactive");
    let yes = matches.has("yes");
    let dry = matches.has("dry-run");
    if quiet && !yes {
        return Err(Failure::said("Non-interactive mode requires --yes."));
    }
    let scope = match matches.text("scope") {
        Some(name) => Scope::named(name).ok_or_else(|| {
            Failure::said(
                "Invalid --scope. Expected \"config\", \"config+creds+sessions\", or \"full\".",
            )
        })?,
        None if quiet => return Err(Failure::said("Non-interactive mode requires --scope.")),
        None => {
            at_terminal("reset", "--scope <scope> --yes")?;
            let labels = [
                "Config only (openclaw.json)",
                "Config + credentials + sessions (keeps workspace + auth profiles)",
                "Full reset (state dir + workspace)",
            ];
            let values = Scope::NAMES.map(|(name, _)| name);
            let at = Ask::new()?.pick("Reset scope", &labels, &values, 1, labels.len())?;
            Scope::NAMES[at].1
        }
    };
    if !yes && !dry {
        at_terminal("reset", "--yes")?;
        let name = Scope::NAMES.iter().find(|(_, known)| *known == scope);
        let name = name.map_or("", |(name, _)| name);
        if !Ask::new()?.confirm(&format!("Proceed with {name} reset?"), false)? {
            return Err(Failure::Cancelled);
        }
    }
    if scope != Scope::Config {
        match dry {
            true => context.out.line("[dry-run] stop gateway service")?,
            false => stop(context)?,
        }
    }
    let paths = removal::of_reset(&context.local.snapshot, scope);
    let all = take_away(context, &paths, &[], dry)?;
    let next = context.command("onboard --install-daemon");
    context.out.line(format!("Next: {next}"))?;
    if all { Ok(()) } else { Err(Failure::Silent) }
}

pub fn at_terminal(command: &str, flags: &str) -> Result<(), Failure> {
    match ask::is_possible() {
        true => Ok(()),
        false => Err(Failure::said(format!(
            "Error: {command} asks at a terminal\n  fix: openclaw {command} {flags}"
        ))),
    }
}

/// Stops the service, and waits until no gateway has the state any more: nothing is taken from under
/// one that runs.
pub fn stop(context: &mut Context) -> Result<(), Failure> {
    let snapshot = context.local.snapshot.clone();
    let manager = service::here(&snapshot);
    // Asked only where there is one: a host without any has nothing to stop.
    if manager.written().is_some() {
        match manager.loaded() {
            Ok(true) => match manager.stop() {
                Ok(()) => {
                    let words = manager.words();
                    let line = format!("Stopped {}: {}", words.noun, words.name);
                    context.out.line(line)?;
                }
                Err(err) => eprintln!("Gateway stop failed: Error: {err}"),
            },
            Ok(false) => {}
            Err(err) => eprintln!("Gateway service check failed: Error: {err}"),
        }
    }
    let until = Instant::now() + GONE;
    let stopped = manager.written().is_some();
    while let Some(pid) = lock::holder(&snapshot.paths, &snapshot.env) {
        if !stopped || Instant::now() > until {
            return Err(Failure::said(format!(
                "Error: a gateway runs on this state (pid {pid})\n  fix: stop it, then this again"
            )));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Removes what is at `paths` but for what is at `keep`, with a line for each; false: not all of it
/// could be.
pub fn take_away(
    context: &mut Context,
    paths: &[PathBuf],
    keep: &[PathBuf],
    dry: bool,
) -> Result<bool, Failure> {
    let mut all = true;
    for path in paths {
        let snapshot = &context.local.snapshot;
        let shown = snapshot.paths.tilde(path);
        if removal::is_unsafe(snapshot, path) {
            eprintln!("Refusing to remove unsafe path: {shown}");
            all = false;
            continue;
        }
        let kept = kept(snapshot, path, keep);
        if dry {
            context
                .out
                .line(format!("[dry-run] remove {shown}{kept}"))?;
            continue;
        }
        match removal::remove_but(path, keep) {
            Ok(false) => {}
            Ok(true) => context.out.line(format!("Removed {shown}{kept}"))?,
            Err(err) => {
                eprintln!("Failed to remove {shown}: {err}");
                all = false;
            }
        }
    }
    Ok(all)
}

fn kept(snapshot: &crate::config::Snapshot, path: &Path, keep: &[PathBuf]) -> String {
    let inside = keep.iter().filter(|kept| kept.starts_with(path));
    let inside: Vec<String> = inside
        .filter(|kept| kept.exists())
        .map(|kept| snapshot.paths.tilde(kept))
        .collect();
    match inside.is_empty() {
        true => String::new(),
        false => format!(" (without {})", inside.join(", ")),
    }
}
