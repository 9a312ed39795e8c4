//! `/subagents`: what runs on behalf of this session, from the book of sub-agents.

use super::{Asked, settings};
use crate::agent::inbound::cut;
use crate::agent::lane;
use crate::base::cancel::Cancel;
use crate::base::{id, time};
use crate::gateway::subagents::{self, Record};
use crate::gateway::{inside, queue};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
/// Sub-agents that are listed.
const MAX: usize = 50;
/// Messages of `log`.
const LOG: u64 = 10;
const MAX_LOG: u64 = 50;
/// Characters of one message in `log`, of a task in `info`.
const MAX_LINE: usize = 300;
const MAX_NAME: usize = 60;
/// Of a run's id in the list.
const SHOWN: usize = 8;

pub(super) fn answer(asked: &Asked, args: &str) -> String {
    let mut words = args.split_whitespace();
    let action = words.next().unwrap_or("list").to_lowercase();
    let all = subagents::of(asked.core, asked.key);
    let named = words.next().unwrap_or_default();
    if action == "list" {
        return list(&all);
    }
    if action == "stop" && named.eq_ignore_ascii_case("all") {
        let stopped = all.iter().filter(|child| stop(asked, child)).count();
        return format!("⚙️ Stopped {stopped} of {} sub-agents.", all.len());
    }
    let Some(child) = find(&all, named) else {
        return match named {
            "" => settings::help("subagents"),
            named => format!("⚠️ No sub-agent is called \"{named}\"."),
        };
    };
    let rest: Vec<&str> = words.collect();
    match action.as_str() {
        "stop" => match stop(asked, child) {
            true => format!("⚙️ Stopped {}.", name(child)),
            false => format!("⚙️ {} was not at work.", name(child)),
        },
        "info" => info(child),
        "log" => log(asked, child, &rest),
        "send" if !rest.is_empty() => send(asked, child, &rest.join(" ")),
        _ => settings::help("subagents"),
    }
}

fn call(asked: &Asked, method: &str, params: Value) -> Result<Value, String> {
    inside::ask(asked.core, method, params)
        .answer(PATIENCE, &Cancel::new())
        .map_err(|error| error.message)
}

/// What people call it: its label, else the beginning of its task.
fn name(child: &Record) -> String {
    let label = child.label.as_deref().unwrap_or(&child.task);
    cut(label.lines().next().unwrap_or_default(), MAX_NAME)
}

/// `working`, `done`, `failed`, `timeout`, and for how long.
fn state(child: &Record) -> String {
    let outcome = child
        .outcome
        .as_ref()
        .map(|outcome| outcome.status.as_str());
    let state = match outcome.filter(|_| child.ended_at.is_some()) {
        None => "working",
        Some("ok") => "done",
        Some("error") => "failed",
        Some(other) => other,
    };
    let end = child.ended_at.unwrap_or_else(time::now_ms);
    let seconds = end.saturating_sub(child.started_at.unwrap_or(child.created_at)) / 1000;
    let spent = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
    };
    format!("{state}, {spent}")
}

fn list(all: &[Record]) -> String {
    if all.is_empty() {
        return "🤖 This session has no sub-agents.".into();
    }
    let line = |(n, child): (usize, &Record)| {
        let id = child.run_id.get(..SHOWN).unwrap_or(&child.run_id);
        format!("{}. {} ({}) {id}", n + 1, name(child), state(child))
    };
    // The newest, with the numbers they have among all.
    let lines = all.iter().enumerate().skip(all.len().saturating_sub(MAX));
    let lines: Vec<String> = lines.map(line).collect();
    format!("🤖 Sub-agents\n{}", lines.join("\n"))
}

/// By number, run id or its beginning (as listed or longer: `9` is a number, never somebody else's
/// id), session key, or label.
fn find<'a>(all: &'a [Record], named: &str) -> Option<&'a Record> {
    let number = named.trim_start_matches('#').parse::<usize>().ok();
    if let Some(child) = number.and_then(|n| all.get(n.checked_sub(1)?)) {
        return Some(child);
    }
    let is = |child: &&Record| {
        child.child_session_key == named
            || (named.len() >= SHOWN && child.run_id.starts_with(named))
            || child
                .label
                .as_deref()
                .is_some_and(|label| label.eq_ignore_ascii_case(named))
    };
    all.iter().rev().find(is).filter(|_| !named.is_empty())
}

fn stop(asked: &Asked, child: &Record) -> bool {
    queue::clear(asked.core, &child.child_session_key);
    subagents::stop(asked.core, &child.run_id)
}

fn info(child: &Record) -> String {
    let mut lines = vec![
        format!("🤖 {}", name(child)),
        format!("State: {}", state(child)),
        format!("Task: {}", cut(&child.task, MAX_LINE)),
        format!("Run: {}", child.run_id),
        format!("Session: {}", child.child_session_key),
        format!("Afterwards: {}", child.cleanup),
    ];
    let error = child
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.error.as_ref());
    lines.extend(error.map(|error| format!("Error: {}", cut(error, MAX_LINE))));
    lines.join("\n")
}

/// `log <id> [count] [tools]`
fn log(asked: &Asked, child: &Record, words: &[&str]) -> String {
    let limit = words.iter().find_map(|word| word.parse::<u64>().ok());
    let with_tools = words.iter().any(|word| word.eq_ignore_ascii_case("tools"));
    let limit = limit.unwrap_or(LOG).clamp(1, MAX_LOG);
    let key = &child.child_session_key;
    let history = call(
        asked,
        "chat.history",
        json!({"sessionKey": key, "limit": limit}),
    );
    let history = match history {
        Ok(history) => history,
        Err(why) => return format!("⚠️ {why}"),
    };
    let messages = history["messages"].as_array().into_iter().flatten();
    let lines: Vec<String> = messages.filter_map(|said| line(said, with_tools)).collect();
    match lines.is_empty() {
        true => "🤖 Nothing was said there yet.".into(),
        false => format!("🤖 {}\n{}", name(child), lines.join("\n")),
    }
}

fn line(said: &Value, with_tools: bool) -> Option<String> {
    let role = said["role"].as_str()?;
    if role == "toolResult" && !with_tools {
        return None;
    }
    let blocks = said["content"].as_array().into_iter().flatten();
    let words: Vec<String> = blocks
        .filter_map(|block| match block["type"].as_str()? {
            "text" => block["text"].as_str().map(str::to_string),
            "toolCall" if with_tools => Some(format!("[{}]", block["name"].as_str()?)),
            _ => None,
        })
        .collect();
    let text = cut(&words.join(" "), MAX_LINE);
    (!text.is_empty()).then(|| format!("{role}: {text}"))
}

/// The answer comes into the sub-agent's own session, where `log` shows it.
fn send(asked: &Asked, child: &Record, message: &str) -> String {
    let params = json!({"sessionKey": child.child_session_key, "message": message,
        "idempotencyKey": id::uuid(), "deliver": false, "lane": lane::SUBAGENT});
    match call(asked, "agent", params) {
        Ok(_) => format!("⚙️ Sent to {}.", name(child)),
        Err(why) => format!("⚠️ {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_is_never_the_beginning_of_an_id() {
        let child = |run_id: &str, label: &str| Record {
            run_id: run_id.into(),
            label: Some(label.into()),
            ..Record::default()
        };
        let all = [
            child("9c0ffee1-0000", "sheep"),
            child("12345678-0000", "cows"),
        ];
        let found = |named: &str| find(&all, named).and_then(|child| child.label.as_deref());
        assert_eq!((found("9"), found("#9"), found("")), (None, None, None));
        assert_eq!((found("1"), found("#2")), (Some("sheep"), Some("cows")));
        assert_eq!(
            (found("9c0ffee1"), found("COWS")),
            (Some("sheep"), Some("cows"))
        );
    }
}
