//! The commands: one file each, with its `SPEC` and its `run`, and one row here.

mod agent;
mod completion;
mod config;
mod dashboard;
mod gateway;
mod health;
mod logs;
mod models;
mod quickstart;
mod sessions;
mod status;

use super::Context;
use super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::client::local;

pub type Run = fn(&mut Context) -> Result<(), Failure>;

pub struct Row {
    /// The path of the command without the program: `gateway call`.
    pub name: &'static str,
    pub run: Run,
    /// Stops at an invalid configuration. The others go on with what can be read of it.
    pub needs_config: bool,
}

pub const JSON: Flag = Flag::switch("json", "Print JSON").global();

pub const ROOT: Command = Command {
    name: "openclaw",
    summary: "Run, use and look after a personal AI assistant gateway",
    flags: &[
        local::DEV,
        JSON,
        Flag::switch("no-color", "Print without colour").global(),
        local::PASSWORD,
        local::PROFILE,
        local::TIMEOUT,
        local::TOKEN,
        local::URL,
    ],
    subcommands: &[
        agent::SPEC,
        completion::SPEC,
        config::SPEC,
        dashboard::SPEC,
        gateway::SPEC,
        health::SPEC,
        logs::SPEC,
        models::SPEC,
        quickstart::SPEC,
        sessions::SPEC,
        status::SPEC,
    ],
    ..Command::NEW
};

const ROWS: &[Row] = &[
    row("agent", agent::run).needing_config(),
    row("completion", completion::run),
    row("config get", config::get).needing_config(),
    row("config set", config::set),
    row("config unset", config::unset),
    row("dashboard", dashboard::run),
    row("gateway", gateway::run::run),
    row("gateway call", gateway::call::run),
    row("gateway health", gateway::health::run),
    row("gateway probe", gateway::probe::run),
    row("gateway run", gateway::run::run),
    row("gateway status", gateway::status::run),
    row("health", health::run),
    row("logs", logs::run),
    row("models list", models::list::run),
    row("models local install", models::local::install),
    row("models local start", models::local::start),
    row("models local status", models::local::status),
    row("models local stop", models::local::stop),
    row("models status", models::status::run),
    row("quickstart", quickstart::run),
    row("sessions", sessions::run).needing_config(),
    row("status", status::run),
];

const fn row(name: &'static str, run: Run) -> Row {
    Row {
        name,
        run,
        needs_config: false,
    }
}

impl Row {
    const fn needing_config(mut self) -> Row {
        self.needs_config = true;
        self
    }
}

pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cmdline::{self, path_name};

    #[test]
    fn the_table_is_sound() {
        assert_eq!(cmdline::faults(&ROOT), Vec::<String>::new());
        assert!(ROWS.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn every_command_has_a_row_and_every_row_a_command() {
        let commands: Vec<String> = ROOT
            .walk()
            .iter()
            .filter(|path| path.len() > 1 && path[path.len() - 1].runs())
            .map(|path| path_name(&path[1..]))
            .collect();
        for name in &commands {
            assert!(find(name).is_some(), "{name} has no row");
        }
        for row in ROWS {
            assert!(commands.iter().any(|name| name == row.name), "{}", row.name);
        }
    }
}
