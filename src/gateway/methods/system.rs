//! `system-presence`, `system-event`, `wake`, `last-heartbeat`, `set-heartbeats`: who is here, what
//! happened, and whether the agent should look now.

use super::{Answer, Call};
use crate::gateway::broadcast::Rules;
use crate::gateway::core::Core;
use crate::gateway::heartbeat;
use crate::gateway::presence::Entry;
use crate::wire::gateway::heartbeat::WakeParams;
use serde_json::{Value, json};
use std::sync::Arc;

/// Characters of a text that serve as its key when nothing else names the sender.
const TEXT_KEY_CHARS: usize = 64;

pub fn presence(core: &Arc<Core>, _call: &Call) -> Answer {
    Answer::ok(&core.presence.list())
}

/// `null` before the first one.
pub fn last_heartbeat(core: &Arc<Core>, _call: &Call) -> Answer {
    Answer::ok(&core.heartbeat.last())
}

/// For as long as this core lives.
pub fn set_heartbeats(core: &Arc<Core>, call: &Call) -> Answer {
    let Some(enabled) = call.params.get("enabled").and_then(Value::as_bool) else {
        return Answer::invalid("invalid set-heartbeats params: enabled (boolean) required");
    };
    core.heartbeat.switch(enabled);
    Answer::ok(&json!({"ok": true, "enabled": enabled}))
}

/// A note for the main session, and a heartbeat at once when it shall not wait.
pub fn wake(core: &Arc<Core>, call: &Call) -> Answer {
    let params: WakeParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    if params.text.trim().is_empty() {
        return Answer::ok(&json!({"ok": false}));
    }
    let main = core.agents.sessions.defaults().main_key();
    core.system_events.ask(&main, &params.text);
    if params.mode == "now" {
        heartbeat::request(core, "wake");
    }
    Answer::ok(&json!({"ok": true}))
}

/// Notes who is here; anything that is not a periodic sign of life also waits for the agent.
pub fn event(core: &Arc<Core>, call: &Call) -> Answer {
    let Some(text) = string(call.params, "text") else {
        return Answer::invalid("text required");
    };
    let mut news = from_text(&text).unwrap_or_default();
    overlay(&mut news, call.params);
    news.text = Some(text.clone());
    let key = [&news.device_id, &news.instance_id, &news.host, &news.ip]
        .into_iter()
        .flatten()
        .next()
        .cloned()
        .unwrap_or_else(|| text.chars().take(TEXT_KEY_CHARS).collect());
    let (old, new) = core.presence.upsert(&key, news);
    let main = core.agents.sessions.defaults().main_key();
    match text.starts_with("Node:") {
        true => {
            if let Some(note) = change(old.as_ref(), &new) {
                core.system_events.push(&main, &note);
            }
        }
        false => core.system_events.push(&main, &text),
    }
    core.clients.bump_presence();
    let payload = json!({"presence": core.presence.list()});
    core.clients
        .broadcast("presence", &payload, Rules::PRESENCE);
    Answer::ok(&json!({"ok": true}))
}

/// `Node: H (I) · app V · last input Ns ago · mode M · reason R` in fields.
fn from_text(text: &str) -> Option<Entry> {
    let mut parts = text.strip_prefix("Node:")?.split('·').map(str::trim);
    let mut entry = Entry::default();
    let head = parts.next()?;
    match head.split_once('(') {
        Some((host, ip)) => {
            entry.host = some(host);
            entry.ip = some(ip.trim_end_matches(')'));
        }
        None => entry.host = some(head),
    }
    for part in parts {
        if let Some(version) = part.strip_prefix("app ") {
            entry.version = some(version);
        } else if let Some(ago) = part.strip_prefix("last input ") {
            entry.last_input_seconds = ago.split('s').next().and_then(|n| n.trim().parse().ok());
        } else if let Some(mode) = part.strip_prefix("mode ") {
            entry.mode = some(mode);
        } else if let Some(reason) = part.strip_prefix("reason ") {
            entry.reason = some(reason);
        }
    }
    Some(entry)
}

/// What the params say outright comes before what the text says.
fn overlay(entry: &mut Entry, params: &Value) {
    for (name, field) in [
        ("deviceId", &mut entry.device_id),
        ("instanceId", &mut entry.instance_id),
        ("host", &mut entry.host),
        ("ip", &mut entry.ip),
        ("mode", &mut entry.mode),
        ("version", &mut entry.version),
        ("platform", &mut entry.platform),
        ("deviceFamily", &mut entry.device_family),
        ("modelIdentifier", &mut entry.model_identifier),
        ("reason", &mut entry.reason),
    ] {
        if let Some(text) = string(params, name) {
            *field = Some(text);
        }
    }
    for (name, field) in [("roles", &mut entry.roles), ("scopes", &mut entry.scopes)] {
        if let Some(list) = params.get(name).and_then(Value::as_array) {
            let texts = list.iter().filter_map(Value::as_str);
            *field = Some(texts.map(str::to_string).collect());
        }
    }
    if let Some(seconds) = params.get("lastInputSeconds").and_then(Value::as_u64) {
        entry.last_input_seconds = Some(seconds);
    }
}

/// What is really new about a node, as a note; `None` for a periodic sign of life.
fn change(old: Option<&Entry>, new: &Entry) -> Option<String> {
    let reason = new.reason.as_deref().unwrap_or_default().to_lowercase();
    let periodic = reason.starts_with("periodic") || reason == "heartbeat";
    let none = Entry::default();
    let old = old.unwrap_or(&none);
    let mut parts = Vec::new();
    for (name, was, is) in [
        ("", &old.host, &new.host),
        ("ip ", &old.ip, &new.ip),
        ("app ", &old.version, &new.version),
        ("mode ", &old.mode, &new.mode),
    ] {
        if let (true, Some(is)) = (was != is, is) {
            parts.push(format!("{name}{is}"));
        }
    }
    if !periodic && old.reason != new.reason && !reason.is_empty() {
        parts.push(format!("reason {reason}"));
    }
    if parts.is_empty() {
        return None;
    }
    if old.host == new.host {
        parts.insert(0, new.host.clone().unwrap_or_default());
    }
    Some(format!("Node: {}", parts.join(" · ")))
}

fn string(params: &Value, name: &str) -> Option<String> {
    params.get(name).and_then(Value::as_str).and_then(some)
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_line_is_taken_apart() {
        let text = "Node: pi (10.0.0.2) · app 1.2 · last input 7s ago · mode node · reason launch";
        let entry = from_text(text).unwrap();
        assert_eq!(entry.host.as_deref(), Some("pi"));
        assert_eq!(entry.ip.as_deref(), Some("10.0.0.2"));
        assert_eq!(entry.last_input_seconds, Some(7));
        assert_eq!(entry.reason.as_deref(), Some("launch"));
        assert!(from_text("hello").is_none());
    }

    #[test]
    fn only_real_changes_of_a_node_are_noted() {
        let entry = |reason: &str, ip: &str| Entry {
            host: Some("pi".into()),
            ip: Some(ip.into()),
            reason: Some(reason.into()),
            ..Entry::default()
        };
        let old = entry("launch", "1");
        assert_eq!(change(Some(&old), &entry("periodic 3", "1")), None);
        let moved = change(Some(&old), &entry("heartbeat", "2"));
        assert_eq!(moved.as_deref(), Some("Node: pi · ip 2"));
        assert!(change(None, &old).unwrap().contains("reason launch"));
    }
}
