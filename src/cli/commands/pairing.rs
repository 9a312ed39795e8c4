//! `openclaw pairing`: strangers who wrote to a channel and ask for access. Works on the files, with or
//! without a gateway.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::Column;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::channel::foreign::is_kind;
use crate::channel::pairing::{Error, Request, Store};
use serde_json::json;

const CHANNEL: Flag = Flag::value("channel", "channel", "The channel, instead of the argument");
const USAGE: &str = "Usage: openclaw pairing approve <channel> <code> (or: openclaw pairing approve --channel <channel> <code>)";

pub const SPEC: Command = Command {
    name: "pairing",
    summary: "Let people in who write to the assistant for the first time",
    subcommands: &[
        Command {
            name: "approve",
            summary: "Let the one in who was told this code",
            flags: &[CHANNEL],
            args: &[
                Arg::required("channel", "The channel, or with --channel the code"),
                Arg::optional("code", "The code the person was told"),
            ],
            ..Command::NEW
        },
        Command {
            name: "list",
            summary: "Show who asks for access",
            flags: &[CHANNEL],
            args: &[Arg::optional("channel", "The channel")],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

fn failed(err: &Error) -> Failure {
    Failure::said(format!("Error: {err}"))
}

/// The store of a channel, and its name.
fn store(context: &Context, channel: &str) -> Result<(Store, String), Failure> {
    let channel = channel.trim().to_lowercase();
    if !is_kind(&channel) {
        return Err(Failure::said(format!("Error: Invalid channel: {channel}")));
    }
    let credentials = &context.local.paths().credentials;
    Ok((Store::of(credentials, &channel), channel))
}

pub fn list(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let channel = matches.text("channel").or(matches.arg(0));
    let channel = channel.ok_or_else(|| {
        Failure::said(
            "Error: Channel required. Use --channel <channel> or pass it as the first argument",
        )
    })?;
    let (store, channel) = store(context, channel)?;
    let requests = store.pending().map_err(|err| failed(&err))?;
    if context.json() {
        let all = json!({"channel": channel, "requests": requests});
        return Ok(context.out.json(&all)?);
    }
    if requests.is_empty() {
        let text = format!("No pending {channel} pairing requests.");
        return Ok(context.out.line(text)?);
    }
    let title = format!("Pairing requests ({})", requests.len());
    context.out.title(&title)?;
    let head = [
        Column::new("Code", 8),
        Column::flexible("Id", 12),
        Column::flexible("Meta", 8),
        Column::new("Requested", 24),
    ];
    let rows: Vec<Vec<String>> = requests.iter().map(row).collect();
    Ok(context.out.table(&head, &rows)?)
}

fn row(request: &Request) -> Vec<String> {
    let meta = match request.meta.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&request.meta).unwrap_or_default(),
    };
    [&request.code, &request.id, &meta, &request.created_at]
        .map(String::from)
        .to_vec()
}

pub fn approve(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let (channel, code) = match (matches.text("channel"), matches.arg(0), matches.arg(1)) {
        (Some(channel), Some(code), None) => (channel, code),
        (None, Some(channel), Some(code)) => (channel, code),
        _ => return Err(Failure::said(format!("Error: {USAGE}"))),
    };
    let (store, channel) = store(context, channel)?;
    let who = store.approve(code).map_err(|err| failed(&err))?;
    let text = format!("Approved {channel} sender {who}.");
    Ok(context.out.line(text)?)
}
