//! `openclaw acp`: the gateway for editors that speak the Agent Client Protocol.

use super::super::Context;
use super::super::acp::driver::Driver;
use super::super::acp::{Bridge, Options, Reader};
use super::super::failure::Failure;
use super::super::output::Stopped;
use crate::base::cmdline::{Command, Flag};
use crate::client::Who;
use serde_json::{Value, json};
use std::io;
use std::os::fd::AsFd;

const VERBOSE: Flag = Flag::switch("verbose", "Say on stderr what is done").short('v');

pub const SPEC: Command = Command {
    name: "acp",
    summary: "Serve an editor by the Agent Client Protocol on stdin and stdout",
    flags: &[
        Flag::switch(
            "no-prefix-cwd",
            "Do not put the working directory before prompts",
        ),
        Flag::switch("require-existing", "Fail when the session is not there"),
        Flag::switch(
            "reset-session",
            "Begin the session anew before its first use",
        ),
        Flag::value("session", "key", "The session to use (default: a new one)"),
        Flag::value("session-label", "label", "The session with this label"),
        VERBOSE,
    ],
    standalone: true,
    subcommands: &[Command {
        name: "client",
        summary: "Start such a server and send it what is typed, to try it",
        flags: &[
            Flag::dir("cwd", "dir", "Working directory of the session"),
            Flag::value("server", "command", "The server").default("openclaw"),
            Flag::value("server-args", "word", "More words for the server").repeatable(),
            Flag::switch("server-verbose", "Have the server say what it does"),
            VERBOSE,
        ],
        ..Command::NEW
    }],
    ..Command::NEW
};

/// The scopes of the original's bridge.
const WHO: Who = Who {
    scopes: &["operator.admin"],
    ..Who::cli().with_tool_events()
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let text = |flag: &str| {
        let text = matches.text(flag).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_string)
    };
    let options = Options {
        session: text("session"),
        label: text("session-label"),
        require_existing: matches.has("require-existing"),
        reset: matches.has("reset-session"),
        prefix_cwd: !matches.has("no-prefix-cwd"),
        verbose: matches.has("verbose"),
    };
    let caller = context.local.caller()?.with(WHO);
    let stdin = io::stdin().as_fd().try_clone_to_owned();
    let editor = Reader::new(stdin.map_err(Stopped::from)?);
    let mut bridge = Bridge::new(caller, options, io::stdout().lock());
    Ok(bridge.serve(editor).map_err(Stopped::from)?)
}

pub fn client(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let cwd = match matches.text("cwd") {
        Some(cwd) => Ok(cwd.into()),
        None => std::env::current_dir(),
    };
    let cwd = cwd.map_err(Stopped::from)?;
    let server = matches.text("server").unwrap_or("openclaw").to_string();
    let mut words = vec!["acp".to_string()];
    words.extend(matches.all("server-args").map(str::to_string));
    if matches.has("server-verbose") {
        words.push("--verbose".into());
    }
    let verbose = matches.has("verbose");
    let mut driver = Driver::start(&server, &words, &cwd, verbose)
        .map_err(|err| Failure::said(format!("acp client: {server}: {err}")))?;
    let out = &mut context.out;
    let files = json!({"readTextFile": false, "writeTextFile": false});
    let params = json!({
        "protocolVersion": 1,
        "clientCapabilities": {"fs": files, "terminal": false},
        "clientInfo": {"name": "openclaw-acp-client", "version": "1.0.0"},
    });
    driver.ask("initialize", params, out)?;
    let params = json!({"cwd": cwd, "mcpServers": Value::Array(Vec::new())});
    let session = driver.ask("session/new", params, out)?["sessionId"].clone();
    out.line("OpenClaw ACP client")?;
    out.line(format!("Session: {}", session.as_str().unwrap_or_default()))?;
    out.line("Type a prompt, or \"exit\" to quit.\n")?;
    driver.converse(&session, out)
}
