//! `openclaw update`: says what updates this program. It never replaces itself: what installed it
//! knows its files, and a service goes on with the program it started until it is restarted.

use super::super::Context;
use super::super::ask;
use super::super::failure::Failure;
use super::super::output::Column;
use crate::base::cmdline::{Command, Flag};
use crate::config::edit;
use crate::gateway::methods::update;
use crate::wire::version;
use serde_json::json;

const CHANNELS: [&str; 3] = ["stable", "beta", "dev"];

pub const SPEC: Command = Command {
    name: "update",
    summary: "Say how this program is updated",
    about: "Nothing is downloaded: a package manager, a new image or a new build brings the next \
            version. To go back, install the one before; the state needs no change.",
    flags: &[
        Flag::value(
            "channel",
            "name",
            "Remember stable, beta or dev as the one to follow",
        ),
        Flag::switch(
            "no-restart",
            "For scripts of the original: nothing is restarted",
        ),
        Flag::value(
            "tag",
            "version",
            "For scripts of the original: no version is chosen here",
        ),
        Flag::switch("yes", "For scripts of the original: nothing is asked"),
    ],
    standalone: true,
    subcommands: &[
        Command {
            name: "status",
            summary: "Show the version, how it was installed and the channel",
            ..Command::NEW
        },
        Command {
            name: "wizard",
            summary: "The same as update, at a terminal",
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    if let Some(channel) = matches.text("channel") {
        if !CHANNELS.contains(&channel) {
            return Err(Failure::said(format!(
                "--channel must be \"stable\", \"beta\", or \"dev\" (got \"{channel}\")"
            )));
        }
    }
    let seconds = matches
        .text("timeout")
        .map(|text| text.parse::<u64>().unwrap_or(0));
    if seconds == Some(0) {
        return Err(Failure::said(
            "--timeout must be a positive integer (seconds)",
        ));
    }
    if let Some(channel) = matches.text("channel") {
        let snapshot = &context.local.snapshot;
        if !snapshot.valid {
            return Err(Failure::said(format!(
                "Config is invalid; cannot set update channel.\n{}",
                snapshot.complaint()
            )));
        }
        edit::set(
            &snapshot.paths,
            &snapshot.env,
            "update.channel",
            json!(channel),
        )
        .map_err(|err| Failure::of(&err))?;
    }
    tell(context)
}

pub fn wizard(context: &mut Context) -> Result<(), Failure> {
    match ask::is_possible() && context.out.is_terminal() {
        true => tell(context),
        false => Err(Failure::said(
            "Update wizard requires a TTY. Use `openclaw update --channel <stable|beta|dev>` instead.",
        )),
    }
}

fn tell(context: &mut Context) -> Result<(), Failure> {
    let (root, reason) = update::here();
    if context.json() {
        let value = json!({
            "status": "skipped", "mode": "unknown", "root": root, "reason": reason,
            "before": {"version": version::PROGRAM}, "after": null,
            "steps": [], "durationMs": 0,
        });
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    let heading = "Update Result: SKIPPED";
    out.title(heading)?;
    if let Some(root) = root {
        out.line(format!("  Root: {root}"))?;
    }
    out.line(format!("  Reason: {reason}"))?;
    out.line(format!("  Before: {}", version::PROGRAM))?;
    out.line("")?;
    out.line("Afterwards: openclaw doctor, then openclaw gateway restart")?;
    Ok(out.line("Before a large step: openclaw backup create --secrets")?)
}

pub fn status(context: &mut Context) -> Result<(), Failure> {
    let (root, reason) = update::here();
    let set = context.local.snapshot.value["update"]["channel"].as_str();
    let channel = set.unwrap_or(CHANNELS[0]).to_string();
    let source = if set.is_some() { "config" } else { "default" };
    let label = format!("{channel} ({source})");
    if context.json() {
        let value = json!({
            "update": {
                "root": root, "installKind": "unknown", "packageManager": "unknown",
                "version": version::PROGRAM, "behaviour": version::BEHAVIOUR, "advice": reason,
            },
            "channel": {"value": channel, "source": source, "label": label, "config": set},
            "availability": {
                "available": false, "hasGitUpdate": false, "hasRegistryUpdate": false,
                "latestVersion": null, "gitBehind": null,
            },
        });
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    out.title("OpenClaw update status")?;
    out.line("")?;
    let row = |item: &str, value: String| vec![item.to_string(), value];
    let rows = [
        row("Install", root.unwrap_or_else(|| "unknown".into())),
        row(
            "Version",
            format!("{} (behaviour {})", version::PROGRAM, version::BEHAVIOUR),
        ),
        row("Channel", label),
        row("Update", reason),
    ];
    Ok(out.table(
        &[Column::new("Item", 8), Column::flexible("Value", 24)],
        &rows,
    )?)
}
