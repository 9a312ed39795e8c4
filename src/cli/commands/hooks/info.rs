//! `openclaw hooks info`: one hook.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::{all, shown};
use crate::agent::hooks::Hook;
use crate::agent::skills::gate::Standing;
use crate::base::cmdline::{Arg, Command};
use serde_json::{Value, json};
use std::path::Path;

pub const SPEC: Command = Command {
    name: "info",
    summary: "Show one hook",
    args: &[Arg::required("name", "The hook's name")],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let name = context.matches.arg(0).unwrap_or_default().to_string();
    let found = all(context)
        .into_iter()
        .find(|(hook, _)| hook.name == name || hook.key() == name);
    let Some((hook, standing)) = found else {
        if context.json() {
            let record = json!({"error": "not found", "hook": name});
            return Ok(context.out.json(&record)?);
        }
        let text =
            format!("Hook \"{name}\" not found. Run `openclaw hooks list` to see available hooks.");
        return Ok(context.out.line(text)?);
    };
    match context.json() {
        true => Ok(context.out.json(&record(&hook, &standing))?),
        false => print(context, &hook, &standing),
    }
}

fn record(hook: &Hook, standing: &Standing) -> Value {
    let mut value = json!({
        "name": hook.name,
        "description": hook.description,
        "source": hook.source.as_str(),
        "filePath": hook.file,
        "baseDir": hook.file.as_deref().and_then(Path::parent),
        "handlerPath": hook.handler_path(),
        "hookKey": hook.key(),
        "emoji": hook.emoji,
        "homepage": hook.homepage,
        "events": hook.events,
        "always": hook.always,
        "disabled": standing.disabled,
        "eligible": standing.eligible,
        "managedByPlugin": false,
        "requirements": hook.requires,
        "missing": standing.missing,
        "configChecks": standing.checks,
        "install": [],
    });
    // Left out, not null.
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

fn print(context: &mut Context, hook: &Hook, standing: &Standing) -> Result<(), Failure> {
    let status = match standing {
        Standing { eligible: true, .. } => "✓ Ready",
        Standing { disabled: true, .. } => "⏸ Disabled",
        _ => "✗ Missing requirements",
    };
    let mut lines = vec![format!("{} {status}", shown(hook)), String::new()];
    lines.extend([hook.description.clone(), String::new(), "Details:".into()]);
    let paths = context.local.paths();
    lines.push(format!("  Source: {}", hook.source.as_str()));
    match (&hook.file, hook.handler_path()) {
        (Some(file), Some(handler)) => {
            lines.push(format!("  Path: {}", paths.tilde(file)));
            lines.push(format!("  Handler: {}", paths.tilde(handler)));
        }
        _ => lines.push("  Handler: built in".into()),
    }
    lines.extend(
        hook.homepage
            .iter()
            .map(|page| format!("  Homepage: {page}")),
    );
    lines.push(format!("  Events: {}", hook.events.join(", ")));
    lines.extend(requirements(hook, standing));
    for line in lines {
        context.out.line(line)?;
    }
    Ok(())
}

fn requirements(hook: &Hook, standing: &Standing) -> Vec<String> {
    let (wanted, missing) = (&hook.requires, &standing.missing);
    let marked = |wanted: &[String], missing: &[String]| {
        let one = |name: &String| match missing.contains(name) {
            true => format!("✗ {name}"),
            false => format!("✓ {name}"),
        };
        wanted.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    let lists = [
        ("Binaries", &wanted.bins, &missing.bins),
        ("Environment", &wanted.env, &missing.env),
        ("Config", &wanted.config, &missing.config),
        ("OS", &wanted.os, &missing.os),
    ];
    for (label, wanted, missing) in lists {
        if !wanted.is_empty() {
            lines.push(format!("  {label}: {}", marked(wanted, missing)));
        }
    }
    if !wanted.any_bins.is_empty() {
        let mark = if missing.any_bins.is_empty() {
            "✓"
        } else {
            "✗"
        };
        let names = wanted.any_bins.join(", ");
        let place = usize::from(!wanted.bins.is_empty());
        lines.insert(place, format!("  Any binary: {mark} (any of: {names})"));
    }
    if !lines.is_empty() {
        lines.splice(0..0, [String::new(), "Requirements:".into()]);
    }
    lines
}
