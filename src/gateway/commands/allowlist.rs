//! `/allowlist`: who may write to the agent on a channel, read and changed in the configuration.
//!
//! People who were let in by a pairing code are shown and stay: `openclaw pairing` has their list.

use super::{Asked, settings};
use crate::agent::command::Needs;
use crate::config::{edit, path};
use serde_json::Value;
use std::io::Read;

/// Channels whose direct chats have a block of their own in the configuration.
const WITH_DM_BLOCK: [&str; 4] = ["discord", "googlechat", "matrix", "slack"];
/// Those whose groups are let in by the group, not by the sender.
const NO_GROUP_SENDERS: [&str; 2] = ["discord", "slack"];
/// Characters of an entry: no service has longer ids.
const MAX_ENTRY: usize = 256;
const MAX_ENTRIES: usize = 1000;
/// Bytes of the file with those who were paired; some ten thousand of them.
const MAX_STORE: u64 = 1024 * 1024;

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Wish {
    action: String,
    /// `dm`, `group`; empty for both.
    scope: String,
    channel: Option<String>,
    account: Option<String>,
    entry: String,
}

/// `[list|add|remove] [dm|group|all] [channel=x] [account=y] [entry]`
fn parse(args: &str) -> Wish {
    let mut wish = Wish {
        action: "list".into(),
        ..Wish::default()
    };
    let mut words = args.split_whitespace().peekable();
    if let Some(word) = words.peek().map(|word| word.to_lowercase()) {
        if matches!(word.as_str(), "list" | "add" | "remove") {
            wish.action = word;
            words.next();
        }
    }
    let mut entry = Vec::new();
    while let Some(word) = words.next() {
        let lower = word.to_lowercase();
        let named = word.trim_start_matches("--").split_once('=');
        match (lower.as_str(), named) {
            ("dm" | "group" | "all", _) if wish.scope.is_empty() && entry.is_empty() => {
                wish.scope = lower;
            }
            ("--channel", _) => wish.channel = words.next().map(str::to_lowercase),
            ("--account", _) => wish.account = words.next().map(String::from),
            (_, Some(("channel", value))) => wish.channel = Some(value.to_lowercase()),
            (_, Some(("account", value))) => wish.account = Some(value.into()),
            _ => entry.push(word),
        }
    }
    if wish.scope == "all" {
        wish.scope.clear();
    }
    wish.entry = entry.join(" ").chars().take(MAX_ENTRY).collect();
    wish
}

pub(super) fn answer(asked: &Asked, args: &str) -> String {
    let wish = parse(args);
    let channels = &asked.config.config.channels;
    let channel = wish.channel.as_deref().unwrap_or(asked.channel);
    if !channels.contains_key(channel) {
        let names: Vec<&str> = channels
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "defaults")
            .collect();
        return match names.is_empty() {
            true => "⚠️ No channel is configured.".into(),
            false => format!("⚠️ Say which: channel={}.", names.join(" or channel=")),
        };
    }
    let mut at = vec!["channels".to_string(), channel.to_string()];
    if let Some(account) = &wish.account {
        at.extend(["accounts".to_string(), account.clone()]);
        if path::get(&asked.config.value, &at).is_none() {
            return format!("⚠️ {channel} has no account \"{account}\".");
        }
    }
    match wish.action.as_str() {
        "list" => list(asked, channel, &at, &wish),
        _ => change(asked, channel, at, &wish),
    }
}

/// Where a list stands below its account; `None` where the channel has none.
fn below(channel: &str, scope: &str) -> Option<&'static [&'static str]> {
    match scope {
        "group" if NO_GROUP_SENDERS.contains(&channel) => None,
        "group" => Some(&["groupAllowFrom"]),
        _ if WITH_DM_BLOCK.contains(&channel) => Some(&["dm", "allowFrom"]),
        _ => Some(&["allowFrom"]),
    }
}

fn place(at: &[String], below: &[&str]) -> Vec<String> {
    let below = below.iter().map(|part| part.to_string());
    at.iter().cloned().chain(below).collect()
}

fn text(entry: &Value) -> String {
    entry
        .as_str()
        .map_or_else(|| entry.to_string(), str::to_string)
}

fn shown(entries: &[Value]) -> String {
    let entries: Vec<String> = entries.iter().map(text).collect();
    match entries.is_empty() {
        true => "nobody".into(),
        false => entries.join(", "),
    }
}

fn list(asked: &Asked, channel: &str, at: &[String], wish: &Wish) -> String {
    let value = &asked.config.value;
    let own = |names: &[&str]| path::get(value, &place(at, names));
    let mut lines = vec![format!("🧾 {channel}: who may write")];
    let with_block = WITH_DM_BLOCK.contains(&channel);
    let policies = [
        (
            "dm",
            "Direct chats",
            if with_block {
                &["dm", "policy"][..]
            } else {
                &["dmPolicy"]
            },
        ),
        ("group", "Groups", &["groupPolicy"]),
    ];
    for (scope, name, policy) in policies {
        if !wish.scope.is_empty() && wish.scope != scope {
            continue;
        }
        if let Some(policy) = own(policy).and_then(Value::as_str) {
            lines.push(format!("{name}: {policy}"));
        }
        if let Some(below) = below(channel, scope) {
            let entries = own(below).and_then(Value::as_array);
            let entries = entries.map_or(&[][..], Vec::as_slice);
            lines.push(format!("- {}: {}", below.join("."), shown(entries)));
        }
        if scope == "dm" {
            let paired = paired(asked, channel);
            if !paired.is_empty() {
                lines.push(format!("- paired: {}", shown(&paired)));
            }
        }
    }
    crate::agent::inbound::cut(&lines.join("\n"), 4000)
}

/// Those a pairing code let in.
fn paired(asked: &Asked, channel: &str) -> Vec<Value> {
    // A configured name may be anything; no other file is read for it.
    let plain = channel
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !plain {
        return Vec::new();
    }
    let folder = asked.core.config.paths().state.join("credentials");
    let Ok(file) = std::fs::File::open(folder.join(format!("{channel}-allowFrom.json"))) else {
        return Vec::new();
    };
    let read: Result<Value, _> = serde_json::from_reader(file.take(MAX_STORE));
    let mut read = read.unwrap_or_default();
    match read["allowFrom"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    }
}

fn change(asked: &Asked, channel: &str, at: Vec<String>, wish: &Wish) -> String {
    let is_add = wish.action == "add";
    if wish.entry.is_empty() || wish.scope.is_empty() {
        return settings::help("allowlist");
    }
    if let Err(why) = asked.may(Needs::Admin) {
        return why;
    }
    if asked.config.value["commands"]["config"] != true {
        return "⚠️ Changes are switched off. Set commands.config=true to switch them on.".into();
    }
    let Some(below) = below(channel, &wish.scope) else {
        return format!("⚠️ Groups of {channel} are let in by the group, in the configuration.");
    };
    let place = place(&at, below);
    let (paths, env) = (asked.core.config.paths(), asked.core.config.env());
    let changed = edit::change(paths, env, |tree| {
        let mut entries = match path::get(tree, &place) {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        let known = |entry: &Value| text(entry).eq_ignore_ascii_case(&wish.entry);
        match is_add {
            true if entries.len() >= MAX_ENTRIES || entries.iter().any(known) => {}
            true => entries.push(wish.entry.as_str().into()),
            false => entries.retain(|entry| !known(entry)),
        }
        path::set(tree, &place, Value::Array(entries)).map_err(edit::Error::Path)
    });
    let name = place.join(".");
    match changed {
        Ok(now) => {
            let entries = path::get(&now.value, &place).and_then(Value::as_array);
            format!("⚙️ {name}: {}", shown(entries.map_or(&[], Vec::as_slice)))
        }
        Err(err) => format!("⚠️ {err}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_apart_in_any_order_and_an_entry_may_have_spaces() {
        assert_eq!(parse("").action, "list");
        let wish = parse("add dm channel=Telegram account=Work 12345");
        assert_eq!(
            wish,
            Wish {
                action: "add".into(),
                scope: "dm".into(),
                channel: Some("telegram".into()),
                account: Some("Work".into()),
                entry: "12345".into(),
            }
        );
        let wish = parse("remove group Some Body --channel signal");
        assert_eq!(
            (wish.scope.as_str(), wish.entry.as_str()),
            ("group", "Some Body")
        );
        assert_eq!(wish.channel.as_deref(), Some("signal"));
        // An account of a person may look like a setting.
        assert_eq!(parse("add dm uuid=1").entry, "uuid=1");
        assert_eq!(parse("list all").scope, "");
    }

    #[test]
    fn every_channel_keeps_its_lists_where_its_configuration_has_them() {
        assert_eq!(below("telegram", "dm"), Some(&["allowFrom"][..]));
        assert_eq!(below("slack", "dm"), Some(&["dm", "allowFrom"][..]));
        assert_eq!(below("telegram", "group"), Some(&["groupAllowFrom"][..]));
        assert_eq!(below("discord", "group"), None);
    }
}
