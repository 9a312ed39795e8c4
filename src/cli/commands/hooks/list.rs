//! `openclaw hooks list`.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Column;
use super::{all, lacks, shown};
use crate::agent::hooks::{Hook, find, is_on};
use crate::agent::skills::gate::Standing;
use crate::base::cmdline::{Command, Flag};
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "list",
    summary: "List the hooks",
    flags: &[
        Flag::switch("eligible", "Only those that can run"),
        Flag::switch("verbose", "Say what the others lack").short('v'),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let (only, verbose) = (
        context.matches.has("eligible"),
        context.matches.has("verbose"),
    );
    show(context, only, verbose)
}

/// `openclaw hooks` alone.
pub fn bare(context: &mut Context) -> Result<(), Failure> {
    show(context, false, false)
}

fn show(context: &mut Context, only: bool, verbose: bool) -> Result<(), Failure> {
    let mut found = all(context);
    found.retain(|(_, standing)| standing.eligible || !only);
    if context.json() {
        let snapshot = &context.local.snapshot;
        let paths = context.local.paths();
        let agent = snapshot.config.default_agent_id();
        let hooks: Vec<Value> = found
            .iter()
            .map(|(hook, standing)| one(hook, standing))
            .collect();
        let record = json!({
            "workspaceDir": snapshot.config.workspace(&agent, paths),
            "managedHooksDir": find::managed(paths),
            "hooks": hooks,
        });
        return Ok(context.out.json(&record)?);
    }
    if found.is_empty() {
        return Ok(context.out.line("No hooks found.")?);
    }
    let ready = found
        .iter()
        .filter(|(_, standing)| standing.eligible)
        .count();
    context
        .out
        .title(&format!("Hooks ({ready}/{} ready)", found.len()))?;
    let mut head = vec![
        Column::new("Status", 10),
        Column::flexible("Hook", 18),
        Column::flexible("Description", 24),
        Column::flexible("Source", 16),
    ];
    if verbose {
        head.push(Column::flexible("Missing", 18));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(hook, standing)| {
            let status = match standing {
                Standing { eligible: true, .. } => "✓ ready",
                Standing { disabled: true, .. } => "⏸ disabled",
                _ => "✗ missing",
            };
            let mut row = vec![
                status.to_string(),
                shown(hook),
                hook.description.clone(),
                hook.source.as_str().to_string(),
            ];
            if verbose {
                row.push(lacks(standing));
            }
            row
        })
        .collect();
    context.out.table(&head, &rows)?;
    if ready > 0 && !is_on(&context.local.snapshot) {
        context.out.line(
            "None runs: hooks.internal.enabled is off; `openclaw hooks enable <name>` sets it.",
        )?;
    }
    Ok(())
}

fn one(hook: &Hook, standing: &Standing) -> Value {
    let mut value = json!({
        "name": hook.name,
        "description": hook.description,
        "emoji": hook.emoji,
        "eligible": standing.eligible,
        "disabled": standing.disabled,
        "source": hook.source.as_str(),
        "events": hook.events,
        "homepage": hook.homepage,
        "missing": standing.missing,
        "managedByPlugin": false,
    });
    // Left out, not null.
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}
