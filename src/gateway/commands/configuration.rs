//! Commands that reach beyond the session: the configuration, a restart, an approval.

use super::{Asked, Rights, settings};
use crate::config::secrets::redact;
use crate::config::{edit, path};
use crate::gateway::event::Event;
use crate::gateway::restart;
use crate::tool::approve::level::Decision;
use serde_json::Value;

/// Characters of a value in an answer.
const MAX_SHOWN: usize = 4000;
/// Settings of `/debug` at once: each is looked at whenever the file is read.
const MAX_LAID: usize = 64;

pub(super) fn config(asked: &Asked, args: &str) -> String {
    let (action, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let rest = rest.trim();
    let (paths, env) = (asked.core.config.paths(), asked.core.config.env());
    match action.to_lowercase().as_str() {
        "" | "show" | "get" => show(asked, rest),
        "set" => {
            let Some((path, typed)) = assignment(rest) else {
                return settings::help("config");
            };
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

/// Settings for as long as this gateway process runs; the file stays as it is.
pub(super) fn debug(asked: &Asked, args: &str) -> String {
    let (action, rest) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
    let rest = rest.trim();
    let mut overlay = asked.core.config.overlay();
    let said = match action.to_lowercase().as_str() {
        "" | "show" | "get" => {
            let mut whole = Value::Object(Default::default());
            for (path, value) in overlay {
                // Each was laid over the file before.
                let _ = path::set(&mut whole, &path, value);
            }
            return shown(&whole, rest);
        }
        "reset" => {
            overlay.clear();
            "⚙️ The configuration file holds again.".to_string()
        }
        "set" => {
            let Some((typed, value)) = assignment(rest) else {
                return settings::help("debug");
            };
            match (path::parse(typed), edit::value(value, false)) {
                (Ok(path), Ok(value)) => {
                    overlay.retain(|(other, _)| *other != path);
                    overlay.push((path, value));
                }
                (Err(err), _) => return format!("⚠️ {err}"),
                (_, Err(err)) => return format!("⚠️ {err}"),
            }
            if overlay.len() > MAX_LAID {
                return "⚠️ Too many settings at once; /debug reset forgets them.".into();
            }
            format!("⚙️ Set {typed} until the gateway restarts.")
        }
        "unset" if !rest.is_empty() => {
            let before = overlay.len();
            overlay.retain(|(path, _)| path.join(".") != rest);
            if overlay.len() == before {
                return format!("⚠️ {rest} was not set with /debug.");
            }
            format!("⚙️ {rest} is the file's again.")
        }
        _ => return settings::help("debug"),
    };
    if let Err(why) = asked.core.config.lay(overlay) {
        return format!("⚠️ {why}.");
    }
    let main = asked.core.main_events();
    match main.map(|main| main.try_send(Event::ConfigOverlaid)) {
        Some(Ok(())) => said,
        _ => {
            "⚠️ The gateway is busy; it holds from the next change of the configuration on.".into()
        }
    }
}

/// `path=value` or `path value`.
fn assignment(rest: &str) -> Option<(&str, &str)> {
    let split = rest.split_once('=');
    let (path, value) = split.or_else(|| rest.split_once(char::is_whitespace))?;
    Some((path.trim(), value.trim()))
}

fn show(asked: &Asked, path: &str) -> String {
    shown(&asked.core.config.read().value, path)
}

/// A part of a configuration, without its secrets.
fn shown(whole: &Value, path: &str) -> String {
    let whole = redact(whole);
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
    let by = match asked.rights {
        Rights::Client(client) => client.display_name.as_deref().unwrap_or(&client.client_id),
        Rights::Sender => asked.sender.names.first().map_or("", String::as_str),
    };
    match asked.core.approvals.resolve(asked.core, id, decision, by) {
        true => format!("✅ {id}: {word}."),
        false => format!("⚠️ No command waits under {id}."),
    }
}
