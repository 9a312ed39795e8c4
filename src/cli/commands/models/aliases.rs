//! `openclaw models aliases`: short names for models.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::ops::models;
use serde_json::{Map, Value, json};

const ALIAS: Arg = Arg::required("alias", "Letters, digits, and any of . _ : -");

pub const SPEC: Command = Command {
    name: "aliases",
    summary: "Short names for models",
    subcommands: &[
        Command {
            name: "add",
            summary: "Add a short name for a model, or give it another",
            args: &[ALIAS, Arg::required("model", "provider/model, or an alias")],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "List the short names",
            flags: &[Flag::switch("plain", "One a line: name, model")],
            ..Command::NEW
        },
        Command {
            name: "remove",
            summary: "Take a short name away",
            args: &[ALIAS],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn list(context: &mut Context) -> Result<(), Failure> {
    super::one_form(context)?;
    let aliases = crate::model::name::aliases(&context.local.snapshot.config);
    if context.json() {
        let map: Map<String, Value> = aliases
            .into_iter()
            .map(|(alias, model)| (alias, json!(model.to_string())))
            .collect();
        return Ok(context.out.json(&json!({"aliases": map}))?);
    }
    if context.matches.has("plain") {
        for (alias, model) in aliases {
            context.out.line(format!("{alias} {model}"))?;
        }
        return Ok(());
    }
    context.out.line(format!("Aliases ({}):", aliases.len()))?;
    if aliases.is_empty() {
        context.out.line("- none")?;
    }
    for (alias, model) in aliases {
        context.out.line(format!("- {alias} -> {model}"))?;
    }
    Ok(())
}

pub fn add(context: &mut Context) -> Result<(), Failure> {
    let typed = |at| context.matches.arg(at).unwrap_or_default();
    let snapshot = &context.local.snapshot;
    let added = models::alias(typed(0)).and_then(|alias| {
        let model = models::named(snapshot, typed(1))?;
        let after = models::add_alias(&snapshot.paths, &snapshot.env, alias, &model)?;
        Ok((after, format!("Alias {alias} -> {model}")))
    });
    let (after, line) = added.map_err(|err| super::told(&err))?;
    super::updated(context, &after)?;
    Ok(context.out.line(line)?)
}

pub fn remove(context: &mut Context) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let removed = models::alias(context.matches.arg(0).unwrap_or_default())
        .and_then(|alias| models::remove_alias(&snapshot.paths, &snapshot.env, alias));
    let after = removed.map_err(|err| super::told(&err))?;
    super::updated(context, &after)?;
    if crate::model::name::aliases(&after.config).is_empty() {
        context.out.line("No aliases configured.")?;
    }
    Ok(())
}
