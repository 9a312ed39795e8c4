//! What a changed file means for a running gateway: which settings differ, and for each whether it
//! is read where it is used, has a part of the gateway to be told, or needs a fresh core.
//!
//! Pure: nothing here reads a file or does anything.

use serde_json::Value;
use std::collections::BTreeSet;

/// Paths named in a log line or an answer; a rewritten file may differ everywhere.
const MAX_PATHS: usize = 200;

/// What has to happen when a setting changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Read afresh where it is used.
    Read,
    /// The mapping, token and path of the incoming hooks.
    Hooks,
    /// The watcher of a Gmail account.
    Gmail,
    /// When agents are woken.
    Heartbeats,
    /// The scheduler.
    Cron,
    /// Browser control.
    Browser,
    /// One channel, all its accounts.
    Channel(String),
    /// A fresh core.
    Restart,
}

/// `gateway.reload.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    Restart,
    Hot,
    Hybrid,
}

/// The changes, sorted by what they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub changed: Vec<String>,
    /// The part of `changed` that needs a fresh core.
    pub restart: Vec<String>,
    /// Whom to tell.
    pub hot: BTreeSet<Class>,
}

/// First match counts: the path itself or one above it.
const RULES: &[(&str, Class)] = &[
    ("gateway.remote", Class::Read),
    ("gateway.reload", Class::Read),
    ("hooks.gmail", Class::Gmail),
    ("hooks", Class::Hooks),
    ("agents.defaults.heartbeat", Class::Heartbeats),
    // Ours: agents may have a heartbeat of their own.
    ("agents.list", Class::Heartbeats),
    ("cron", Class::Cron),
    ("browser", Class::Browser),
    ("channels.whatsapp", Class::Read),
    ("identity", Class::Read),
    ("wizard", Class::Read),
    ("logging", Class::Read),
    ("models", Class::Read),
    ("agents", Class::Read),
    ("tools", Class::Read),
    ("bindings", Class::Read),
    ("audio", Class::Read),
    ("messages", Class::Read),
    ("session", Class::Read),
    ("talk", Class::Read),
    ("skills", Class::Read),
    ("ui", Class::Read),
];

/// Channels that can be stopped and started by themselves.
const CHANNELS: [&str; 17] = [
    "telegram",
    "discord",
    "slack",
    "signal",
    "imessage",
    "msteams",
    "googlechat",
    "mattermost",
    "nextcloud-talk",
    "bluebubbles",
    "feishu",
    "line",
    "matrix",
    "nostr",
    "tlon",
    "zalo",
    "zalouser",
];

impl Class {
    pub fn of(path: &str) -> Class {
        if let Some(below) = path.strip_prefix("channels.") {
            let id = below.split('.').next().unwrap_or_default();
            if CHANNELS.contains(&id) {
                return Class::Channel(id.into());
            }
        }
        if is_at_or_below(path, "web") {
            return Class::Channel("whatsapp".into());
        }
        RULES
            .iter()
            .find(|(prefix, _)| is_at_or_below(path, prefix))
            .map_or(Class::Restart, |(_, class)| class.clone())
    }
}

fn is_at_or_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Mode {
    /// Of a whole configuration.
    pub fn of(config: &Value) -> Mode {
        match config["gateway"]["reload"]["mode"].as_str() {
            Some("off") => Mode::Off,
            Some("restart") => Mode::Restart,
            Some("hot") => Mode::Hot,
            _ => Mode::Hybrid,
        }
    }
}

impl Plan {
    /// From what is in force to what is to be. `meta` is no setting: it only says who wrote.
    pub fn between(old: &Value, new: &Value) -> Plan {
        let mut plan = Plan::default();
        differ(old, new, "", &mut plan.changed);
        plan.changed.retain(|path| !is_at_or_below(path, "meta"));
        for path in &plan.changed {
            // A whole section that comes or goes concerns every part below it.
            let below = RULES.iter().filter(|(rule, _)| is_at_or_below(rule, path));
            let classes = below.map(|(_, class)| class.clone());
            plan.hot.extend(classes.chain([Class::of(path)]));
            if plan.hot.remove(&Class::Restart) {
                plan.restart.push(path.clone());
            }
            plan.hot.remove(&Class::Read);
        }
        if plan.hot.contains(&Class::Gmail) {
            plan.hot.insert(Class::Hooks);
        }
        plan.changed.truncate(MAX_PATHS);
        plan
    }

    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// `a, b, c`, as the log lines name them.
    pub fn names(paths: &[String]) -> String {
        const NAMED: usize = 20;
        let mut names = paths[..paths.len().min(NAMED)].join(", ");
        if paths.len() > NAMED {
            names.push_str(&format!(", … {} more", paths.len() - NAMED));
        }
        names
    }
}

/// Where the two differ: down to the first place where one of them is no object.
fn differ(old: &Value, new: &Value, path: &str, out: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let null = Value::Null;
            for (key, value) in old {
                let below = super::path::join(path, key);
                match new.get(key) {
                    Some(other) => differ(value, other, &below, out),
                    None if *value == null => {}
                    None => out.push(below),
                }
            }
            let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
            out.extend(added.map(|(key, _)| super::path::join(path, key)));
        }
        (old, new) if old == new => {}
        _ => out.push(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(old: Value, new: Value) -> Plan {
        Plan::between(&old, &new)
    }

    #[test]
    fn a_new_stamp_is_no_change() {
        let old = json!({"meta": {"lastTouchedAt": "a"}, "ui": {}});
        let new = json!({"meta": {"lastTouchedAt": "b", "lastTouchedVersion": "1"}, "ui": {}});
        assert!(plan(old.clone(), new).is_empty());
        assert!(plan(old, json!({"ui": {}})).is_empty());
    }

    /// Row by row, as the original's table reads; a path below counts as the row does.
    #[test]
    fn each_path_has_the_class_the_original_gives_it() {
        let channel = |id: &str| Class::Channel(id.into());
        let mut rows = vec![
            ("gateway.remote", Class::Read),
            ("gateway.reload", Class::Read),
            ("hooks.gmail", Class::Gmail),
            ("hooks", Class::Hooks),
            ("hooks.mappings", Class::Hooks),
            ("agents.defaults.heartbeat", Class::Heartbeats),
            // Ours: an agent may have a heartbeat of its own.
            ("agents.list", Class::Heartbeats),
            ("cron", Class::Cron),
            ("browser", Class::Browser),
            ("web", channel("whatsapp")),
            ("channels.whatsapp", Class::Read),
        ];
        for path in [
            "identity",
            "wizard",
            "logging",
            "models",
            "agents",
            "agents.defaults.model",
            "tools",
            "bindings",
            "audio",
            "messages",
            "session",
            "talk",
            "skills",
            "ui",
        ] {
            rows.push((path, Class::Read));
        }
        for path in [
            "plugins",
            "gateway",
            "gateway.port",
            "gateway.remoteish",
            "discovery",
            "canvasHost",
            "meta",
            "env",
            "auth",
            "commands",
            "update",
            "diagnostics",
            "approvals",
            "memory",
            "media",
            "nodeHost",
            "broadcast",
            "channels",
            "channels.defaults",
            "channels.twitch",
        ] {
            rows.push((path, Class::Restart));
        }
        for (path, class) in rows {
            assert_eq!(Class::of(path), class, "{path}");
            let below = Class::of(&format!("{path}.x"));
            let own = path == "channels" || path == "gateway" || path == "agents";
            assert!(own || below == class, "{path}.x: {below:?}");
        }
        for id in CHANNELS {
            let path = format!("channels.{id}.accounts.a");
            assert_eq!(Class::of(&path), channel(id));
        }
    }

    #[test]
    fn differences_are_named_where_they_begin_and_lists_compare_by_content() {
        let old = json!({"agents": {"list": [{"id": "a"}], "defaults": {"workspace": "/w"}}, "cron": {"enabled": true}});
        let new = json!({"agents": {"list": [{"id": "a"}], "defaults": {"workspace": "/x"}}, "hooks": {"gmail": {}}});
        let found = plan(old, new);
        assert_eq!(
            found.changed,
            ["agents.defaults.workspace", "cron", "hooks"]
        );
        assert!(found.restart.is_empty());
        assert_eq!(found.hot, [Class::Hooks, Class::Gmail, Class::Cron].into());
        let found = plan(json!({}), json!({"agents": {"defaults": {}}}));
        assert_eq!(found.hot, [Class::Heartbeats].into());
        let found = plan(
            json!({"hooks": {"gmail": {"a": 1}}}),
            json!({"hooks": {"gmail": {"a": 2}}, "env": {}}),
        );
        assert_eq!(found.hot, [Class::Hooks, Class::Gmail].into());
        assert_eq!(found.restart, ["env"]);
    }
}
