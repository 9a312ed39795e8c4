//! `completion`: the completion script of a shell, for packagers and for people who type much.

use super::super::{Context, Done, ROOT};
use crate::base::cmdline::complete::{SHELLS, Shell, script};
use crate::base::cmdline::{Arg, Command, Kind};

pub const SPEC: Command = Command {
    name: "completion",
    summary: "Print the completion script of a shell",
    about: "Not records but the script itself, as openclaw completion prints that of openclaw.",
    args: &[Arg::required("shell", "Which shell").kind(Kind::Choice(SHELLS))],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Done {
    let shell = context.matches.arg(0).and_then(Shell::named);
    // The table lets nothing else through.
    let shell = shell.unwrap_or(Shell::Bash);
    context.line(script(&ROOT, shell).trim_end())
}
