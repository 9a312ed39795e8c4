//! `openclaw gateway`: run one, and ask one.

pub mod call;
pub mod health;
pub mod probe;
pub mod run;
pub mod status;

use crate::base::cmdline::Command;

pub const SPEC: Command = Command {
    name: "gateway",
    aliases: &["daemon"],
    summary: "Run the gateway in the foreground, or ask a running one",
    about: "Without a subcommand the gateway runs in the foreground.",
    flags: run::FLAGS,
    standalone: true,
    subcommands: &[
        call::SPEC,
        health::SPEC,
        probe::SPEC,
        run::SPEC,
        status::SPEC,
    ],
    ..Command::NEW
};
