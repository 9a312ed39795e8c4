//! `process`: looks after the background sessions of an agent.

use super::keys;
use super::session::{Session, middle};
use crate::tool::{Call, Context, Error, Output, Tool};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

pub const TOOL: Tool = Tool {
    name: "process",
    summary: "Manage background exec sessions",
    description: "Looks after commands that exec left running: list, poll, log, write, send-keys, \
        submit, paste, kill, clear, remove.",
    parameters: r#"{"type":"object","required":["action"],"properties":{
        "action":{"description":"What to do","type":"string"},
        "sessionId":{"description":"The session, for every action but list","type":"string"},
        "data":{"description":"What write sends","type":"string"},
        "keys":{"description":"Names of keys for send-keys","type":"array","items":{"type":"string"}},
        "hex":{"description":"Bytes for send-keys, two hex digits each","type":"array","items":{"type":"string"}},
        "literal":{"description":"Text send-keys sends as it is","type":"string"},
        "text":{"description":"What paste sends","type":"string"},
        "bracketed":{"description":"Paste in bracketed mode (default)","type":"boolean"},
        "eof":{"description":"Close standard input after write","type":"boolean"},
        "offset":{"description":"First line of log","type":"number"},
        "limit":{"description":"Number of lines of log","type":"number"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let action = call.str("action").unwrap_or_default();
    if action == "list" {
        return Ok(list(ctx));
    }
    let Some(id) = call.first_of(&["sessionId"]).map(str::trim) else {
        return Ok(failed("sessionId is required for this action."));
    };
    Ok(match action {
        "poll" => known(ctx, id, poll),
        "log" => known(ctx, id, |session| log(call, session)),
        "write" | "send-keys" | "submit" | "paste" => input(call, ctx, id, action),
        "kill" => kill(ctx, id),
        "clear" => {
            let ended = |session: &mut Session| session.end.is_some();
            if mine(ctx, id, ended) == Some(true) {
                ctx.processes.take(id);
                done("completed", format!("Cleared session {id}."))
            } else {
                failed(format!("No finished session found for {id}"))
            }
        }
        "remove" => match mine(ctx, id, |session| session.end.is_some()) {
            Some(true) => {
                ctx.processes.take(id);
                done("completed", format!("Removed session {id}."))
            }
            Some(false) => {
                ctx.processes.kill(id);
                ctx.processes.take(id);
                done("failed", format!("Removed session {id}."))
            }
            None => failed(format!("No session found for {id}")),
        },
        other => failed(format!("Unknown action {other}")),
    })
}

fn list(ctx: &Context) -> Output {
    let rows = ctx.processes.list(ctx.agent_id, |session| {
        let runtime = session.runtime();
        let name = session.name();
        let label = if name.is_empty() {
            middle(&session.command, 120)
        } else {
            middle(&name, 80)
        };
        let (id, status) = (&session.id, session.status());
        let line = format!("{id} {status:<9} {} :: {label}", duration(runtime));
        let mut details = json!({
            "sessionId": id,
            "status": status,
            "pid": session.pid,
            "startedAt": session.started_ms,
            "runtimeMs": u64::try_from(runtime.as_millis()).unwrap_or(u64::MAX),
            "cwd": session.cwd,
            "command": session.command,
            "name": name,
            "tail": session.tail(),
            "truncated": session.output.truncated(),
        });
        if let Some(end) = &session.end {
            details["exitCode"] = json!(end.code);
            details["exitSignal"] = json!(end.signal.map(super::session::signal_name));
        }
        (line, details)
    });
    let (lines, sessions): (Vec<String>, Vec<Value>) = rows.into_iter().unzip();
    let text = if lines.is_empty() {
        "No running or recent sessions.".into()
    } else {
        lines.join("\n")
    };
    Output::text(text).with_details(json!({"status": "completed", "sessions": sessions}))
}

fn poll(session: &mut Session) -> Output {
    let id = session.id.clone();
    let fresh = session.output.unread();
    let fresh = fresh.trim();
    let (status, name) = (session.status(), session.name());
    let Some(end) = &session.end else {
        let shown = if fresh.is_empty() {
            "(no new output)"
        } else {
            fresh
        };
        return Output::text(format!("{shown}\n\nProcess still running.")).with_details(json!({
            "status": status, "sessionId": id, "aggregated": session.output.all(), "name": name,
        }));
    };
    // Once it has ended, the end is shown each time; nobody polls for news any more.
    let tail = session.tail();
    let shown = match (fresh.is_empty(), tail.is_empty()) {
        (false, _) => fresh,
        (true, false) => tail,
        (true, true) => "(no output recorded)",
    };
    Output::text(format!("{shown}\n\nProcess exited with {}.", end.label())).with_details(json!({
        "status": status,
        "sessionId": id,
        "exitCode": end.code,
        "aggregated": session.output.all(),
        "name": name,
    }))
}

fn log(call: &Call, session: &mut Session) -> Output {
    let whole = |key: &str| call.number(key).map(|number| number.max(0.0) as usize);
    let (offset, limit) = (whole("offset"), whole("limit"));
    let text = session.output.all();
    let lines: Vec<&str> = text.lines().collect();
    let start = match (offset, limit) {
        (Some(offset), _) => offset,
        (None, Some(limit)) => lines.len().saturating_sub(limit),
        (None, None) => 0,
    };
    let shown: Vec<&str> = lines
        .iter()
        .skip(start)
        .take(limit.unwrap_or(usize::MAX))
        .copied()
        .collect();
    let mut shown = shown.join("\n");
    if shown.is_empty() {
        shown = match session.end {
            None => "(no output yet)".into(),
            Some(_) => "(no output recorded)".into(),
        };
    }
    let mut details = json!({
        "status": session.status(),
        "sessionId": session.id,
        "total": lines.len(),
        "totalLines": lines.len(),
        "totalChars": text.chars().count(),
        "truncated": session.output.truncated(),
        "name": session.name(),
    });
    if let Some(end) = &session.end {
        details["exitCode"] = json!(end.code);
        details["exitSignal"] = json!(end.signal.map(super::session::signal_name));
    }
    Output::text(shown).with_details(details)
}

fn input(call: &Call, ctx: &Context, id: &str, action: &str) -> Output {
    let open = mine(ctx, id, |session| {
        session
            .end
            .is_none()
            .then_some((session.stdin_open, session.name()))
    });
    let Some(Some((open, name))) = open else {
        return failed(format!("No active session found for {id}"));
    };
    if !open {
        return failed(format!("Session {id} stdin is not writable."));
    }
    let eof = action == "write" && call.flag("eof").unwrap_or(false);
    let (data, said) = match action {
        "write" => {
            let data = call.str("data").unwrap_or_default();
            let closed = if eof { " (stdin closed)" } else { "" };
            let count = data.encode_utf16().count();
            let said = format!("Wrote {count} bytes to session {id}{closed}.");
            (data.as_bytes().to_vec(), said)
        }
        "send-keys" => {
            let (data, warnings) = typed(call);
            if data.is_empty() {
                return failed("No key data provided.");
            }
            let mut said = format!("Sent {} bytes to session {id}.", data.len());
            if !warnings.is_empty() {
                let _ = write!(said, "\nWarnings:\n- {}", warnings.join("\n- "));
            }
            (data, said)
        }
        "submit" => (b"\r".to_vec(), format!("Submitted session {id} (sent CR).")),
        _ => {
            let text = call.str("text").unwrap_or_default();
            if text.is_empty() {
                return failed("No paste text provided.");
            }
            let count = text.encode_utf16().count();
            let data = match call.flag("bracketed") {
                Some(false) => text.to_string(),
                _ => format!("\u{1b}[200~{text}\u{1b}[201~"),
            };
            let said = format!("Pasted {count} chars to session {id}.");
            (data.into_bytes(), said)
        }
    };
    if let Err(why) = ctx.processes.write(id, &data, eof) {
        return failed(format!("Session {id} stdin is not writable: {why}"));
    }
    if eof {
        ctx.processes.with(id, |session| session.stdin_open = false);
    }
    Output::text(said).with_details(json!({"status": "running", "sessionId": id, "name": name}))
}

/// Literal text, then bytes, then keys.
fn typed(call: &Call) -> (Vec<u8>, Vec<String>) {
    let strings = |key: &str| -> Vec<String> {
        let list = call.arguments.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_string))
            .collect()
    };
    let mut data = call.str("literal").unwrap_or_default().as_bytes().to_vec();
    let (bytes, warnings) = keys::from_hex(&strings("hex"));
    data.extend(bytes);
    data.extend(keys::encode(&strings("keys")));
    (data, warnings)
}

fn kill(ctx: &Context, id: &str) -> Output {
    match mine(ctx, id, |session| {
        session.end.is_none().then(|| session.name())
    }) {
        Some(Some(name)) => {
            ctx.processes.kill(id);
            Output::text(format!("Killed session {id}."))
                .with_details(json!({"status": "failed", "name": name}))
        }
        _ => failed(format!("No active session found for {id}")),
    }
}

/// Looks at a background session of the caller's agent.
fn mine<T>(ctx: &Context, id: &str, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
    let look = |session: &mut Session| {
        let own = session.agent_id == ctx.agent_id && session.backgrounded;
        own.then(|| look(session))
    };
    ctx.processes.with(id, look).flatten()
}

fn known(ctx: &Context, id: &str, look: impl FnOnce(&mut Session) -> Output) -> Output {
    mine(ctx, id, look).unwrap_or_else(|| failed(format!("No session found for {id}")))
}

fn failed(text: impl Into<String>) -> Output {
    done("failed", text)
}

fn done(status: &str, text: impl Into<String>) -> Output {
    Output::text(text).with_details(json!({ "status": status }))
}

/// `450ms`, `12s`, `3m05s`.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{seconds}s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_short() {
        let said = |ms| super::duration(std::time::Duration::from_millis(ms));
        assert_eq!(
            [said(450), said(12_300), said(185_000)],
            ["450ms", "12s", "3m05s"]
        );
    }
}
