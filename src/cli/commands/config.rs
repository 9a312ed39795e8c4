//! `openclaw config`: read and change the configuration file.

use super::super::Context;
use super::super::failure::Failure;
use super::configure;
use crate::base::cmdline::{Arg, Command};
use crate::base::exit::Report;
use crate::config::edit;
use serde_json::Value;

const PATH: Arg = Arg::required(
    "path",
    "Dotted path, such as gateway.port or agents.list[0].id",
);

pub const SPEC: Command = Command {
    name: "config",
    summary: "Read and change the configuration file",
    about: "Without a subcommand the same as configure.",
    flags: &[configure::SECTION],
    subcommands: &[GET, SET, UNSET],
    standalone: true,
    ..Command::NEW
};

const GET: Command = Command {
    name: "get",
    summary: "Print a setting, defaults applied",
    about: "With --json as JSON, else text bare and the rest as JSON.",
    args: &[Arg::optional(
        "path",
        "Dotted path; without it the whole configuration",
    )],
    ..Command::NEW
};

const SET: Command = Command {
    name: "set",
    summary: "Change a setting",
    about: "The value is JSON5, or else taken as text; with --json it must be JSON5. Nothing is \
            written when the result would not be valid.",
    args: &[PATH, Arg::required("value", "The new value")],
    ..Command::NEW
};

const UNSET: Command = Command {
    name: "unset",
    summary: "Remove a setting",
    args: &[PATH],
    ..Command::NEW
};

pub fn get(context: &mut Context) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let value = match context.matches.arg(0) {
        Some(path) => edit::get(snapshot, path).map_err(told)?,
        None => &snapshot.value,
    };
    match value {
        Value::String(text) if !context.matches.has("json") => Ok(context.out.line(text)?),
        value => Ok(context.out.json(value)?),
    }
}

pub fn set(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let typed = matches.arg(0).unwrap_or_default().trim();
    let value = edit::value(matches.arg(1).unwrap_or_default(), matches.has("json"))
        .map_err(|err| Failure::said(format!("Error: {err}")))?;
    // A bare model name is what people mean by the object's main field.
    let path = match (typed, value.is_string()) {
        ("agents.defaults.model", true) => "agents.defaults.model.primary",
        (typed, _) => typed,
    };
    let snapshot = &context.local.snapshot;
    edit::set(&snapshot.paths, &snapshot.env, path, value).map_err(told)?;
    let done = format!("Updated {path}. A running gateway takes it up by itself.");
    Ok(context.out.line(done)?)
}

pub fn unset(context: &mut Context) -> Result<(), Failure> {
    let path = context.matches.arg(0).unwrap_or_default().trim();
    let snapshot = &context.local.snapshot;
    edit::unset(&snapshot.paths, &snapshot.env, path).map_err(told)?;
    let done = format!("Removed {path}. A running gateway takes it up by itself.");
    Ok(context.out.line(done)?)
}

/// A path that is not set is told bare, as the original does.
fn told(err: edit::Error) -> Failure {
    match err {
        edit::Error::NotFound(_) => Failure::said(err),
        err => match err.hint() {
            Some(hint) => Failure::said(format!("Error: {err}\n  fix: {hint}")),
            None => Failure::said(format!("Error: {err}")),
        },
    }
}
