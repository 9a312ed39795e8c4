//! `openclaw hooks install`: a folder or archive of hooks, copied or linked.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::TAKEN_UP;
use crate::base::cmdline::{Arg, Command, Flag, Kind};
use crate::config::paths::expand;
use crate::ops::hooks;

pub const SPEC: Command = Command {
    name: "install",
    summary: "Install hooks from a folder or an archive",
    about: "The folder has a HOOK.md, or a package.json that names folders which have. Packages \
        of npm are not fetched: unpack one and name its folder.",
    flags: &[Flag::switch("link", "Leave the folder where it is").short('l')],
    args: &[Arg {
        kind: Kind::File,
        ..Arg::required("path", "The folder or archive")
    }],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let typed = context.matches.arg(0).unwrap_or_default().to_string();
    let paths = context.local.paths().clone();
    let env = context.local.snapshot.env.clone();
    let path = std::path::absolute(expand(&typed, &paths.home))
        .map_err(|err| Failure::said(format!("Error: {typed}: {err}")))?;
    if !path.exists() {
        return Err(Failure::said(format!("Path not found: {}", path.display())));
    }
    let told = |err: hooks::Error| Failure::said(err);
    if context.matches.has("link") {
        let installed = hooks::link(&paths, &env, &path).map_err(told)?;
        context
            .out
            .line(format!("Linked hook path: {}", paths.tilde(&path)))?;
        context
            .out
            .line(format!("Linked hooks: {}", installed.join(", ")))?;
    } else {
        let installed = hooks::install(&paths, &env, &path).map_err(told)?;
        let place = installed.place.display();
        context.out.line(format!("Installed to {place}"))?;
        let names = installed.hooks.join(", ");
        context.out.line(format!("Installed hooks: {names}"))?;
    }
    Ok(context.out.line(TAKEN_UP)?)
}
