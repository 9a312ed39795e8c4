//! `openclaw sandbox list` and `recreate`.

use super::super::super::Context;
use super::super::super::ask::Ask;
use super::super::super::failure::Failure;
use super::super::super::output::{Out, Written};
use crate::base::cmdline::{Command, Flag};
use crate::base::time::now_ms;
use crate::ops::containers::{self, Container, Kind, Whose};
use serde_json::json;

const BROWSER: Flag = Flag::switch("browser", "Those of browsers instead");

pub const LIST: Command = Command {
    name: "list",
    summary: "List the containers of sandboxed sessions",
    flags: &[BROWSER],
    ..Command::NEW
};

pub const RECREATE: Command = Command {
    name: "recreate",
    summary: "Take containers away; the next use makes them anew",
    flags: &[
        Flag::value("agent", "id", "Those of an agent and its sessions"),
        Flag::switch("all", "All of them"),
        BROWSER,
        Flag::switch("force", "Do not ask"),
        Flag::value("session", "key", "The one of a session"),
    ],
    ..Command::NEW
};

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let of_browsers = context.matches.has("browser");
    let snapshot = &context.local.snapshot;
    let (commands, browsers) = match of_browsers {
        true => (Vec::new(), containers::list(snapshot, Kind::Browser)),
        false => (containers::list(snapshot, Kind::Commands), Vec::new()),
    };
    if context.json() {
        let all = json!({"containers": commands, "browsers": browsers});
        return Ok(context.out.json(&all)?);
    }
    let out = &mut context.out;
    match of_browsers {
        true => show(out, "browser containers", &browsers)?,
        false => show(out, "containers", &commands)?,
    }
    let all = || commands.iter().chain(&browsers);
    let running = all().filter(|container| container.running).count();
    out.line(format!("Total: {} ({running} running)", all().count()))?;
    let other = all().filter(|container| !container.image_match).count();
    if other > 0 {
        out.line(format!(
            "\n{other} container(s) have another image than configured."
        ))?;
        out.line("   'openclaw sandbox recreate --all' brings all of them up to date.")?;
    }
    Ok(())
}

fn show(out: &mut Out, what: &str, list: &[Container]) -> Written {
    if list.is_empty() {
        return out.line(format!("No sandbox {what} found."));
    }
    out.line("")?;
    out.title(&format!("Sandbox {what}:"))?;
    out.line("")?;
    let now = now_ms();
    for container in list {
        let entry = &container.entry;
        let image = match container.image_match {
            true => "as configured",
            false => "not the one configured",
        };
        out.line(format!("  {}", entry.container_name))?;
        out.line(format!("    Status:  {}", status(container)))?;
        out.line(format!("    Image:   {} ({image})", entry.image))?;
        for (label, key) in [("CDP:    ", "cdpPort"), ("noVNC:  ", "noVncPort")] {
            if let Some(port) = entry.rest.get(key) {
                out.line(format!("    {label} {port}"))?;
            }
        }
        let age = |at: u64| age(now.saturating_sub(at));
        out.line(format!("    Age:     {}", age(entry.created_at_ms)))?;
        out.line(format!("    Idle:    {}", age(entry.last_used_at_ms)))?;
        out.line(format!("    Session: {}", entry.session_key))?;
        out.line("")?;
    }
    Ok(())
}

fn status(container: &Container) -> &'static str {
    match container.running {
        true => "running",
        false => "stopped",
    }
}

fn age(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (hours, days) = (minutes / 60, minutes / 1440);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{}s", ms / 1000),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {}m", minutes % 60),
        (days, hours, _) => format!("{days}d {}h", hours % 24),
    }
}

pub fn recreate(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let named = |flag: &str| matches.text(flag).map(str::to_string);
    let mut whose = [
        matches.has("all").then_some(Whose::All),
        named("session").map(Whose::Session),
        named("agent").map(Whose::Agent),
    ]
    .into_iter()
    .flatten();
    let first = whose
        .next()
        .ok_or_else(|| Failure::said("Please specify --all, --session <key>, or --agent <id>"))?;
    if whose.next().is_some() {
        let said = "Please specify only one of: --all, --session, --agent";
        return Err(Failure::said(said));
    }
    let kind = match matches.has("browser") {
        true => Kind::Browser,
        false => Kind::Commands,
    };
    let forced = matches.has("force");
    let snapshot = &context.local.snapshot;
    let mut list = containers::list(snapshot, kind);
    list.retain(|container| first.has(container));
    let out = &mut context.out;
    if list.is_empty() {
        return Ok(out.line("No containers found matching the criteria.")?);
    }
    out.line("\nContainers to be recreated:\n")?;
    for container in &list {
        let name = &container.entry.container_name;
        out.line(format!("  - {name} ({})", status(container)))?;
    }
    out.line(format!("\nTotal: {} container(s)", list.len()))?;
    out.flush()?;
    let question = "This will stop and remove these containers. Continue?";
    if !forced && !Ask::new()?.confirm(question, false)? {
        return Ok(out.line("Cancelled.")?);
    }
    out.line("\nRemoving containers...\n")?;
    let mut failed = 0;
    for container in &list {
        let name = &container.entry.container_name;
        match containers::remove(snapshot, kind, name) {
            Ok(()) => out.line(format!("✓ Removed {name}"))?,
            Err(why) => {
                failed += 1;
                eprintln!("✗ Failed to remove {name}: {why}");
            }
        }
    }
    let removed = list.len() - failed;
    out.line(format!("\nDone: {removed} removed, {failed} failed"))?;
    if removed > 0 {
        out.line("\nContainers will be automatically recreated when the agent is next used.")?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::said("Some containers could not be removed.")),
    }
}
