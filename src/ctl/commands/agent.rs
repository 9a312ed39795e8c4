//! `agent` runs a turn and prints what the agent answers; `wait` waits for a run.

use super::super::record::{fields, tsv};
use super::super::{Context, Done, Failure};
use super::ask::stdin;
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::exit::Exit;
use crate::base::id;
use crate::client::local;
use serde_json::{Value, json};
use std::time::Duration;

/// A turn of the agent, when neither flag nor configuration says more.
const TURN: Duration = Duration::from_secs(600);
/// What the gateway needs around the turn itself.
const MARGIN: Duration = Duration::from_secs(30);

pub const SPEC: Command = Command {
    name: "agent",
    summary: "Run one turn and print the answer",
    about: "Without a message, or with -, the message is read from standard input. \
            Prints the text of each payload as it is, or with --json the final result. \
            --timeout is the time for the turn.",
    flags: &[
        Flag::value("agent", "id", "Agent to ask; its main session"),
        Flag::switch("deliver", "Also send the answer to the session's channel"),
        Flag::value(
            "key",
            "text",
            "Idempotency key: a repeated call joins the first",
        ),
        Flag::value("session", "key", "Session key, such as agent:main:main"),
        Flag::value("session-id", "id", "Session by its id"),
        Flag::value(
            "thinking",
            "level",
            "off, minimal, low, medium, high or xhigh",
        ),
        Flag::value("to", "number", "Session of this sender"),
    ],
    args: &[Arg::optional(
        "message",
        "What to say; - reads it from standard input",
    )],
    ..Command::NEW
};

pub const WAIT: Command = Command {
    name: "wait",
    summary: "Wait for the end of a run",
    about: "Fields: status (ok, error, timeout), startedAt, endedAt, error. \
            Exit status 1 for error, 75 for timeout.",
    args: &[Arg::required("run", "Id of the run")],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Done {
    let matches = &context.matches;
    let message = match matches.arg(0) {
        None | Some("-") => stdin()?.trim_end_matches('\n').to_string(),
        Some(text) => text.to_string(),
    };
    if message.trim().is_empty() {
        return Err(Failure::told("the message is empty", Exit::Usage));
    }
    let turn = local::timeout(matches, TURN)?;
    let mut params = json!({
        "message": message,
        "deliver": matches.has("deliver"),
        "timeout": turn.as_secs().max(1),
        "idempotencyKey": matches.text("key").map_or_else(id::uuid, str::to_string),
    });
    for (flag, name) in [
        ("agent", "agentId"),
        ("session", "sessionKey"),
        ("session-id", "sessionId"),
        ("thinking", "thinking"),
        ("to", "to"),
    ] {
        if let Some(value) = matches.text(flag) {
            params[name] = value.into();
        }
    }
    let chosen = ["agentId", "sessionKey", "sessionId", "to"];
    if chosen.iter().all(|name| params[*name].is_null()) {
        params["agentId"] = context.local.snapshot.config.default_agent_id().into();
    }
    let caller = context.local.caller()?;
    let result = caller.call_expect_final("agent", Some(&params), turn + MARGIN)?;
    if context.json() {
        return context.line(&result.to_string());
    }
    for payload in result["result"]["payloads"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(text) = payload["text"].as_str().filter(|t| !t.is_empty()) {
            context.line(text)?;
        }
        for url in media(payload) {
            context.line(&format!("MEDIA:{url}"))?;
        }
    }
    Ok(())
}

fn media(payload: &Value) -> Vec<&str> {
    let many = payload["mediaUrls"].as_array();
    match many.filter(|urls| !urls.is_empty()) {
        Some(urls) => urls.iter().filter_map(Value::as_str).collect(),
        None => payload["mediaUrl"].as_str().into_iter().collect(),
    }
}

pub fn wait(context: &mut Context) -> Done {
    let matches = &context.matches;
    let run = matches.arg(0).unwrap_or_default().to_string();
    let timeout = local::timeout(matches, Duration::from_secs(30))?;
    let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let params = json!({"runId": run, "timeoutMs": ms});
    let caller = context.local.caller()?;
    let result = caller.call("agent.wait", Some(&params), timeout + MARGIN)?;
    let line = match context.json() {
        true => result.to_string(),
        false => tsv(&fields(
            &result,
            &["status", "startedAt", "endedAt", "error"],
        )),
    };
    context.line(&line)?;
    match result["status"].as_str() {
        Some("ok") => Ok(()),
        Some("timeout") => Err(Failure::Status(Exit::TryAgain.code())),
        _ => Err(Failure::Status(Exit::Failed.code())),
    }
}
