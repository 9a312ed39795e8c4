//! `openclaw approvals`: the rules for commands that run without asking, in this host's file or, with
//! `--gateway`, through the running gateway.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Colour, Column, age};
use crate::base::cmdline::{Arg, Command, Flag};
use crate::base::id;
use crate::base::time::now_ms;
use crate::client::{DEFAULT_TIMEOUT, local};
use crate::tool::approve::Store;
use serde_json::{Map, Value, json};
use std::io::Read;

/// Of a file or stdin; the rules themselves are bounded to the same.
const MAX_INPUT: u64 = 1024 * 1024;

const GATEWAY: Flag = Flag::switch(
    "gateway",
    "Ask the running gateway instead of the file here",
);
const NODE: Flag = Flag::value("node", "node", "The rules of a paired node");
const AGENT: Flag = Flag::value("agent", "id", "The agent, or * for all").default("*");
const PATTERN: &[Arg] = &[Arg::required(
    "pattern",
    "Path of a program, * and ** in it allowed",
)];

pub const SPEC: Command = Command {
    name: "approvals",
    aliases: &["exec-approvals"],
    summary: "See and change which commands the agent may run without asking",
    subcommands: &[
        Command {
            name: "allowlist",
            summary: "Change the programs that run without asking",
            subcommands: &[
                Command {
                    name: "add",
                    summary: "Let a program run without asking",
                    flags: &[AGENT, GATEWAY, NODE],
                    args: PATTERN,
                    ..Command::NEW
                },
                Command {
                    name: "remove",
                    summary: "Ask again before a program runs",
                    flags: &[AGENT, GATEWAY, NODE],
                    args: PATTERN,
                    ..Command::NEW
                },
            ],
            ..Command::NEW
        },
        Command {
            name: "get",
            summary: "Show the rules",
            flags: &[GATEWAY, NODE],
            ..Command::NEW
        },
        Command {
            name: "set",
            summary: "Put other rules in the place of the present ones",
            flags: &[
                Flag::file("file", "path", "The rules, as JSON5"),
                GATEWAY,
                NODE,
                Flag::switch("stdin", "Read them from stdin"),
            ],
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

/// Whose rules they are.
enum Place {
    Local(Store),
    Gateway,
    Node(String),
}

impl Place {
    fn of(context: &Context) -> Place {
        let matches = &context.matches;
        match matches
            .text("node")
            .map(str::trim)
            .filter(|n| !n.is_empty())
        {
            Some(node) => Place::Node(node.into()),
            None if matches.has("gateway") => Place::Gateway,
            None => Place::Local(Store::of(context.local.paths())),
        }
    }

    fn get(&self, context: &Context) -> Result<Value, Failure> {
        match self {
            Place::Local(store) => match store.snapshot() {
                Ok(snapshot) => Ok(snapshot.shown()),
                Err(err) => Err(failed(&err)),
            },
            Place::Gateway => ask(context, "exec.approvals.get", json!({})),
            Place::Node(id) => ask(context, "exec.approvals.node.get", json!({"nodeId": id})),
        }
    }

    fn set(&self, context: &Context, file: &Value, base: &Value) -> Result<Value, Failure> {
        let hash = base["hash"].as_str();
        let params = json!({"file": file, "baseHash": hash});
        match self {
            Place::Local(store) => match store.set(file, hash) {
                Ok(snapshot) => Ok(snapshot.shown()),
                Err(err) => Err(failed(&err)),
            },
            Place::Gateway => ask(context, "exec.approvals.set", params),
            Place::Node(id) => {
                let mut params = params;
                params["nodeId"] = id.clone().into();
                ask(context, "exec.approvals.node.set", params)
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Place::Local(_) => "local".into(),
            Place::Gateway => "gateway".into(),
            Place::Node(id) => format!("node:{id}"),
        }
    }
}

fn failed(err: &impl std::fmt::Display) -> Failure {
    Failure::Error {
        text: err.to_string(),
        hint: None,
    }
}

fn ask(context: &Context, method: &str, params: Value) -> Result<Value, Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let caller = context.local.caller()?;
    Ok(caller.call(method, Some(&params), timeout)?)
}

pub fn get(context: &mut Context) -> Result<(), Failure> {
    let place = Place::of(context);
    let snapshot = place.get(context)?;
    if context.json() {
        return Ok(context.out.json_line(&snapshot)?);
    }
    if matches!(place, Place::Local(_)) {
        context.out.line("Showing local approvals.")?;
        context.out.line("")?;
    }
    print(context, &place, &snapshot)
}

pub fn set(context: &mut Context) -> Result<(), Failure> {
    let place = Place::of(context);
    let matches = &context.matches;
    let text = match (matches.text("file"), matches.has("stdin")) {
        (Some(_), true) => return Err(Failure::said("Use either --file or --stdin (not both).")),
        (Some(path), false) => std::fs::File::open(path)
            .and_then(bounded)
            .map_err(|err| Failure::said(format!("{path}: {err}")))?,
        (None, true) => {
            bounded(std::io::stdin()).map_err(|err| Failure::said(format!("stdin: {err}")))?
        }
        (None, false) => return Err(Failure::said("Provide --file or --stdin.")),
    };
    writing(context, &place)?;
    let file: Value = json5::from_str(&text).map_err(|err| {
        Failure::said(format!(
            "Failed to parse approvals JSON: SyntaxError: JSON5: {err}"
        ))
    })?;
    let base = place.get(context)?;
    let snapshot = place.set(context, &file, &base)?;
    done(context, &place, &snapshot)
}

/// Of a source that may be anything.
fn bounded(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(MAX_INPUT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

pub fn add(context: &mut Context) -> Result<(), Failure> {
    change(context, |list, pattern| {
        if list.iter().any(|entry| entry["pattern"] == *pattern) {
            return Some("Already allowlisted.");
        }
        list.push(json!({"id": id::uuid(), "pattern": pattern, "lastUsedAt": now_ms()}));
        None
    })
}

pub fn remove(context: &mut Context) -> Result<(), Failure> {
    change(context, |list, pattern| {
        let before = list.len();
        list.retain(|entry| entry["pattern"].as_str().map(str::trim) != Some(pattern));
        (list.len() == before).then_some("Pattern not found.")
    })
}

/// Changes an agent's list; `edit` says why nothing is to be done.
fn change(
    context: &mut Context,
    edit: impl FnOnce(&mut Vec<Value>, &str) -> Option<&'static str>,
) -> Result<(), Failure> {
    let pattern = context
        .matches
        .arg(0)
        .unwrap_or_default()
        .trim()
        .to_string();
    if pattern.is_empty() {
        return Err(Failure::said("Pattern required."));
    }
    let agent = context.matches.text("agent").map(str::trim);
    let agent = agent.filter(|id| !id.is_empty()).unwrap_or("*").to_string();
    let place = Place::of(context);
    writing(context, &place)?;
    let base = place.get(context)?;
    let mut file = base["file"].clone();
    let mut list = file["agents"][&agent]["allowlist"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if let Some(nothing) = edit(&mut list, &pattern) {
        return Ok(context.out.line(nothing)?);
    }
    if !file["agents"].is_object() {
        file["agents"] = Value::Object(Map::new());
    }
    if list.is_empty() {
        // A block that says nothing more goes.
        if let Some(block) = file["agents"][&agent].as_object_mut() {
            block.shift_remove("allowlist");
        }
        if file["agents"][&agent].as_object().is_none_or(Map::is_empty) {
            if let Some(agents) = file["agents"].as_object_mut() {
                agents.shift_remove(&agent);
            }
        }
    } else {
        file["agents"][&agent]["allowlist"] = Value::Array(list);
    }
    let snapshot = place.set(context, &file, &base)?;
    done(context, &place, &snapshot)
}

fn writing(context: &mut Context, place: &Place) -> Result<(), Failure> {
    if !context.json() && matches!(place, Place::Local(_)) {
        context.out.line("Writing local approvals.")?;
    }
    Ok(())
}

fn done(context: &mut Context, place: &Place, snapshot: &Value) -> Result<(), Failure> {
    if context.json() {
        return Ok(context.out.json_line(snapshot)?);
    }
    context.out.line(format!("Target: {}", place.name()))?;
    print(context, place, snapshot)
}

fn print(context: &mut Context, place: &Place, snapshot: &Value) -> Result<(), Failure> {
    let home = context.local.paths().home.display().to_string();
    let short = |path: &str| match path.strip_prefix(&home) {
        Some(rest) if rest.starts_with('/') => format!("~{rest}"),
        _ => path.to_string(),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let file = &snapshot["file"];
    let agents = file["agents"].as_object();
    let now = now_ms();
    let mut entries: Vec<Vec<String>> = Vec::new();
    for (agent, block) in agents.into_iter().flatten() {
        for entry in block["allowlist"].as_array().into_iter().flatten() {
            let used = entry["lastUsedAt"].as_u64();
            entries.push(vec![
                place.name(),
                agent.clone(),
                text(&entry["pattern"]),
                age(used.map(|at| now.saturating_sub(at))),
            ]);
        }
    }
    let defaults: Vec<String> = ["security", "ask", "askFallback", "autoAllowSkills"]
        .iter()
        .filter_map(|key| match &file["defaults"][key] {
            Value::String(text) => Some(format!("{key}={text}")),
            Value::Bool(on) => Some(format!("{key}={}", if *on { "on" } else { "off" })),
            _ => None,
        })
        .collect();
    let rows = [
        ("Target", place.name()),
        ("Path", short(&text(&snapshot["path"]))),
        (
            "Exists",
            if snapshot["exists"] == true {
                "yes"
            } else {
                "no"
            }
            .into(),
        ),
        ("Hash", text(&snapshot["hash"])),
        ("Version", file["version"].to_string()),
        (
            "Socket",
            match file["socket"]["path"].as_str() {
                Some(path) => short(path),
                None => "default".into(),
            },
        ),
        (
            "Defaults",
            match defaults.is_empty() {
                true => "none".into(),
                false => defaults.join(", "),
            },
        ),
        ("Agents", agents.map_or(0, Map::len).to_string()),
        ("Allowlist", entries.len().to_string()),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(k, v)| vec![k.into(), v]).collect();
    let out = &mut context.out;
    let title = out.paint(Colour::Bold, "Approvals");
    out.line(title)?;
    out.table(
        &[Column::new("Field", 8), Column::flexible("Value", 24)],
        &rows,
    )?;
    out.line("")?;
    if entries.is_empty() {
        return Ok(out.line("No allowlist entries.")?);
    }
    let title = out.paint(Colour::Bold, "Allowlist");
    out.line(title)?;
    Ok(out.table(
        &[
            Column::new("Target", 10),
            Column::new("Agent", 8),
            Column::flexible("Pattern", 20),
            Column::new("Last Used", 10),
        ],
        &entries,
    )?)
}
