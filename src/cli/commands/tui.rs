//! `openclaw tui`: the chat on the whole terminal.

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::client::Who;
use crate::tui::{self, Options};

pub const SPEC: Command = Command {
    name: "tui",
    summary: "Chat with the agents in the terminal",
    about: "Keys and commands: /help inside. Local commands (!command) run as you, after one question.",
    flags: &[
        Flag::switch("deliver", "Also send the answers to the session's channel"),
        Flag::number("history-limit", "n", "Messages shown at first").default("200"),
        Flag::value("message", "text", "Said at once"),
        Flag::value(
            "session",
            "key",
            "Session; the agent's main one if not given",
        ),
        Flag::value("thinking", "level", "How much to think in this chat"),
        Flag::number("timeout-ms", "ms", "Longest time for a turn"),
    ],
    ..Command::NEW
};

/// Messages shown at first.
const HISTORY: u64 = 200;

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let text = |name: &str| matches.text(name).map(str::to_string);
    let number = |name: &str| matches.number::<u64>(name).map_err(Failure::Usage);
    let options = Options {
        session: text("session"),
        deliver: matches.has("deliver"),
        thinking: text("thinking"),
        message: text("message"),
        timeout_ms: number("timeout-ms")?,
        history_limit: number("history-limit")?.unwrap_or(HISTORY).max(1),
    };
    open(context, options)
}

/// The chat as it is without flags, with something said at once.
pub fn chat(context: &mut Context, message: Option<&str>) -> Result<(), Failure> {
    let options = Options {
        message: message.map(str::to_string),
        history_limit: HISTORY,
        ..Options::default()
    };
    open(context, options)
}

fn open(context: &mut Context, options: Options) -> Result<(), Failure> {
    let caller = context.local.caller()?.with(Who::tui());
    let colours = !context.matches.has("no-color") && std::env::var_os("NO_COLOR").is_none();
    tui::run(caller, options, colours).map_err(|err| Failure::of(&err))
}
