//! `openclaw setup`: a configuration, a workspace and a folder for sessions, without questions.

use super::super::Context;
use super::super::failure::Failure;
use super::{ROOT, onboard};
use crate::base::cmdline::{self, Command, Flag, Outcome};
use crate::base::exit::Report;
use crate::ops;

pub const SPEC: Command = Command {
    name: "setup",
    summary: "Make a configuration and the agent's workspace",
    about: "Asks nothing and sets no gateway.mode: the gateway starts only after onboard, or \
            openclaw config set gateway.mode local. With --wizard, --mode or one of the remote \
            flags it is the same as onboard.",
    flags: &[
        Flag::value("mode", "name", "local or remote: hands over to onboard"),
        Flag::switch(
            "non-interactive",
            "Hands over to onboard, which then asks nothing",
        ),
        Flag::value("remote-token", "text", "Token of a gateway elsewhere"),
        Flag::value("remote-url", "url", "Address of a gateway elsewhere"),
        Flag::switch("wizard", "Hand over to onboard"),
        Flag::dir("workspace", "dir", "Where the agent works"),
    ],
    ..Command::NEW
};

/// Any of these means onboarding, which knows all but the last.
const OF_WIZARD: [&str; 5] = [
    "mode",
    "non-interactive",
    "remote-token",
    "remote-url",
    "wizard",
];
/// What both commands have in common.
const COMMON: [&str; 2] = ["json", "workspace"];

pub fn run(context: &mut Context) -> Result<(), Failure> {
    if OF_WIZARD.iter().any(|flag| context.matches.has(flag)) {
        let known = [&OF_WIZARD[..4], &COMMON].concat();
        let words = context.matches.words(&known).into_iter();
        let words = ["onboard".to_string()].into_iter().chain(words);
        if let Outcome::Run(matches) = cmdline::parse(&ROOT, words.map(Into::into))? {
            context.matches = matches;
        }
        return onboard::run(context);
    }
    let workspace = context.matches.text("workspace");
    let done = ops::onboard::bare(&context.local.snapshot, workspace)
        .map_err(|err| Failure::prefixed("Setup failed", &err as &dyn Report))?;
    for line in &done.lines {
        context.out.line(line)?;
    }
    Ok(())
}
