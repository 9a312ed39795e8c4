//! `openclaw gateway`: run one, and ask one.

pub mod call;
pub mod discover;
pub mod health;
pub mod probe;
pub mod run;
pub mod service;
pub mod status;
pub mod usage_cost;

use crate::base::cmdline::Command;

pub const SPEC: Command = Command {
    name: "gateway",
    aliases: &["daemon"],
    summary: "Run the gateway, ask a running one, keep it as a service",
    about: "Without a subcommand the gateway runs in the foreground.",
    flags: run::FLAGS,
    standalone: true,
    subcommands: &[
        call::SPEC,
        discover::SPEC,
        health::SPEC,
        service::INSTALL,
        probe::SPEC,
        service::RESTART,
        run::SPEC,
        service::START,
        status::SPEC,
        service::STOP,
        service::UNINSTALL,
        usage_cost::SPEC,
    ],
    ..Command::NEW
};
