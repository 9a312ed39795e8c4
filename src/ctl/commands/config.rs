//! `config get`, `set`, `unset`: the file itself, no gateway needed. A running gateway sees the
//! change.

use super::super::record::plain;
use super::super::{Context, Done, Failure};
use super::ask::stdin;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::exit::Exit;
use crate::config::edit;

const PATH: Arg = Arg::required("path", "Dotted path, such as gateway.port");

pub const SPEC: Command = Command {
    name: "config",
    summary: "Read and change the configuration file",
    subcommands: &[
        Command {
            name: "get",
            summary: "Print a setting, defaults applied",
            about: "Strings are printed bare, the rest as JSON. With --json strings, too. \
                    Exit status 1 when it is not set.",
            args: &[Arg::optional(
                "path",
                "Dotted path; without it the whole configuration",
            )],
            ..Command::NEW
        },
        Command {
            name: "set",
            summary: "Change a setting",
            about: "Nothing is written when the result would not be valid.",
            flags: &[Flag::switch(
                "string",
                "Take the value as text, not as JSON5",
            )],
            args: &[
                PATH,
                Arg::required("value", "JSON5, or text; - reads it from standard input"),
            ],
            ..Command::NEW
        },
        Command {
            name: "unset",
            summary: "Remove a setting",
            args: &[PATH],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn get(context: &mut Context) -> Done {
    let snapshot = &context.local.snapshot;
    if !snapshot.valid {
        return Err(Failure::told(snapshot.complaint(), Exit::Config));
    }
    let value = match context.matches.arg(0) {
        Some(path) => edit::get(snapshot, path)?,
        None => &snapshot.value,
    };
    let line = match context.json() {
        true => value.to_string(),
        false => plain(value),
    };
    context.line(&line)
}

pub fn set(context: &mut Context) -> Done {
    let matches = &context.matches;
    let path = matches.arg(0).unwrap_or_default();
    let typed = match matches.arg(1).unwrap_or_default() {
        "-" => stdin()?.trim_end_matches('\n').to_string(),
        text => text.to_string(),
    };
    let value = match matches.has("string") {
        true => typed.into(),
        false => edit::value(&typed, context.json())?,
    };
    let snapshot = &context.local.snapshot;
    edit::set(&snapshot.paths, &snapshot.env, path, value)?;
    Ok(())
}

pub fn unset(context: &mut Context) -> Done {
    let path = context.matches.arg(0).unwrap_or_default();
    let snapshot = &context.local.snapshot;
    edit::unset(&snapshot.paths, &snapshot.env, path)?;
    Ok(())
}
