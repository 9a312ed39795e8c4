//! The original's plugins as the file names them. This program runs none: what was theirs is built
//! in, or comes as a worker of its own. Their names and settings are still checked as there, so
//! that a file means the same to both programs and a slip of the pen is told.

use super::{channels, issue};
use crate::config::keys::check::{check as check_keys, kind_at};
use crate::config::keys::kind::{Form, Kind};
use crate::config::keys::notation::Reader;
use crate::config::{Issue, Paths, file, paths};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Besides the channels.
const KNOWN: [&str; 12] = [
    "copilot-proxy",
    "diagnostics-otel",
    "google-antigravity-auth",
    "google-gemini-cli-auth",
    "llm-task",
    "lobster",
    "memory-core",
    "memory-lancedb",
    "minimax-portal-auth",
    "open-prose",
    "qwen-portal-auth",
    "voice-call",
];

/// Fills the memory slot when nobody names another.
const MEMORY: &str = "memory-core";

/// Folders looked at for plugins that somebody installed; more is no folder of plugins.
const MAX_INSTALLED: usize = 200;

/// The tables of those with settings of their own.
fn tables() -> &'static Kind {
    static TABLES: OnceLock<Kind> = OnceLock::new();
    TABLES.get_or_init(|| Kind::Object(Reader::blocks(include_str!("plugins.txt")).leak()))
}

fn is_bundled(id: &str) -> bool {
    KNOWN.contains(&id) || channels::KNOWN.contains(&id)
}

pub(super) fn check(
    value: &Value,
    places: &Paths,
    installed: impl Fn(&str) -> bool,
    warnings: &mut Vec<Issue>,
) -> Vec<Issue> {
    let plugins = &value["plugins"];
    let mut out = Vec::new();
    if plugins.is_null() {
        return out;
    }
    let texts = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten();
        texts
            .filter_map(|text| Some(text.as_str()?.trim().to_string()))
            .collect()
    };
    let loaded = texts(&plugins["load"]["paths"]);
    for path in &loaded {
        if !paths::expand(path, &places.home).exists() {
            let message = format!("plugin: plugin path not found: {path}");
            out.push(issue("plugins.load.paths".into(), message, ""));
        }
    }
    // Read only when a name is not known without.
    let found = OnceLock::new();
    let is_there = |id: &str| {
        let on_disk = || found.get_or_init(|| on_disk(&loaded, value, places));
        is_bundled(id) || installed(id) || on_disk().iter().any(|known| known == id)
    };
    let mut named = |path: String, id: &str| {
        if !is_there(id) {
            let hint = "neither one of the original's plugins nor installed";
            out.push(issue(path, format!("plugin not found: {id}"), hint));
        }
    };
    // In the order of their names, as the original looks at them.
    let mut entries: Vec<(&String, &Value)> = plugins["entries"]
        .as_object()
        .into_iter()
        .flatten()
        .collect();
    for (id, _) in &entries {
        named(format!("plugins.entries.{id}"), id);
    }
    for list in ["allow", "deny"] {
        for id in texts(&plugins[list]).iter().filter(|id| !id.is_empty()) {
            named(format!("plugins.{list}"), id);
        }
    }
    let slot = plugins["slots"]["memory"].as_str().map(str::trim);
    let slot = slot.filter(|id| !id.is_empty()).unwrap_or(MEMORY);
    if !slot.eq_ignore_ascii_case("none") {
        named("plugins.slots.memory".into(), slot);
    }
    entries.sort_by_key(|(id, _)| *id);
    for (id, entry) in entries {
        if let Some(settings) = entry.get("config").filter(|_| is_bundled(id)) {
            out.extend(settings_of(id, settings));
            if let Some(why) = off(plugins, slot, id, entry) {
                warnings.push(issue(
                    format!("plugins.entries.{id}"),
                    format!("plugin disabled ({why}) but config is present"),
                    "",
                ));
            }
        }
    }
    // What is chosen for the slot needs its settings, given or not.
    let chosen = &plugins["entries"][slot];
    if is_bundled(slot)
        && chosen.get("config").is_none()
        && off(plugins, slot, slot, chosen).is_none()
    {
        out.extend(settings_of(slot, &Value::Object(Default::default())));
    }
    out
}

/// Why a plugin does not run there; `None` when it does.
fn off(plugins: &Value, slot: &str, id: &str, entry: &Value) -> Option<String> {
    let lists = |key: &str| {
        let list = plugins[key].as_array().filter(|list| !list.is_empty());
        list.map(|list| list.iter().any(|known| known == id))
    };
    let why = if plugins["enabled"] == false {
        "plugins disabled"
    } else if lists("deny") == Some(true) {
        "blocked by denylist"
    } else if lists("allow") == Some(false) {
        "not in allowlist"
    } else if id == slot {
        return None;
    } else if entry["enabled"] == true {
        match id {
            "memory-core" | "memory-lancedb" => {
                return Some(format!("memory slot set to \"{slot}\""));
            }
            _ => return None,
        }
    } else if entry["enabled"] == false {
        "disabled in config"
    } else {
        "bundled (disabled by default)"
    };
    Some(why.into())
}

/// The faults of a plugin's own settings, in the words of the validator that the original uses
/// there.
fn settings_of(id: &str, settings: &Value) -> Vec<Issue> {
    let none = Kind::Object(&[]);
    let table = kind_at(tables(), &[id.to_string()]).unwrap_or(&none);
    let mut told: Vec<(String, String)> = Vec::new();
    let mut say = |at: &str, message: String| {
        // What concerns a whole object comes before its parts.
        let whole = message.ends_with("properties") || message.contains("required property");
        let inside = |(known, _): &(String, String)| whole && known.starts_with(at);
        let place = told.iter().position(inside).unwrap_or(told.len());
        told.insert(place, (at.to_string(), message));
    };
    for found in check_keys(table, settings, "") {
        let at = found.path.as_str();
        let (parent, name) = at.rsplit_once('.').unwrap_or(("", at));
        let segments: Vec<String> = at.split('.').map(str::to_string).collect();
        let kind = kind_at(table, &segments);
        let message = found.message.as_str();
        if let Some(keys) = message.strip_prefix("Unrecognized key") {
            for _ in 0..keys.matches(',').count() + 1 {
                say(at, "must NOT have additional properties".into());
            }
        } else if message.ends_with("received undefined") {
            say(parent, format!("must have required property '{name}'"));
        } else if let Some(Kind::Form(Form::E164)) = kind {
            say(at, "must match pattern \"^\\+[1-9]\\d{1,14}$\"".into());
        } else if let Some(Kind::Choice(_)) = kind {
            say(at, "must be equal to one of the allowed values".into());
        } else if let Some((_, bound)) = message.split_once("to be ") {
            let (sign, number) =
                bound.split_at(bound.find(|c: char| !"<>=".contains(c)).unwrap_or(0));
            say(at, format!("must be {sign} {number}"));
        } else {
            let expected = message.split_once("expected ").map_or("", |(_, rest)| rest);
            let expected = expected.split(',').next().unwrap_or_default();
            let expected = match (kind, expected) {
                (Some(Kind::Int(_)), _) => "integer",
                (_, expected) => expected,
            };
            say(at, format!("must be {expected}"));
        }
    }
    let line = |(at, message): (String, String)| {
        let at = if at.is_empty() { "<root>" } else { &at };
        let path = format!("plugins.entries.{id}.config");
        issue(path, format!("invalid config: {at}: {message}"), "")
    };
    told.into_iter().map(line).collect()
}

/// The ids of the plugins that lie where the original looks for them.
fn on_disk(loaded: &[String], value: &Value, places: &Paths) -> Vec<String> {
    let home = &places.home;
    let mut folders: Vec<PathBuf> = loaded.iter().map(|p| paths::expand(p, home)).collect();
    folders.push(places.state.join("extensions"));
    let workspace = value["agents"]["defaults"]["workspace"].as_str();
    let workspace = match workspace {
        Some(dir) => paths::expand(dir, home),
        None => places.default_workspace(),
    };
    folders.push(workspace.join(".openclaw").join("extensions"));
    let mut ids = Vec::new();
    for folder in folders {
        ids.extend(manifest(&folder));
        let inside = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in inside.take(MAX_INSTALLED) {
            ids.extend(manifest(&entry.path()));
        }
    }
    ids
}

/// The id that a folder's manifest gives.
fn manifest(folder: &Path) -> Option<String> {
    let text = file::read(&folder.join("openclaw.plugin.json")).ok()??;
    let manifest: Value = serde_json::from_str(&text).ok()?;
    Some(manifest["id"].as_str()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;
    use serde_json::json;

    fn told(plugins: Value) -> (Vec<String>, Vec<String>) {
        let places = Paths::resolve(&Env::from_pairs(&[("HOME", "/none")]), None);
        let (value, mut warnings) = (json!({"plugins": plugins}), Vec::new());
        let found = check(&value, &places, |id| id == "mine", &mut warnings);
        let lines = |all: Vec<Issue>| {
            let line = |i: &Issue| format!("{}: {}", i.path, i.message);
            all.iter().map(line).collect::<Vec<_>>()
        };
        (lines(found), lines(warnings))
    }

    #[test]
    fn plugins_nobody_knows_are_told() {
        let (found, _) = told(json!({
            "entries": {"zork": {}, "telegram": {}, "mine": {"config": {"x": 1}}},
            "allow": ["lobster", "y"], "deny": ["z"], "slots": {"memory": "none"},
            "load": {"paths": ["/nonexistent"]},
        }));
        assert_eq!(
            found,
            [
                "plugins.load.paths: plugin: plugin path not found: /nonexistent",
                "plugins.entries.zork: plugin not found: zork",
                "plugins.allow: plugin not found: y",
                "plugins.deny: plugin not found: z",
            ]
        );
    }

    #[test]
    fn settings_of_plugins_are_checked_and_unused_ones_pointed_out() {
        let at = "plugins.entries.voice-call.config: invalid config:";
        let (found, warnings) = told(json!({"entries": {"voice-call": {"config": {
            "fromNumber": "x", "provider": "x", "serve": {"port": 0, "a": 1, "b": 2},
            "maxDurationSeconds": 1.5, "telnyx": 1}}}}));
        assert_eq!(
            found,
            [
                format!("{at} provider: must be equal to one of the allowed values"),
                format!("{at} telnyx: must be object"),
                format!("{at} fromNumber: must match pattern \"^\\+[1-9]\\d{{1,14}}$\""),
                format!("{at} maxDurationSeconds: must be integer"),
                format!("{at} serve: must NOT have additional properties"),
                format!("{at} serve: must NOT have additional properties"),
                format!("{at} serve.port: must be >= 1"),
            ]
        );
        assert_eq!(
            warnings,
            [
                "plugins.entries.voice-call: plugin disabled (bundled (disabled by default)) but config is present"
            ]
        );
        let slot = json!({"slots": {"memory": "memory-lancedb"}});
        assert_eq!(
            told(slot).0,
            [
                "plugins.entries.memory-lancedb.config: invalid config: <root>: must have required property 'embedding'"
            ]
        );
        let fine = json!({"entries": {"memory-core": {"config": {}}}});
        assert_eq!(told(fine), (vec![], vec![]));
    }
}
