//! `openclaw agent`: one turn of an agent, through the gateway; where none runs, through one that
//! lives as long as the turn.

use super::super::failure::Failure;
use super::super::{Context, program};
use crate::base::cmdline::{Command, Flag};
use crate::base::exit::Report;
use crate::base::id;
use crate::client::{Client, Error, Local, Who};
use crate::config::agents::agent_id;
use crate::ops::embedded::{self, Embedded};
use crate::supervisor::lock;
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
        Flag::switch(
            "local",
            "Run the turn on this machine, with or without a gateway",
        ),
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
    let config = &context.local.snapshot.config;
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
    let alone = matches.has("local");
    let ours = alone || context.local.caller()?.target.bind.is_some();
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
    let whole = Duration::from_secs(timeout) + MARGIN;
    let mut line = Line::open(&context.local, alone, matches.has("deliver"), whole)?;
    if let Some(level) = matches.text("verbose") {
        keep_verbose(&mut line.client, &params, level)?;
    }
    let asked = line.client.call_expect_final("agent", Some(&params));
    let result = asked.map_err(|err| match err.is_rpc() {
        true => Failure::said(format!("Error: {err}")),
        false => Failure::Error {
            text: err.to_string(),
            hint: err.hint(),
        },
    })?;
    let embedded = line.own.is_some();
    // What the gateway has to say at its end comes before the answer, not after the prompt.
    drop(line);
    match (context.json(), embedded) {
        (true, true) => Ok(context.out.json(&result["result"])?),
        _ => show(context, result),
    }
}

/// Sets the session's level, which the method `agent` has no parameter for.
fn keep_verbose(client: &mut Client, params: &Value, level: &str) -> Result<(), Failure> {
    let mut key = match params["agentId"].as_str() {
        Some(agent) => json!(format!("agent:{}:main", agent_id(agent))),
        None => json!("main"),
    };
    if let Some(id) = params["sessionId"].as_str() {
        key = client.call("sessions.resolve", Some(&json!({"sessionId": id})))?["key"].take();
    }
    client.call(
        "sessions.patch",
        Some(&json!({"key": key, "verboseLevel": level})),
    )?;
    Ok(())
}

/// The way to whoever runs the turn.
struct Line {
    /// Hangs up before the gateway is told to end.
    client: Client,
    own: Option<Embedded>,
}

impl Line {
    /// A state folder has one owner: `alone` means its gateway, when there is one. Without, a turn
    /// that nobody has been asked for yet is run here all the same.
    fn open(local: &Local, alone: bool, deliver: bool, whole: Duration) -> Result<Line, Failure> {
        let snapshot = &local.snapshot;
        let is_served = || lock::holder(&snapshot.paths, &snapshot.env).is_some();
        if alone && !is_served() {
            return match deliver {
                true => Err(Failure::Error {
                    text: "--deliver: no gateway runs, and only a gateway has channels".into(),
                    hint: Some("start it (openclaw gateway), or leave --deliver out".into()),
                }),
                false => Line::embedded(local, whole),
            };
        }
        let caller = match alone {
            true => local.loopback()?.with(Who::cli()),
            false => local.caller()?,
        };
        match caller.connect(whole) {
            Ok(client) => Ok(Line { client, own: None }),
            Err(err @ Error::Unreachable { .. })
                if caller.target.bind.is_some() && !deliver && !is_served() =>
            {
                eprintln!("Gateway agent failed; falling back to embedded: Error: {err}");
                Line::embedded(local, whole)
            }
            Err(err) => Err(err.into()),
        }
    }

    fn embedded(local: &Local, whole: Duration) -> Result<Line, Failure> {
        let gateway = program::beside("openclaw-gateway");
        let own = embedded::start(&gateway, local.paths()).map_err(|err| Failure::of(&err))?;
        let caller = local.loopback()?.with(Who::cli());
        Ok(Line {
            client: caller.connect(whole)?,
            own: Some(own),
        })
    }
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
