//! `openclaw logs`: the end of the gateway's log, from the gateway, or from the file when the
//! gateway of this machine does not answer.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Colour, Out};
use crate::base::cmdline::{Command, Flag};
use crate::base::{logtail, time};
use crate::client::{Error, local};
use crate::wire::log::Record;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// More would be larger than a gateway's answer may be.
const MAX_LINES: u64 = 5000;
const MAX_BYTES: u64 = 1_000_000;

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];

pub const SPEC: Command = Command {
    name: "logs",
    summary: "Show the end of the gateway's log",
    flags: &[
        Flag::switch("follow", "Go on as lines are added").short('f'),
        Flag::number("interval", "ms", "How often --follow asks").default("1000"),
        Flag::choice(
            "level",
            "level",
            LEVELS,
            "Only records of this level and above",
        ),
        Flag::number("limit", "n", "Lines at most")
            .short('n')
            .default("200"),
        Flag::number("max-bytes", "n", "Bytes of the file to look at").default("250000"),
        Flag::switch("plain", "Print as to a pipe: full times, no colour"),
        Flag::number("tail", "n", "Same as --limit"),
    ],
    ..Command::NEW
};

struct Tail {
    file: String,
    cursor: u64,
    size: u64,
    lines: Vec<String>,
    truncated: bool,
    reset: bool,
}

struct Wish {
    limit: u64,
    max_bytes: u64,
    least: usize,
}

enum Source {
    Gateway(Box<crate::client::Caller>, Duration),
    File(PathBuf),
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let limit = matches
        .number::<u64>("limit")?
        .or(matches.number::<u64>("tail")?);
    let wish = Wish {
        limit: limit.unwrap_or(200).clamp(1, MAX_LINES),
        max_bytes: matches
            .number::<u64>("max-bytes")?
            .unwrap_or(250_000)
            .clamp(1, MAX_BYTES),
        least: matches.text("level").map_or(0, rank),
    };
    let interval = matches.number::<u64>("interval")?.unwrap_or(1000).max(50);
    let timeout = local::timeout(matches, TIMEOUT)?;
    let follow = matches.has("follow");
    let caller = context.local.caller()?;
    let mut source = Source::Gateway(Box::new(caller), timeout);
    let mut cursor = None;
    let mut first = true;
    loop {
        let tail = match ask(&source, cursor, &wish) {
            Ok(tail) => tail,
            Err(err) => {
                let file = local_file(context).filter(|_| first && !err.is_rpc());
                let Some(file) = file else {
                    return Err(unreachable(context, &err));
                };
                eprintln!("openclaw: {}; reading the file itself", err.brief());
                source = Source::File(file);
                continue;
            }
        };
        show(context, &tail, first, &wish)?;
        context.out.flush()?;
        first = false;
        cursor = Some(tail.cursor);
        if !follow {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(interval));
    }
}

fn ask(source: &Source, cursor: Option<u64>, wish: &Wish) -> Result<Tail, Error> {
    match source {
        Source::Gateway(caller, timeout) => {
            let mut params = json!({"limit": wish.limit, "maxBytes": wish.max_bytes});
            if let Some(cursor) = cursor {
                params["cursor"] = cursor.into();
            }
            let answer = caller.call("logs.tail", Some(&params), *timeout)?;
            Ok(Tail {
                file: answer["file"].as_str().unwrap_or_default().to_string(),
                cursor: answer["cursor"].as_u64().unwrap_or(0),
                size: answer["size"].as_u64().unwrap_or(0),
                lines: answer["lines"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|line| line.as_str().map(str::to_string))
                    .collect(),
                truncated: answer["truncated"] == true,
                reset: answer["reset"] == true,
            })
        }
        Source::File(path) => {
            let limit = usize::try_from(wish.limit).unwrap_or(usize::MAX);
            let tail =
                logtail::read(path, cursor, limit, wish.max_bytes).map_err(|err| Error::Rpc {
                    code: String::new(),
                    message: format!("{}: {err}", path.display()),
                    payload: None,
                })?;
            Ok(Tail {
                file: tail.file,
                cursor: tail.cursor,
                size: tail.size,
                lines: tail.lines,
                truncated: tail.truncated,
                reset: tail.reset,
            })
        }
    }
}

/// The file the gateway of this configuration writes, when it is there and nothing else was named.
fn local_file(context: &Context) -> Option<PathBuf> {
    let snapshot = &context.local.snapshot;
    let remote = snapshot.config.gateway.mode.as_deref() == Some("remote");
    if context.local.names_gateway() || remote {
        return None;
    }
    let path = snapshot
        .paths
        .log(&snapshot.config.logging)
        .file(time::now_ms());
    // A dated file that is missing stands for the newest of its kind.
    let found = logtail::read(&path, None, 1, 1).ok()?;
    (found.size > 0).then_some(path)
}

fn unreachable(context: &Context, err: &Error) -> Failure {
    if err.is_rpc() {
        return Failure::of(err);
    }
    let message = "Gateway not reachable. Is it running and accessible?";
    let hint = "Hint: run `openclaw doctor`.";
    let target = context.local.caller().map(|c| c.target.to_string());
    let target = target.unwrap_or_default();
    if context.json() {
        let value = json!({
            "type": "error", "message": message, "error": err.to_string(),
            "details": {"message": target}, "hint": hint,
        });
        return Failure::said(value);
    }
    let cause = match err {
        Error::Unreachable { .. } => String::new(),
        other => format!("\n{}", other.brief()),
    };
    Failure::said(format!("{message}{cause}\n{target}\n{hint}"))
}

fn show(context: &mut Context, tail: &Tail, first: bool, wish: &Wish) -> Result<(), Failure> {
    let json = context.json();
    let plain = context.matches.has("plain");
    let out = &mut context.out;
    if first {
        match json {
            true => out.json_line(&json!({
                "type": "meta", "file": tail.file, "cursor": tail.cursor, "size": tail.size,
            }))?,
            false => out.line(format!("Log file: {}", tail.file))?,
        }
    }
    for line in &tail.lines {
        let record = Record::parse(line);
        let level = record.as_ref().and_then(|r| r.level.as_deref());
        if level.is_some_and(|level| rank(level) < wish.least) {
            continue;
        }
        match (json, &record) {
            (true, record) => out.json_line(&as_json(line, record.as_ref()))?,
            (false, None) => out.line(line)?,
            (false, Some(record)) => {
                let text = as_text(out, record, plain);
                out.line(text)?;
            }
        }
    }
    if tail.truncated {
        notice(out, json, "Log tail truncated (increase --max-bytes).")?;
    }
    if tail.reset {
        notice(out, json, "Log cursor reset (file rotated).")?;
    }
    Ok(())
}

fn notice(out: &mut Out, json: bool, text: &str) -> Result<(), Failure> {
    match json {
        true => out.json_line(&json!({"type": "notice", "message": text}))?,
        false => eprintln!("{text}"),
    }
    Ok(())
}

/// The object one line becomes under `--json`.
pub fn as_json(raw: &str, record: Option<&Record>) -> Value {
    let Some(record) = record else {
        return json!({"type": "raw", "raw": raw});
    };
    let mut value = json!({"type": "log"});
    for (name, field) in [
        ("time", &record.time),
        ("level", &record.level),
        ("subsystem", &record.subsystem),
        ("module", &record.module),
    ] {
        if let Some(text) = field {
            value[name] = text.clone().into();
        }
    }
    value["message"] = record.message.clone().into();
    value["raw"] = raw.into();
    value
}

fn as_text(out: &Out, record: &Record, plain: bool) -> String {
    let pretty = out.is_terminal() && !plain;
    let full = record.time.as_deref().unwrap_or("");
    let time = match pretty {
        // `…T07:53:01.566Z`
        true => full.get(11..19).unwrap_or(full),
        false => full,
    };
    let level = record.level.as_deref().unwrap_or("info");
    let place = record.subsystem.as_deref().or(record.module.as_deref());
    let paint = |colour, text: &str| match pretty {
        true => out.paint(colour, text),
        false => text.to_string(),
    };
    let colour = match level {
        "error" | "fatal" => Colour::Red,
        "warn" => Colour::Yellow,
        "info" => Colour::Green,
        _ => Colour::Dim,
    };
    let mut parts = Vec::new();
    if !time.is_empty() {
        parts.push(paint(Colour::Dim, time));
    }
    parts.push(paint(colour, level));
    if let Some(place) = place {
        parts.push(paint(Colour::Cyan, place));
    }
    parts.push(record.message.clone());
    parts.join(" ")
}

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|l| *l == level).unwrap_or(0)
}
