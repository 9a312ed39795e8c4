//! `openclaw hooks enable` and `disable`.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::{TAKEN_UP, all, not_found, shown};
use crate::agent::skills::Requires;
use crate::base::cmdline::{Arg, Command};
use crate::ops::hooks;

const NAME: Arg = Arg::required("name", "The hook's name");

pub const ENABLE: Command = Command {
    name: "enable",
    summary: "Have a hook run",
    about: "Switches hooks on altogether, too. A hook of a workspace may be the agent's own work: \
        look at it first.",
    args: &[NAME],
    ..Command::NEW
};

pub const DISABLE: Command = Command {
    name: "disable",
    summary: "Have a hook not run",
    args: &[NAME],
    ..Command::NEW
};

pub fn enable(context: &mut Context) -> Result<(), Failure> {
    switch(context, true)
}

pub fn disable(context: &mut Context) -> Result<(), Failure> {
    switch(context, false)
}

fn switch(context: &mut Context, on: bool) -> Result<(), Failure> {
    let name = context.matches.arg(0).unwrap_or_default().to_string();
    let found = all(context).into_iter().find(|(hook, _)| hook.name == name);
    let (hook, standing) = found.ok_or_else(|| not_found(&name))?;
    // What its own entry says is about to change.
    let own = format!("hooks.internal.entries.{}.enabled", hook.key());
    let mut missing = standing.missing;
    missing.config.retain(|path| *path != own);
    if on && missing != Requires::default() {
        return Err(Failure::said(format!(
            "Error: Hook \"{name}\" is not eligible (missing requirements)\n  fix: openclaw hooks info {name}"
        )));
    }
    let (paths, env) = (
        context.local.paths().clone(),
        context.local.snapshot.env.clone(),
    );
    hooks::switch(&paths, &env, &[hook.key()], on)
        .map_err(|err| Failure::said(format!("Error: {err}")))?;
    let done = if on { "✓ Enabled" } else { "⏸ Disabled" };
    context.out.line(format!("{done} hook: {}", shown(&hook)))?;
    Ok(context.out.line(TAKEN_UP)?)
}
