//! The commands: one file each, with its `SPEC` and its `run`, and one row here.

mod acp;
mod agent;
mod agents;
mod approvals;
mod backup;
mod channels;
mod completion;
mod config;
mod configure;
mod cron;
mod dashboard;
mod devices;
mod doctor;
mod gateway;
mod health;
mod hooks;
mod logs;
mod memory;
mod message;
mod models;
mod onboard;
mod pairing;
mod quickstart;
mod reset;
mod sandbox;
mod security;
mod sessions;
mod setup;
mod skills;
mod status;
mod system;
mod tui;
mod uninstall;
mod update;

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
        acp::SPEC,
        agent::SPEC,
        agents::SPEC,
        approvals::SPEC,
        backup::SPEC,
        channels::SPEC,
        completion::SPEC,
        config::SPEC,
        configure::SPEC,
        cron::SPEC,
        dashboard::SPEC,
        devices::SPEC,
        doctor::SPEC,
        gateway::SPEC,
        health::SPEC,
        hooks::SPEC,
        logs::SPEC,
        memory::SPEC,
        message::SPEC,
        models::SPEC,
        onboard::SPEC,
        pairing::SPEC,
        quickstart::SPEC,
        reset::SPEC,
        sandbox::SPEC,
        security::SPEC,
        sessions::SPEC,
        setup::SPEC,
        skills::SPEC,
        status::SPEC,
        system::SPEC,
        tui::SPEC,
        uninstall::SPEC,
        update::SPEC,
    ],
    ..Command::NEW
};

const ROWS: &[Row] = &[
    row("acp", acp::run).needing_config(),
    row("acp client", acp::client),
    row("agent", agent::run).needing_config(),
    row("agents", agents::bare).needing_config(),
    row("agents add", agents::add).needing_config(),
    row("agents delete", agents::delete).needing_config(),
    row("agents list", agents::list).needing_config(),
    row("agents set-identity", agents::set_identity).needing_config(),
    row("approvals allowlist add", approvals::add),
    row("approvals allowlist remove", approvals::remove),
    row("approvals get", approvals::get),
    row("approvals set", approvals::set),
    row("backup create", backup::create),
    row("backup list", backup::list),
    row("backup restore", backup::restore_archive),
    row("backup verify", backup::verify),
    row("channels logout", channels::logout),
    row("channels status", channels::status),
    row("completion", completion::run),
    row("config", configure::run).needing_config(),
    row("config get", config::get).needing_config(),
    row("config set", config::set),
    row("config unset", config::unset),
    row("configure", configure::run).needing_config(),
    row("cron add", cron::add),
    row("cron disable", cron::disable),
    row("cron edit", cron::edit),
    row("cron enable", cron::enable),
    row("cron list", cron::list),
    row("cron rm", cron::rm),
    row("cron run", cron::run),
    row("cron runs", cron::runs),
    row("cron status", cron::status),
    row("dashboard", dashboard::run),
    row("devices approve", devices::approve),
    row("devices list", devices::list),
    row("devices reject", devices::reject),
    row("devices revoke", devices::revoke),
    row("devices rotate", devices::rotate),
    row("doctor", doctor::run),
    row("gateway", gateway::run::run),
    row("gateway call", gateway::call::run),
    row("gateway discover", gateway::discover::run),
    row("gateway health", gateway::health::run),
    row("gateway install", gateway::service::install),
    row("gateway probe", gateway::probe::run),
    row("gateway restart", gateway::service::restart),
    row("gateway run", gateway::run::run),
    row("gateway start", gateway::service::start),
    row("gateway status", gateway::status::run),
    row("gateway stop", gateway::service::stop),
    row("gateway uninstall", gateway::service::uninstall),
    row("gateway usage-cost", gateway::usage_cost::run),
    row("health", health::run),
    row("hooks", hooks::list::bare),
    row("hooks check", hooks::check::run),
    row("hooks disable", hooks::switch::disable),
    row("hooks enable", hooks::switch::enable),
    row("hooks info", hooks::info::run),
    row("hooks install", hooks::install::run),
    row("hooks list", hooks::list::run),
    row("hooks update", hooks::update::run),
    row("logs", logs::run),
    row("memory index", memory::index::run).needing_config(),
    row("memory search", memory::search::run).needing_config(),
    row("memory status", memory::status::run).needing_config(),
    row("message send", message::send),
    row("models", models::status::bare),
    row("models aliases add", models::aliases::add),
    row("models aliases list", models::aliases::list),
    row("models aliases remove", models::aliases::remove),
    row("models auth add", models::auth::token::add),
    row("models auth login", models::auth::login::run),
    row(
        "models auth login-github-copilot",
        models::auth::login::copilot,
    ),
    row("models auth order clear", models::auth::order::clear),
    row("models auth order get", models::auth::order::get),
    row("models auth order set", models::auth::order::set),
    row("models auth paste-token", models::auth::token::paste),
    row("models auth setup-token", models::auth::token::setup),
    row("models fallbacks add", models::fallbacks::add),
    row("models fallbacks clear", models::fallbacks::clear),
    row("models fallbacks list", models::fallbacks::list),
    row("models fallbacks remove", models::fallbacks::remove),
    row("models image-fallbacks add", models::fallbacks::image_add),
    row(
        "models image-fallbacks clear",
        models::fallbacks::image_clear,
    ),
    row("models image-fallbacks list", models::fallbacks::image_list),
    row(
        "models image-fallbacks remove",
        models::fallbacks::image_remove,
    ),
    row("models list", models::list::run),
    row("models local install", models::local::install),
    row("models local start", models::local::start),
    row("models local status", models::local::status),
    row("models local stop", models::local::stop),
    row("models scan", models::scan::run),
    row("models set", models::set::run),
    row("models set-image", models::set::image),
    row("models status", models::status::run),
    row("onboard", onboard::run).needing_config(),
    row("pairing approve", pairing::approve),
    row("pairing list", pairing::list),
    row("quickstart", quickstart::run),
    row("reset", reset::run),
    row("sandbox explain", sandbox::explain::run).needing_config(),
    row("sandbox list", sandbox::list::list).needing_config(),
    row("sandbox recreate", sandbox::list::recreate).needing_config(),
    row("security audit", security::audit),
    row("sessions", sessions::run).needing_config(),
    row("setup", setup::run).needing_config(),
    row("skills", skills::bare).needing_config(),
    row("skills check", skills::check).needing_config(),
    row("skills info", skills::info).needing_config(),
    row("skills list", skills::list).needing_config(),
    row("status", status::run),
    row("system event", system::event),
    row("system heartbeat disable", system::disable),
    row("system heartbeat enable", system::enable),
    row("system heartbeat last", system::last),
    row("system presence", system::presence),
    row("tui", tui::run),
    row("uninstall", uninstall::run),
    row("update", update::run),
    row("update status", update::status),
    row("update wizard", update::wizard),
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
