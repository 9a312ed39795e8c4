//! `openclaw message`: says something in a chat, through the gateway.

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::base::id;
use crate::client::local;
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than the gateway waits for a service.
const TIMEOUT: Duration = Duration::from_secs(30);

pub const SPEC: Command = Command {
    name: "message",
    summary: "Say something in a chat",
    subcommands: &[Command {
        name: "send",
        summary: "Send a message",
        flags: &[
            Flag::value("account", "id", "The account that sends"),
            Flag::value(
                "channel",
                "channel",
                "The channel; not needed when there is only one",
            ),
            Flag::switch("dry-run", "Only say what would be sent"),
            Flag::value("media", "path-or-url", "A file to send along"),
            Flag::value("message", "text", "The text").short('m'),
            Flag::value(
                "target",
                "dest",
                "Who or which chat, as the channel names it",
            )
            .short('t'),
        ],
        ..Command::NEW
    }],
    ..Command::NEW
};

pub fn send(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let target = matches
        .text("target")
        .map(str::trim)
        .filter(|to| !to.is_empty());
    let target = target.ok_or_else(|| {
        Failure::said("error: required option '-t, --target <dest>' not specified")
    })?;
    let target = target.to_string();
    let text = matches.text("message").unwrap_or_default().to_string();
    let media = matches.text("media").map(String::from);
    if text.trim().is_empty() {
        return Err(Failure::said("Error: --message is required"));
    }
    let timeout = local::timeout(matches, TIMEOUT)?;
    let account = matches.text("account").map(String::from);
    let caller = context.local.caller()?;
    let channel = match matches.text("channel").map(str::trim) {
        Some(kind) if !kind.is_empty() => kind.to_lowercase(),
        _ => only(&caller.call("channels.status", Some(&json!({})), timeout)?)?,
    };
    if matches.has("dry-run") {
        let told = json!({"action": "send", "channel": channel, "dryRun": true,
            "handledBy": "dry-run", "payload": {"to": target}});
        return match context.json() {
            true => Ok(context.out.json(&told)?),
            false => {
                let line = format!("[dry-run] would run send via {channel}");
                Ok(context.out.line(line)?)
            }
        };
    }
    let mut params = json!({"to": target, "message": text, "channel": channel,
        "idempotencyKey": id::uuid()});
    for (name, value) in [("mediaUrl", media), ("accountId", account)] {
        if let Some(value) = value {
            params[name] = value.into();
        }
    }
    let sent = caller.call("send", Some(&params), timeout)?;
    if context.json() {
        let told = json!({"action": "send", "channel": channel, "dryRun": false,
            "handledBy": "core", "payload": sent});
        return Ok(context.out.json(&told)?);
    }
    let message = sent["messageId"].as_str().unwrap_or("unknown");
    let line = format!("✅ Sent via gateway ({channel}). Message ID: {message}");
    Ok(context.out.line(line)?)
}

/// The one channel there is.
fn only(status: &Value) -> Result<String, Failure> {
    let kinds = status["channelOrder"].as_array().into_iter().flatten();
    let kinds: Vec<&str> = kinds.filter_map(Value::as_str).collect();
    match &kinds[..] {
        [one] => Ok(one.to_string()),
        [] => Err(Failure::said(
            "Error: Channel is required (no configured channels detected).",
        )),
        many => Err(Failure::said(format!(
            "Error: Channel is required when multiple channels are configured: {}",
            many.join(", ")
        ))),
    }
}
