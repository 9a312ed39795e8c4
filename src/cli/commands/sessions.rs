//! `openclaw sessions`: the sessions of an agent, from its file.

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::age;
use crate::base::cmdline::{Command, Flag};
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::gateway::models;
use crate::session::{Entry, Filter, Index, Named, Store};
use serde_json::{Value, json};
use std::path::PathBuf;

pub const SPEC: Command = Command {
    name: "sessions",
    summary: "List the sessions, newest first",
    flags: &[
        Flag::value("active", "minutes", "Only those used in the last minutes"),
        Flag::file("store", "file", "Another sessions.json"),
    ],
    lenient: true,
    ..Command::NEW
};

/// The model and context window of a session that names none.
pub fn defaults(snapshot: &Snapshot) -> (Option<String>, Option<u64>) {
    let default = models::default(snapshot, &snapshot.config.default_agent_id());
    (Some(default.model), Some(default.context_tokens))
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let active = match context.matches.text("active") {
        None => None,
        Some(text) => Some(
            text.trim()
                .parse::<u64>()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| Failure::said("--active must be a positive integer (minutes)"))?,
        ),
    };
    let (path, all) = read(context)?;
    let now = now_ms();
    let since = active.map(|minutes| now.saturating_sub(minutes * 60_000));
    let mut list: Vec<Named> = all
        .into_iter()
        .filter(|(_, entry)| since.is_none_or(|since| entry.updated_at.unwrap_or(0) >= since))
        .collect();
    list.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.updated_at.unwrap_or(0)));
    let (model, window) = defaults(&context.local.snapshot);
    if context.json() {
        let rows = list
            .iter()
            .map(|(key, entry)| row(key, entry, now, &model, window));
        let value = json!({
            "path": path.display().to_string(),
            "count": list.len(),
            "activeMinutes": active,
            "sessions": rows.collect::<Vec<_>>(),
        });
        return Ok(context.out.json(&value)?);
    }
    let out = &mut context.out;
    out.line(format!("Session store: {}", path.display()))?;
    out.line(format!("Sessions listed: {}", list.len()))?;
    if let Some(minutes) = active {
        out.line(format!("Filtered to last {minutes} minute(s)"))?;
    }
    if list.is_empty() {
        return Ok(out.line("No sessions found.")?);
    }
    out.line(columns(
        "Kind",
        "Key",
        "Age",
        "Model",
        "Tokens (ctx %)",
        "Flags",
    ))?;
    for (key, entry) in &list {
        let age = age(entry.updated_at.map(|at| now.saturating_sub(at)));
        let model = entry.model.as_deref().or(model.as_deref()).unwrap_or("-");
        let window = entry.context_tokens.or(window);
        let line = columns(
            entry.kind(key).as_str(),
            &short(key),
            &age,
            model,
            &tokens(entry.total_tokens, window),
            &flags(entry),
        );
        out.line(line.trim_end())?;
    }
    Ok(())
}

fn read(context: &Context) -> Result<(PathBuf, Vec<Named>), Failure> {
    let snapshot = &context.local.snapshot;
    let failed = |err: crate::session::Error| Failure::Error {
        text: err.to_string(),
        hint: None,
    };
    let agent = snapshot.config.default_agent_id();
    match context.matches.text("store") {
        Some(path) => {
            let path = crate::config::paths::expand(path, &snapshot.paths.home);
            let index = Index::new(path.clone(), snapshot.paths.ours(), agent);
            let all = index.select(|_, _| true).map_err(failed)?;
            Ok((path, all))
        }
        None => {
            let store = Store::open(&snapshot.paths, &snapshot.config);
            let filter = Filter {
                agent: Some(agent.clone()),
                include_global: true,
                include_unknown: true,
                ..Filter::default()
            };
            let all = store.list(&filter).map_err(failed)?;
            Ok((store.path(&agent), all))
        }
    }
}

fn row(key: &str, entry: &Entry, now: u64, model: &Option<String>, window: Option<u64>) -> Value {
    let mut row = json!({
        "key": *key,
        "kind": entry.kind(key).as_str(),
        "updatedAt": entry.updated_at,
        "ageMs": entry.updated_at.map(|at| now.saturating_sub(at)),
    });
    for (name, value) in [
        ("sessionId", json!(entry.session_id)),
        ("systemSent", json!(entry.system_sent)),
        ("abortedLastRun", json!(entry.aborted_last_run)),
        ("thinkingLevel", json!(entry.thinking_level)),
        ("verboseLevel", json!(entry.verbose_level)),
        ("reasoningLevel", json!(entry.reasoning_level)),
        ("elevatedLevel", json!(entry.elevated_level)),
        ("responseUsage", json!(entry.response_usage)),
        ("groupActivation", json!(entry.group_activation)),
        ("inputTokens", json!(entry.input_tokens)),
        ("outputTokens", json!(entry.output_tokens)),
        ("totalTokens", json!(entry.total_tokens)),
        ("model", json!(entry.model.as_ref().or(model.as_ref()))),
        ("contextTokens", json!(entry.context_tokens.or(window))),
    ] {
        if !value.is_null() {
            row[name] = value;
        }
    }
    row
}

fn columns(kind: &str, key: &str, age: &str, model: &str, tokens: &str, flags: &str) -> String {
    format!("{kind:<6} {key:<26} {age:<9} {model:<14} {tokens:<20} {flags}")
}

/// Long keys keep their two telling ends.
fn short(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() <= 26 {
        return key.to_string();
    }
    let head: String = chars[..16].iter().collect();
    let tail: String = chars[chars.len() - 6..].iter().collect();
    format!("{head}...{tail}")
}

pub fn tokens(total: Option<u64>, window: Option<u64>) -> String {
    let Some(total) = total else {
        return "-".into();
    };
    match window.filter(|n| *n > 0) {
        None => thousands(total),
        Some(window) => {
            let percent = ((total * 100 + window / 2) / window).min(999);
            format!("{}/{} ({percent}%)", thousands(total), thousands(window))
        }
    }
}

pub fn thousands(n: u64) -> String {
    match n >= 10_000 {
        true => format!("{}k", (n + 500) / 1000),
        false => format!("{:.1}k", n as f64 / 1000.0),
    }
}

fn flags(entry: &Entry) -> String {
    let mut out = Vec::new();
    for (name, value) in [
        ("think", &entry.thinking_level),
        ("verbose", &entry.verbose_level),
        ("reasoning", &entry.reasoning_level),
        ("elev", &entry.elevated_level),
        ("usage", &entry.response_usage),
        ("activation", &entry.group_activation),
    ] {
        if let Some(value) = value {
            out.push(format!("{name}:{value}"));
        }
    }
    if entry.system_sent == Some(true) {
        out.push("system".into());
    }
    if entry.aborted_last_run == Some(true) {
        out.push("aborted".into());
    }
    if let Some(id) = &entry.session_id {
        out.push(format!("id:{id}"));
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_keys_are_shortened_as_the_original_does() {
        assert_eq!(tokens(Some(41_000), Some(200_000)), "41k/200k (21%)");
        assert_eq!(tokens(Some(110), Some(128_000)), "0.1k/128k (0%)");
        assert_eq!(tokens(None, Some(1)), "-");
        assert_eq!(
            short("agent:main:telegram:group:-100100123"),
            "agent:main:teleg...100123"
        );
        assert_eq!(
            columns(
                "direct",
                "main",
                "just now",
                "fake-1",
                "0.1k/128k (0%)",
                "id:x"
            ),
            "direct main                       just now  fake-1         0.1k/128k (0%)       id:x"
        );
    }
}
