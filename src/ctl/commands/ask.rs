//! One question, one answer: `call`, `status`, `sessions`.

use super::super::record::{fields, tsv};
use super::super::{Context, Done, Failure};
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::exit::{Exit, Report};
use crate::client::{DEFAULT_TIMEOUT, local};
use serde_json::{Value, json};
use std::io::Read;

/// Params read from stdin: as much as a gateway takes in one message.
const MAX_STDIN: u64 = crate::wire::gateway::frame::MAX_PAYLOAD as u64;

pub const CALL: Command = Command {
    name: "call",
    summary: "Call a method and print its result as one line of JSON",
    flags: &[Flag::switch(
        "expect-final",
        "Wait past an answer that only says accepted",
    )],
    args: &[
        Arg::required("method", "Name of the method"),
        Arg::optional("params", "JSON object; - reads it from standard input"),
    ],
    ..Command::NEW
};

pub const STATUS: Command = Command {
    name: "status",
    summary: "Say by the exit status whether the gateway runs",
    about: "0: it answers. 3: nothing listens. 4: it cannot be told (refused, timeout). \
            Prints state, version, uptime in ms, url.",
    ..Command::NEW
};

pub const SESSIONS: Command = Command {
    name: "sessions",
    summary: "List sessions, newest first",
    about: "Fields: key, kind, updatedAt, sessionId, totalTokens, model.",
    flags: &[
        Flag::number("active", "minutes", "Only those used in the last minutes"),
        Flag::value("agent", "id", "Only those of this agent"),
        Flag::number("limit", "n", "At most so many"),
    ],
    ..Command::NEW
};

pub fn call(context: &mut Context) -> Done {
    let matches = &context.matches;
    let method = matches.arg(0).unwrap_or_default().to_string();
    let params = match matches.arg(1) {
        None => json!({}),
        Some("-") => parse(&stdin()?)?,
        Some(text) => parse(text)?,
    };
    let timeout = local::timeout(matches, DEFAULT_TIMEOUT)?;
    let expect_final = matches.has("expect-final");
    let caller = context.local.caller()?;
    let result = match expect_final {
        true => caller.call_expect_final(&method, Some(&params), timeout)?,
        false => caller.call(&method, Some(&params), timeout)?,
    };
    context.line(&result.to_string())
}

pub fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .take(MAX_STDIN + 1)
        .read_to_string(&mut text);
    match read {
        Err(err) => Err(Failure::told(format!("stdin: {err}"), Exit::Io)),
        Ok(n) if n as u64 > MAX_STDIN => Err(Failure::told(
            format!("stdin: more than {MAX_STDIN} bytes"),
            Exit::Usage,
        )),
        Ok(_) => Ok(text),
    }
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|err| Failure::told(format!("params are no JSON: {err}"), Exit::Usage))
}

pub fn status(context: &mut Context) -> Done {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let caller = context.local.prober()?;
    let (status, record) = match caller.connect(timeout) {
        Ok(client) => {
            let hello = client.hello();
            let record = json!({
                "state": "running",
                "version": hello["server"]["version"],
                "uptimeMs": hello["snapshot"]["uptimeMs"],
                "url": caller.target.url,
            });
            (0, record)
        }
        Err(err) => {
            let stopped = matches!(err, crate::client::Error::Unreachable { .. });
            let state = if stopped { "stopped" } else { "unknown" };
            eprintln!("openclawctl: {}", err.brief());
            if let Some(hint) = err.hint() {
                eprintln!("  fix: {hint}");
            }
            let record = json!({"state": state, "url": caller.target.url});
            (if stopped { 3 } else { 4 }, record)
        }
    };
    let line = match context.json() {
        true => record.to_string(),
        false => tsv(&fields(&record, &["state", "version", "uptimeMs", "url"])),
    };
    context.line(&line)?;
    match status {
        0 => Ok(()),
        status => Err(Failure::Status(status)),
    }
}

pub fn sessions(context: &mut Context) -> Done {
    let matches = &context.matches;
    let mut params = json!({"includeGlobal": true, "includeUnknown": true});
    if let Some(minutes) = matches.number::<u64>("active")? {
        params["activeMinutes"] = minutes.max(1).into();
    }
    if let Some(limit) = matches.number::<u64>("limit")? {
        params["limit"] = limit.max(1).into();
    }
    if let Some(agent) = matches.text("agent") {
        params["agentId"] = agent.into();
    }
    let timeout = local::timeout(matches, DEFAULT_TIMEOUT)?;
    let result = context
        .local
        .caller()?
        .call("sessions.list", Some(&params), timeout)?;
    for row in result["sessions"].as_array().into_iter().flatten() {
        let line = match context.json() {
            true => row.to_string(),
            false => {
                let names = [
                    "key",
                    "kind",
                    "updatedAt",
                    "sessionId",
                    "totalTokens",
                    "model",
                ];
                tsv(&fields(row, &names))
            }
        };
        context.line(&line)?;
    }
    Ok(())
}
