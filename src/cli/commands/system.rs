//! `openclaw system`: a note for the agent, its heartbeat, and who is connected.

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::client::local;
use serde_json::{Value, json};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

const EXPECT_FINAL: Flag = Flag::switch(
    "expect-final",
    "Wait past an answer that only says accepted",
);

pub const SPEC: Command = Command {
    name: "system",
    summary: "Send system events, switch heartbeats and see who is connected",
    subcommands: &[
        Command {
            name: "event",
            summary: "Leave a note that the agent reads at its next turn",
            flags: &[
                EXPECT_FINAL,
                Flag::value("mode", "when", "now or next-heartbeat").default("next-heartbeat"),
                Flag::value("text", "text", "The note"),
            ],
            ..Command::NEW
        },
        Command {
            name: "heartbeat",
            summary: "See the last heartbeat, or switch them on and off",
            subcommands: &[
                Command {
                    name: "disable",
                    summary: "No heartbeats until they are enabled or the gateway starts again",
                    flags: &[EXPECT_FINAL],
                    ..Command::NEW
                },
                Command {
                    name: "enable",
                    summary: "Heartbeats as configured",
                    flags: &[EXPECT_FINAL],
                    ..Command::NEW
                },
                Command {
                    name: "last",
                    summary: "Show the last heartbeat",
                    flags: &[EXPECT_FINAL],
                    ..Command::NEW
                },
            ],
            ..Command::NEW
        },
        Command {
            name: "presence",
            summary: "List who is connected",
            flags: &[EXPECT_FINAL],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

pub fn event(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let text = matches.text("text").map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(Failure::said("Error: --text is required"));
    }
    let mode = matches.text("mode").unwrap_or("next-heartbeat").trim();
    if !matches!(mode, "now" | "next-heartbeat") {
        return Err(Failure::said("Error: --mode must be now or next-heartbeat"));
    }
    let params = json!({"mode": mode, "text": text});
    let result = ask(context, "wake", Some(&params))?;
    match context.json() {
        true => Ok(context.out.json(&result)?),
        false => Ok(context.out.line("ok")?),
    }
}

pub fn last(context: &mut Context) -> Result<(), Failure> {
    show(context, "last-heartbeat", None)
}

pub fn enable(context: &mut Context) -> Result<(), Failure> {
    show(context, "set-heartbeats", Some(&json!({"enabled": true})))
}

pub fn disable(context: &mut Context) -> Result<(), Failure> {
    show(context, "set-heartbeats", Some(&json!({"enabled": false})))
}

pub fn presence(context: &mut Context) -> Result<(), Failure> {
    show(context, "system-presence", None)
}

/// These print JSON with and without `--json`, as in the original.
fn show(context: &mut Context, method: &str, params: Option<&Value>) -> Result<(), Failure> {
    let result = ask(context, method, params)?;
    Ok(context.out.json(&result)?)
}

fn ask(context: &Context, method: &str, params: Option<&Value>) -> Result<Value, Failure> {
    let timeout = local::timeout(&context.matches, TIMEOUT)?;
    let caller = context.local.caller()?;
    Ok(match context.matches.has("expect-final") {
        true => caller.call_expect_final(method, params, timeout)?,
        false => caller.call(method, params, timeout)?,
    })
}
