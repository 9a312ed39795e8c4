//! `openclaw hooks`: what happens when somebody gives a command, a turn begins or the gateway
//! starts. Files and configuration only; no gateway is asked.

pub mod check;
pub mod info;
pub mod install;
pub mod list;
pub mod switch;
pub mod update;

use super::super::Context;
use super::super::failure::Failure;
use crate::agent::hooks::{self, Hook, find};
use crate::agent::skills::Requires;
use crate::agent::skills::gate::{Gate, Standing};
use crate::base::cmdline::Command;

pub const SPEC: Command = Command {
    name: "hooks",
    summary: "Have something happen at commands, turns and starts",
    about: "Without a subcommand it lists them.",
    subcommands: &[
        check::SPEC,
        switch::DISABLE,
        switch::ENABLE,
        info::SPEC,
        install::SPEC,
        list::SPEC,
        update::SPEC,
    ],
    standalone: true,
    ..Command::NEW
};

/// The default agent's hooks, and how each stands.
fn all(context: &Context) -> Vec<(Hook, Standing)> {
    let snapshot = &context.local.snapshot;
    let agent = snapshot.config.default_agent_id();
    let gate = Gate::new(snapshot);
    let found = find::all(snapshot, context.local.paths(), &agent);
    let judged = found.into_iter().map(|hook| {
        let standing = hooks::judge(&gate, &hook);
        (hook, standing)
    });
    judged.collect()
}

/// Those built in that could run and do not: key, name, what for. One of a workspace may be the
/// agent's own work; it is not offered.
pub fn that_are_off(context: &Context) -> Vec<(String, String, String)> {
    let snapshot = &context.local.snapshot;
    let on = |hook: &Hook| {
        let entry = hooks::entry(snapshot, hook);
        hooks::is_on(snapshot) && entry.is_some_and(|entry| entry["enabled"] == true)
    };
    let could = |hook: &Hook, standing: Standing| {
        let own = format!("hooks.internal.entries.{}.enabled", hook.key());
        let mut missing = standing.missing;
        missing.config.retain(|path| *path != own);
        missing == Requires::default()
    };
    let found = all(context).into_iter();
    let found = found.filter(|(hook, _)| hook.file.is_none() && !on(hook));
    let found = found.filter_map(|(hook, standing)| could(&hook, standing).then_some(hook));
    found
        .map(|hook| {
            let key = hook.key().to_string();
            (key, hook.name, hook.description)
        })
        .collect()
}

/// For those that have no picture of their own.
const LINK: &str = "🔗";

/// As lists show it: picture and name.
fn shown(hook: &Hook) -> String {
    format!("{} {}", hook.emoji.as_deref().unwrap_or(LINK), hook.name)
}

/// Why one is not ready, in words.
fn lacks(standing: &Standing) -> String {
    let Requires {
        bins,
        any_bins,
        env,
        config,
        os,
    } = &standing.missing;
    let lists = [
        ("bins", bins),
        ("anyBins", any_bins),
        ("env", env),
        ("config", config),
        ("os", os),
    ];
    let mut parts: Vec<String> = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name}: {}", list.join(", ")))
        .collect();
    if standing.disabled {
        parts.insert(0, "disabled".into());
    }
    parts.join("; ")
}

fn not_found(name: &str) -> Failure {
    Failure::said(format!("Error: Hook \"{name}\" not found"))
}

/// After a change of the configuration that a running gateway takes up by itself.
const TAKEN_UP: &str = "A running gateway takes it up as it is.";
