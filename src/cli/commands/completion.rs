//! `openclaw completion`: the completion script of a shell.

use super::super::Context;
use super::super::failure::Failure;
use super::ROOT;
use crate::base::atomic;
use crate::base::cmdline::complete::{SHELLS, Shell, script};
use crate::base::cmdline::{Arg, Command, Flag, Kind};

pub const SPEC: Command = Command {
    name: "completion",
    summary: "Print the completion script of a shell",
    about: "Bash: openclaw completion bash > ~/.local/share/bash-completion/completions/openclaw. \
            Zsh: openclaw completion zsh > a folder of $fpath/_openclaw. \
            Fish: openclaw completion fish > ~/.config/fish/completions/openclaw.fish.",
    flags: &[
        Flag::choice("shell", "shell", SHELLS, "Which shell")
            .short('s')
            .default("zsh"),
        Flag::switch(
            "write-state",
            "Write all scripts to the state folder instead",
        ),
    ],
    args: &[Arg::optional("shell", "Which shell, as --shell").kind(Kind::Choice(SHELLS))],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    if context.matches.has("write-state") {
        return write_all(context);
    }
    let matches = &context.matches;
    let name = matches.text("shell").or(matches.arg(0)).unwrap_or("zsh");
    let Some(shell) = Shell::named(name) else {
        return Err(Failure::said(format!(
            "error: option '-s, --shell <shell>' argument '{name}' is invalid. \
             Allowed choices are {}.",
            SHELLS.join(", ")
        )));
    };
    Ok(context.out.text(&script(&ROOT, shell))?)
}

fn write_all(context: &mut Context) -> Result<(), Failure> {
    let dir = context.local.paths().state.join("completions");
    for name in SHELLS {
        let Some(shell) = Shell::named(name) else {
            continue;
        };
        let path = dir.join(format!("openclaw.{name}"));
        atomic::write(&path, script(&ROOT, shell).as_bytes()).map_err(|err| Failure::Error {
            text: format!("{}: {err}", path.display()),
            hint: None,
        })?;
        let shown = context.local.paths().tilde(&path);
        context.out.line(format!("Wrote {shown}"))?;
    }
    Ok(())
}
