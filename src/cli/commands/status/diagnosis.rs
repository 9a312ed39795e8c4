//! `status --all`: what a stranger needs to help, in a form that can be shown to one.
//!
//! Every line goes through `mask`: a secret of the configuration is in none of them, whoever wrote
//! it into a log or an error.

use super::super::super::failure::Failure;
use super::super::super::output::{Column, Out, age};
use super::Report;
use crate::base::{logtail, time};
use crate::config::{Snapshot, listen, secrets};
use crate::ops::port;
use crate::wire::log::Record;
use serde_json::Value;

/// Of the log, lines looked at and lines shown.
const READ: usize = 400;
const SHOWN: usize = 10;
const MAX_BYTES: u64 = 250_000;
/// Characters of a line.
const MAX_LINE: usize = 240;
/// Shorter texts are too likely to be part of a word.
const LEAST_SECRET: usize = 4;

pub fn print_agents(out: &mut Out, snapshot: &Snapshot, report: &Report) -> Result<(), Failure> {
    out.title("Agents")?;
    let now = time::now_ms();
    let rows = report.agents.iter().map(|agent| {
        let path = std::path::Path::new(&agent.path);
        vec![
            agent.id.clone(),
            if agent.bootstrap { "PENDING" } else { "OK" }.into(),
            agent.count.to_string(),
            age(agent.updated_at.map(|at| now.saturating_sub(at))),
            snapshot.paths.tilde(path),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let head = [
        Column::new("Agent", 10),
        Column::new("Bootstrap", 9),
        Column::new("Sessions", 8),
        Column::new("Active", 8),
        Column::flexible("Store", 24),
    ];
    out.table(&head, &rows)?;
    Ok(out.line("")?)
}

pub fn print(out: &mut Out, snapshot: &Snapshot, report: &Report) -> Result<(), Failure> {
    let hidden = hidden(&snapshot.value);
    out.title("Diagnosis (read-only)")?;
    out.line("")?;
    for line in report.target.lines() {
        out.line(mask(line, &hidden))?;
    }
    out.line("")?;
    for (fine, text) in judge(snapshot, report) {
        let mark = if fine { "✓" } else { "!" };
        out.line(mask(&format!("{mark} {text}"), &hidden))?;
    }
    out.line("")?;
    if let Some(error) = report
        .probe
        .error
        .as_ref()
        .or(report.probe.rpc_error.as_ref())
    {
        out.line("Gateway health:")?;
        out.line(format!("  {}", mask(error, &hidden)))?;
        out.line("")?;
    }
    let lines = troubles(snapshot);
    if !lines.is_empty() {
        out.line("Last warnings and errors in the log:")?;
        for line in lines {
            let line = mask(&line, &hidden);
            let end = line
                .char_indices()
                .nth(MAX_LINE)
                .map_or(line.len(), |(at, _)| at);
            out.line(format!("  {}", &line[..end]))?;
        }
        out.line("")?;
    }
    Ok(out.line("Pasteable debug report. Auth tokens redacted.")?)
}

/// Whether each thing is as it should be.
fn judge(snapshot: &Snapshot, report: &Report) -> Vec<(bool, String)> {
    let mut all = Vec::new();
    let path = snapshot.path.display();
    all.push(match (snapshot.exists, snapshot.valid) {
        (true, true) => (true, format!("Config: {path}")),
        (false, _) => (false, format!("Config: {path} is not there")),
        (true, false) => {
            let first = snapshot.issues.first().map(ToString::to_string);
            (
                false,
                format!("Config: {path}: {}", first.unwrap_or_default()),
            )
        }
    });
    let note = snapshot.paths.state.join("restart-sentinel.json");
    all.push(match note.exists() {
        false => (true, "Restart sentinel: none".into()),
        true => (
            false,
            "Restart sentinel: one waits for the next start of the gateway".into(),
        ),
    });
    let number = listen::port(snapshot);
    let port = port::look(number);
    let busy = port.status == "busy";
    match (report.probe.reached, busy) {
        (true, _) | (false, false) => all.push((true, format!("Port {number}"))),
        (false, true) => {
            all.push((false, format!("Port {number} is already in use")));
            let owners = port
                .listeners
                .iter()
                .map(|owner| (false, format!("  {}", owner.line())));
            all.extend(owners);
        }
    }
    all.push(match report.channels.as_ref() {
        None => (false, "Channel issues skipped (gateway unreachable)".into()),
        Some(channels) => {
            let failed: Vec<&str> = channels["channels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, channel)| channel["lastError"].is_string())
                .map(|(kind, _)| kind.as_str())
                .collect();
            match failed.is_empty() {
                true => (true, "Channel issues: none".into()),
                false => (false, format!("Channel issues: {}", failed.join(", "))),
            }
        }
    });
    all
}

fn troubles(snapshot: &Snapshot) -> Vec<String> {
    let log = snapshot.paths.log(&snapshot.config.logging);
    let file = log.file(time::now_ms());
    let Ok(tail) = logtail::read(&file, None, READ, MAX_BYTES) else {
        return Vec::new();
    };
    let mut lines: Vec<String> = tail
        .lines
        .iter()
        .filter_map(|line| Record::parse(line))
        .filter(|record| matches!(record.level.as_deref(), Some("warn" | "error" | "fatal")))
        .map(|record| {
            let time = record.time.unwrap_or_default();
            let level = record.level.unwrap_or_default();
            format!("{time} {level} {}", record.message)
        })
        .collect();
    lines.drain(..lines.len().saturating_sub(SHOWN));
    lines
}

/// The secrets of the configuration, longest first: one may be a part of another.
fn hidden(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, "", &mut found);
    found.sort_by_key(|text: &String| std::cmp::Reverse(text.len()));
    found.dedup();
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                collect(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(list) => {
            for value in list {
                collect(value, path, found);
            }
        }
        Value::String(text) if text.len() >= LEAST_SECRET && secrets::is_secret(path) => {
            found.push(text.clone());
        }
        _ => {}
    }
}

fn mask(line: &str, hidden: &[String]) -> String {
    hidden.iter().fold(line.to_string(), |line, secret| {
        line.replace(secret, secrets::REDACTED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_secret_of_the_configuration_is_in_a_line() {
        let hidden = hidden(&json!({
            "gateway": {"auth": {"token": "hush"}},
            "channels": {"telegram": {"botToken": "hush-hush"}},
            "models": {"providers": {"x": {"apiKey": "key-1234", "baseUrl": "http://x"}}},
        }));
        assert_eq!(
            mask("at http://x with key-1234, hush-hush and hush", &hidden),
            "at http://x with ***, *** and ***"
        );
    }
}
