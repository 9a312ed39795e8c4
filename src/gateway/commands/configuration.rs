//! Commands that reach beyond the session: the configuration, a restart, an approval.

use super::{Asked, settings};
use crate::config::edit;
use crate::config::secrets::redact;
use crate::gateway::restart;
use crate::tool::approve::level::Decision;
use serde_json::Value;

/// Characters of a value in an answer.
const MAX_SHOWN: usize = 4000;

pub(super) fn config(asked: &Asked, args: &str) -> String {
    let (action, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let rest = rest.trim();
    let (paths, env) = (asked.core.config.paths(), asked.core.config.env());
    match action.to_lowercase().as_str() {
        "" | "show" | "get" => show(asked, rest),
        "set" => {
            let split = rest
                .split_once('=')
                .or_else(|| rest.split_once(char::is_whitespace));
            let Some((path, typed)) = split else {
                return settings::help("config");
            };
            let (path, typed) = (path.trim(), typed.trim());
            let set =
                edit::value(typed, false).and_then(|value| edit::set(paths, env, path, value));
            match set {
                Ok(_) => format!("⚙️ Set {path}."),
                Err(err) => format!("⚠️ {err}"),
            }
        }
        "unset" if !rest.is_empty() => match edit::unset(paths, env, rest) {
            Ok(_) => format!("⚙️ Unset {rest}."),
            Err(err) => format!("⚠️ {err}"),
        },
        _ => settings::help("config"),
    }
}

fn show(asked: &Asked, path: &str) -> String {
    let snapshot = asked.core.config.read();
    let whole = redact(&snapshot.value);
    let found = match path {
        "" => &whole,
        path => {
            let pointer = format!("/{}", path.replace('.', "/"));
            match whole.pointer(&pointer) {
                Some(value) => value,
                None => return format!("⚠️ {path} is not set."),
            }
        }
    };
    let text = match found {
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    let text = crate::agent::inbound::cut(&text, MAX_SHOWN);
    let name = if path.is_empty() {
        "Configuration"
    } else {
        path
    };
    format!("⚙️ {name}:\n```json\n{text}\n```")
}

pub(super) fn restart(asked: &Asked) -> String {
    restart::plan(asked.core, None, "/restart");
    "⚙️ The gateway restarts in a moment.".into()
}

pub(super) fn approve(asked: &Asked, args: &str) -> String {
    let mut words = args.split_whitespace();
    let (id, decision) = (words.next(), words.next());
    let (Some(id), Some(word)) = (id, decision) else {
        return settings::help("approve");
    };
    let word = match word.to_lowercase().as_str() {
        "allow" | "once" => "allow-once".to_string(),
        "always" => "allow-always".into(),
        "reject" | "block" => "deny".into(),
        word => word.into(),
    };
    let Some(decision) = Decision::parse(&word) else {
        return settings::help("approve");
    };
    let client = asked.client;
    let by = client.display_name.as_deref().unwrap_or(&client.client_id);
    match asked.core.approvals.resolve(asked.core, id, decision, by) {
        true => format!("✅ {id}: {word}."),
        false => format!("⚠️ No command waits under {id}."),
    }
}
