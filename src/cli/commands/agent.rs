//! `openclaw agent`: one turn of an agent, through the gateway.

use super::super::Context;
use super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::base::exit::Report;
use crate::base::id;
use crate::config::agents::agent_id;
use serde_json::{Value, json};
use std::time::Duration;

/// Seconds for the turn, when neither flag nor configuration says.
const TURN: u64 = 600;
/// What the gateway needs around the turn itself.
const MARGIN: Duration = Duration::from_secs(30);

pub const SPEC: Command = Command {
    name: "agent",
    summary: "Say something to an agent and print its answer",
    about: "Without --agent, --session-id or --to the default agent's main session is meant.",
    flags: &[
        Flag::value("agent", "id", "Agent to ask"),
        Flag::value("channel", "name", "Channel for the answer"),
        Flag::switch("deliver", "Also send the answer to the channel"),
        Flag::switch("local", "Not supported: the gateway runs every turn"),
        Flag::value("message", "text", "What to say").short('m'),
        Flag::value("reply-account", "id", "Account to answer from"),
        Flag::value("reply-channel", "name", "Channel to answer on"),
        Flag::value("reply-to", "target", "Whom to answer"),
        Flag::value("session-id", "id", "Session to go on with"),
        Flag::choice(
            "thinking",
            "level",
            &["off", "minimal", "low", "medium", "high", "xhigh"],
            "How much to think",
        ),
        Flag::number("timeout", "sec", "Longest time for the turn").default("600"),
        Flag::value("to", "number", "Session of this sender").short('t'),
        Flag::choice(
            "verbose",
            "state",
            &["on", "off", "full"],
            "Keep tool output in the session",
        ),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let Some(message) = matches.text("message").filter(|m| !m.trim().is_empty()) else {
        return Err(Failure::said(
            "error: required option '-m, --message <text>' not specified",
        ));
    };
    if matches.has("local") {
        return Err(Failure::Error {
            text: "--local: this program runs no agent outside the gateway".into(),
            hint: Some("start the gateway (openclaw gateway) and leave --local out".into()),
        });
    }
    let config = &context.local.snapshot.config;
    let caller = context.local.caller()?;
    let timeout = match matches.number::<u64>("timeout") {
        Ok(Some(seconds)) if seconds > 0 => seconds,
        Ok(None) => context.local.snapshot.value["agents"]["defaults"]["timeoutSeconds"]
            .as_u64()
            .unwrap_or(TURN),
        _ => {
            return Err(Failure::said(
                "--timeout must be a positive integer (seconds)",
            ));
        }
    };
    let mut params = json!({
        "message": message,
        "deliver": matches.has("deliver"),
        "timeout": timeout,
        "idempotencyKey": id::uuid(),
    });
    for (flag, name) in [
        ("agent", "agentId"),
        ("channel", "channel"),
        ("reply-account", "replyAccountId"),
        ("reply-channel", "replyChannel"),
        ("reply-to", "replyTo"),
        ("session-id", "sessionId"),
        ("thinking", "thinking"),
        ("to", "to"),
    ] {
        if let Some(text) = matches.text(flag) {
            params[name] = text.into();
        }
    }
    // Another machine's agents are that machine's business.
    let ours = caller.target.bind.is_some();
    if let Some(agent) = matches.text("agent").map(agent_id).filter(|_| ours) {
        if !config.agent_ids().contains(&agent) {
            return Err(Failure::said(format!(
                "Error: Unknown agent id \"{agent}\". \
                 Use \"openclaw agents list\" to see configured agents."
            )));
        }
    }
    if ["agentId", "sessionId", "to"]
        .iter()
        .all(|name| params[*name].is_null())
    {
        params["agentId"] = config.default_agent_id().into();
    }
    let result = caller
        .call_expect_final(
            "agent",
            Some(&params),
            Duration::from_secs(timeout) + MARGIN,
        )
        .map_err(|err| match err.is_rpc() {
            true => Failure::said(format!("Error: {err}")),
            false => Failure::Error {
                text: err.to_string(),
                hint: err.hint(),
            },
        })?;
    show(context, result)
}

/// The final answer of the `agent` method, for people or as JSON.
pub fn show(context: &mut Context, result: Value) -> Result<(), Failure> {
    match context.json() {
        true => print_json(context, result),
        false => print(context, &result),
    }
}

fn print_json(context: &mut Context, mut result: Value) -> Result<(), Failure> {
    let meta = &result["result"]["meta"];
    let usage = &meta["agentMeta"]["usage"];
    if result["result"].is_object() {
        let stats = json!({
            "durationMs": meta["durationMs"],
            "tokensIn": usage["input"],
            "tokensOut": usage["output"],
        });
        result["result"]["stats"] = stats;
    }
    Ok(context.out.json(&result)?)
}

fn print(context: &mut Context, result: &Value) -> Result<(), Failure> {
    let mut said = false;
    for payload in result["result"]["payloads"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if let Some(text) = payload["text"]
            .as_str()
            .map(str::trim_end)
            .filter(|t| !t.is_empty())
        {
            context.out.line(text)?;
            said = true;
        }
        let many = payload["mediaUrls"]
            .as_array()
            .filter(|urls| !urls.is_empty());
        let urls: Vec<&str> = match many {
            Some(urls) => urls.iter().filter_map(Value::as_str).collect(),
            None => payload["mediaUrl"].as_str().into_iter().collect(),
        };
        for url in urls {
            context.out.line(format!("MEDIA:{url}"))?;
            said = true;
        }
    }
    if !said {
        let summary = result["summary"].as_str().filter(|s| !s.is_empty());
        context
            .out
            .line(summary.unwrap_or("No reply from agent."))?;
    }
    Ok(())
}
