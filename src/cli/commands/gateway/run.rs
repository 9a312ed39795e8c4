//! `openclaw gateway`, `openclaw gateway run`: this process becomes the daemon.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::program;
use crate::base::cmdline::{Command, Flag};
use std::os::unix::process::CommandExt;
use std::process;

const DAEMON: &str = "openclaw-gateway";

/// The daemon's own, and what it is handed of the global ones.
pub const FLAGS: &[Flag] = &[
    Flag::switch(
        "allow-unconfigured",
        "Start although gateway.mode is not local",
    ),
    Flag::choice(
        "auth",
        "mode",
        &["token", "password"],
        "How clients prove themselves",
    ),
    Flag::choice(
        "bind",
        "mode",
        &["loopback", "lan", "tailnet", "auto", "custom"],
        "Where to listen",
    ),
    Flag::switch("claude-cli-logs", "Only that subsystem on stderr"),
    Flag::switch("compact", "Accepted, without effect"),
    Flag::file("config", "file", "The configuration file"),
    Flag::switch("force", "End whatever listens on the port first"),
    Flag::number(
        "notify-fd",
        "n",
        "Descriptor that gets a newline when ready",
    ),
    Flag::number("port", "n", "TCP port").default("18789"),
    Flag::switch("raw-stream", "Accepted, without effect"),
    Flag::file("raw-stream-path", "file", "Accepted, without effect"),
    Flag::switch(
        "reset",
        "With --dev: put its files aside, start from nothing",
    ),
    Flag::choice(
        "tailscale",
        "mode",
        &["off", "serve", "funnel"],
        "Publish by Tailscale",
    ),
    Flag::switch(
        "tailscale-reset-on-exit",
        "Take back at the end what was published",
    ),
    Flag::switch("verbose", "More on stderr"),
    Flag::choice(
        "ws-log",
        "style",
        &["auto", "full", "compact"],
        "Accepted, without effect",
    ),
];

pub const SPEC: Command = Command {
    name: "run",
    summary: "Run the gateway in the foreground",
    flags: FLAGS,
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let daemon = program::beside(DAEMON);
    let matches = &context.matches;
    let mut handed: Vec<&str> = FLAGS.iter().map(|f| f.long).collect();
    handed.extend(["dev", "profile", "token", "password"]);
    let mut command = process::Command::new(&daemon);
    command.args(matches.words(&handed));
    if matches.has("no-color") {
        command.env("NO_COLOR", "1");
    }
    let err = command.exec();
    Err(Failure::Error {
        text: format!("{}: {err}", daemon.display()),
        hint: Some("reinstall: the daemon belongs beside openclaw, or in the PATH".into()),
    })
}
