//! The chat services: what their settings demand of one another, and which there are.

use super::{Refined, beats, check, issue};
use crate::config::Issue;
use serde_json::{Map, Value};

/// Services whose settings the original checks with the whole file. Those of the others its
/// plugins read for themselves.
pub(super) const CHECKED: [&str; 9] = [
    "telegram",
    "whatsapp",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "msteams",
    "bluebubbles",
];

/// Services whose policy for strangers is in a block of its own.
const BY_DM_BLOCK: [&str; 3] = ["discord", "googlechat", "slack"];

const EVERYBODY: &str = "\"*\" lets everybody talk to the assistant";

pub(super) fn check(value: &Value, out: &mut Vec<Refined>) {
    for id in CHECKED {
        let block = &value["channels"][id];
        let at = format!("channels.{id}");
        open_to_all(id, &at, block, false, out);
        if id == "telegram" {
            commands(&at, block, out);
        }
        for (name, account) in block["accounts"].as_object().into_iter().flatten() {
            let at = format!("channels.{id}.accounts.{name}");
            open_to_all(id, &at, account, true, out);
            if id == "telegram" {
                commands(&at, account, out);
            }
        }
        match id {
            "telegram" => webhook_secrets(&at, block, out),
            "slack" => signing_secrets(&at, block, out),
            _ => {}
        }
    }
}

/// Whoever opens an assistant to strangers says so twice.
fn open_to_all(id: &str, at: &str, block: &Value, account: bool, out: &mut Vec<Refined>) {
    // Its accounts take the policy of the whole service.
    if id == "msteams" && account {
        return;
    }
    let (settings, key, list) = match BY_DM_BLOCK.contains(&id) {
        true => (&block["dm"], "dm.policy", "dm.allowFrom"),
        false => (block, "dmPolicy", "allowFrom"),
    };
    let star = |item: &Value| item.as_str().is_some_and(|text| text.trim() == "*");
    let everyone = settings["allowFrom"]
        .as_array()
        .is_some_and(|list| list.iter().any(star));
    let last = key.rsplit('.').next().unwrap_or(key);
    if settings[last] != "open" || everyone {
        return;
    }
    let message = match (id, account) {
        // Two services word it in another way.
        ("whatsapp" | "bluebubbles", true) => {
            format!("channels.{id}.accounts.*.{key}=\"open\" requires {list} to include \"*\"")
        }
        _ => format!("channels.{id}.{key}=\"open\" requires channels.{id}.{list} to include \"*\""),
    };
    let of = match BY_DM_BLOCK.contains(&id) {
        true => format!("{at}.dm"),
        false => at.to_string(),
    };
    out.push(Refined {
        of,
        issue: issue(format!("{at}.{list}"), message, EVERYBODY),
    });
}

fn filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn accounts(block: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = block["accounts"].as_object().into_iter().flatten();
    all.filter(|(_, account)| account["enabled"] != false)
}

fn webhook_secrets(at: &str, block: &Value, out: &mut Vec<Refined>) {
    let hint = "any long random text; Telegram sends it back with every update";
    let mut say = |path: String, message: &str| {
        out.push(Refined {
            of: at.to_string(),
            issue: issue(path, message, hint),
        });
    };
    let shared = filled(&block["webhookSecret"]);
    if filled(&block["webhookUrl"]) && !shared {
        let message = "channels.telegram.webhookUrl requires channels.telegram.webhookSecret";
        say(format!("{at}.webhookSecret"), message);
    }
    for (name, account) in accounts(block) {
        if filled(&account["webhookUrl"]) && !shared && !filled(&account["webhookSecret"]) {
            let message = "channels.telegram.accounts.*.webhookUrl requires \
                channels.telegram.webhookSecret or channels.telegram.accounts.*.webhookSecret";
            say(format!("{at}.accounts.{name}.webhookSecret"), message);
        }
    }
}

fn signing_secrets(at: &str, block: &Value, out: &mut Vec<Refined>) {
    let hint = "it is shown on the app's page at Slack";
    let mut say = |path: String, message: &str| {
        out.push(Refined {
            of: at.to_string(),
            issue: issue(path, message, hint),
        });
    };
    // Any text but the empty one, as the original takes it.
    let given = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let shared = given(&block["signingSecret"]);
    if block["mode"] == "http" && !shared {
        let message = "channels.slack.mode=\"http\" requires channels.slack.signingSecret";
        say(format!("{at}.signingSecret"), message);
    }
    for (name, account) in accounts(block) {
        let mode = account.get("mode").unwrap_or(&block["mode"]);
        if mode == "http" && !shared && !given(&account["signingSecret"]) {
            let message = "channels.slack.accounts.*.mode=\"http\" requires \
                channels.slack.signingSecret or channels.slack.accounts.*.signingSecret";
            say(format!("{at}.accounts.{name}.signingSecret"), message);
        }
    }
}

/// Entries of Telegram's command menu: a name it takes, and what it does.
fn commands(at: &str, block: &Value, out: &mut Vec<Refined>) {
    /// Telegram's own limit.
    const MAX_NAME: usize = 32;
    let list = block["customCommands"].as_array().into_iter().flatten();
    for (i, command) in list.enumerate() {
        let text = |key: &str| command[key].as_str().unwrap_or_default().trim();
        let mut say = |key: &str, message: String| {
            let path = format!("{at}.customCommands.{i}.{key}");
            out.push(Refined {
                of: at.to_string(),
                issue: issue(path, message, ""),
            });
        };
        let typed = text("command");
        let name = typed
            .strip_prefix('/')
            .unwrap_or(typed)
            .trim()
            .to_lowercase();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() {
            say(
                "command",
                "Telegram custom command is missing a command name.".into(),
            );
        } else if name.len() > MAX_NAME || !name.chars().all(plain) {
            say(
                "command",
                format!(
                    "Telegram custom command \"/{name}\" is invalid (use a-z, 0-9, underscore; \
                     max {MAX_NAME} chars)."
                ),
            );
        } else if text("description").is_empty() {
            let message = format!("Telegram custom command \"/{name}\" is missing a description.");
            say("description", message);
        }
    }
}

/// Channel names the original or one of its plugins knows.
pub(super) const KNOWN: [&str; 19] = [
    "whatsapp",
    "telegram",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
    "bluebubbles",
    "feishu",
    "line",
    "matrix",
    "mattermost",
    "msteams",
    "nextcloud-talk",
    "nostr",
    "tlon",
    "twitch",
    "zalo",
    "zalouser",
];

/// Shorter or older names of channels that a person may write.
const ALIASES: [&str; 3] = ["imsg", "google-chat", "gchat"];

/// A channel nobody knows, neither this program nor an executable `openclaw-channel-<id>`.
pub(super) fn unknown(value: &Value, installed: impl Fn(&str) -> bool) -> Vec<Issue> {
    let empty = Map::new();
    let blocks = value["channels"].as_object().unwrap_or(&empty);
    blocks
        .keys()
        .filter(|id| *id != "defaults" && !KNOWN.contains(&id.as_str()) && !installed(id))
        .map(|id| {
            let near = KNOWN
                .iter()
                .filter(|known| check::distance(id, known) <= 2)
                .map(|known| format!("did you mean {known:?}?"))
                .next();
            let other = format!("there is no executable openclaw-channel-{id} either");
            issue(
                format!("channels.{id}"),
                format!("unknown channel id: {id}"),
                &near.unwrap_or(other),
            )
        })
        .collect()
}

/// Where a heartbeat's word goes.
pub(super) fn heartbeat_targets(value: &Value, installed: impl Fn(&str) -> bool) -> Vec<Issue> {
    let mut out = Vec::new();
    for (path, beat) in beats(value) {
        let Some(typed) = beat["target"].as_str() else {
            continue;
        };
        let target = typed.trim().to_lowercase();
        let known = ["last", "none"].contains(&target.as_str())
            || KNOWN.contains(&target.as_str())
            || ALIASES.contains(&target.as_str())
            || installed(&target);
        if !known {
            let message = match target.is_empty() {
                true => "heartbeat target must not be empty".to_string(),
                false => format!("unknown heartbeat target: {typed}"),
            };
            let hint = "last, none or a channel";
            out.push(issue(format!("{path}.target"), message, hint));
        }
    }
    out
}
