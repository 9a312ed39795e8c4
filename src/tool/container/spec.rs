//! How a container is made from the settings: its name, the words of `docker create`, and the hash
//! by which a change of the settings is seen. All three are the original's, byte for byte.

use super::Wanted;
use crate::base::hex;
use crate::config::sandbox::{Access, Scope, Settings, slug};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

pub const IMAGE: &str = "openclaw-sandbox:bookworm-slim";
pub const WORKDIR: &str = "/workspace";
/// Where the agent's workspace is seen beside the session's own folder.
pub const AGENT_MOUNT: &str = "/agent";
const PREFIX: &str = "openclaw-sbx-";
const TMPFS: [&str; 3] = ["/tmp", "/var/tmp", "/run"];
/// Longest name Docker takes.
const NAME: usize = 63;

/// A text setting, or its default.
pub fn text(settings: &Settings, key: &str, default: &str) -> String {
    let set = settings.docker.get(key).and_then(Value::as_str);
    set.unwrap_or(default).to_string()
}

pub fn name(wanted: &Wanted) -> String {
    let slug = match wanted.settings.scope {
        Scope::Shared => "shared".to_string(),
        _ => slug(&wanted.scope),
    };
    let name = text(wanted.settings, "containerPrefix", PREFIX) + &slug;
    name.chars().take(NAME).collect()
}

/// The settings with their defaults, in the order the original has them.
fn resolved(settings: &Settings) -> Map<String, Value> {
    let set = |key: &str| settings.docker.get(key).filter(|value| !value.is_null());
    let or = |key: &str, default: Value| set(key).cloned().unwrap_or(default);
    let mut all = Map::new();
    all.insert("image".into(), or("image", json!(IMAGE)));
    all.insert(
        "containerPrefix".into(),
        or("containerPrefix", json!(PREFIX)),
    );
    all.insert("workdir".into(), or("workdir", json!(WORKDIR)));
    all.insert("readOnlyRoot".into(), or("readOnlyRoot", json!(true)));
    all.insert("tmpfs".into(), or("tmpfs", json!(TMPFS)));
    all.insert("network".into(), or("network", json!("none")));
    all.insert("capDrop".into(), or("capDrop", json!(["ALL"])));
    all.insert("env".into(), or("env", json!({"LANG": "C.UTF-8"})));
    for key in [
        "user",
        "setupCommand",
        "pidsLimit",
        "memory",
        "memorySwap",
        "cpus",
        "ulimits",
        "seccompProfile",
        "apparmorProfile",
        "dns",
        "extraHosts",
        "binds",
    ] {
        let value = set(key).filter(|value| value.as_array().is_none_or(|l| !l.is_empty()));
        if let Some(value) = value {
            all.insert(key.into(), value.clone());
        }
    }
    all
}

/// SHA-1 of the settings as JSON, keys and plain lists in order.
pub fn hash(wanted: &Wanted) -> String {
    let value = json!({
        "docker": resolved(wanted.settings),
        "workspaceAccess": wanted.settings.access.name(),
        "workspaceDir": wanted.folder.to_string_lossy(),
        "agentWorkspaceDir": wanted.workspace.to_string_lossy(),
    });
    hex::sha1(ordered(value).to_string().as_bytes())
}

fn ordered(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(ordered).collect();
            if !list.iter().any(|item| item.is_array() || item.is_object()) {
                list.sort_by(|a, b| collate(&plain(a), &plain(b)));
            }
            Value::Array(list)
        }
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> = map.into_iter().collect();
            pairs.sort_by(|a, b| collate(&a.0, &b.0));
            Value::Object(pairs.into_iter().map(|(k, v)| (k, ordered(v))).collect())
        }
        // JavaScript has one kind of number: 2.0 is written 2.
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => json!(whole as i64),
            _ => Value::Number(number),
        },
        other => other,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// As a dictionary has it, and `localeCompare`: signs, digits, letters; small letters first where
/// words differ in nothing else.
fn collate(a: &str, b: &str) -> Ordering {
    let rank = |c: char| {
        let lower = c.to_lowercase().next().unwrap_or(c);
        let kind = match c {
            '_' => 0,
            '-' => 1,
            ',' => 2,
            ';' => 3,
            ':' => 4,
            '.' => 5,
            c if c.is_ascii_punctuation() => 6,
            c if c.is_ascii_digit() => 7,
            _ => 8,
        };
        (kind, lower)
    };
    let ranks = |text: &str| text.chars().map(rank).collect::<Vec<_>>();
    // In reverse: capitals come before small letters in ASCII.
    ranks(a).cmp(&ranks(b)).then_with(|| b.cmp(a))
}

/// The words of `docker create`.
pub fn create(wanted: &Wanted, name: &str, hash: &str, now: u64) -> Vec<String> {
    let all = resolved(wanted.settings);
    let string = |key: &str| {
        let text = all.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let list = |key: &str| {
        let list = all.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_string)
    };
    let mut words: Vec<String> = ["create", "--name", name].map(String::from).to_vec();
    let mut add = |flag: &str, value: String| words.extend([flag.to_string(), value]);
    add("--label", "openclaw.sandbox=1".into());
    add("--label", format!("openclaw.sessionKey={}", wanted.scope));
    add("--label", format!("openclaw.createdAtMs={now}"));
    add("--label", format!("openclaw.configHash={hash}"));
    if all["readOnlyRoot"] == true {
        words.push("--read-only".into());
    }
    let mut add = |flag: &str, value: String| words.extend([flag.to_string(), value]);
    list("tmpfs").for_each(|entry| add("--tmpfs", entry));
    if let Some(network) = string("network") {
        add("--network", network.into());
    }
    if let Some(user) = string("user") {
        add("--user", user.into());
    }
    list("capDrop").for_each(|entry| add("--cap-drop", entry));
    add("--security-opt", "no-new-privileges".into());
    for (key, option) in [
        ("seccompProfile", "seccomp"),
        ("apparmorProfile", "apparmor"),
    ] {
        if let Some(profile) = string(key) {
            add("--security-opt", format!("{option}={profile}"));
        }
    }
    let filled = |entry: &String| !entry.trim().is_empty();
    list("dns")
        .filter(filled)
        .for_each(|entry| add("--dns", entry));
    list("extraHosts")
        .filter(filled)
        .for_each(|entry| add("--add-host", entry));
    for (key, flag) in [
        ("pidsLimit", "--pids-limit"),
        ("memory", "--memory"),
        ("memorySwap", "--memory-swap"),
        ("cpus", "--cpus"),
    ] {
        if let Some(limit) = all.get(key).and_then(limit) {
            add(flag, limit);
        }
    }
    for (key, value) in all
        .get("ulimits")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(limit) = ulimit(value) {
            add("--ulimit", format!("{key}={limit}"));
        }
    }
    list("binds").for_each(|entry| add("-v", entry));
    let workdir = text(wanted.settings, "workdir", WORKDIR);
    add("--workdir", workdir.clone());
    add("-v", format!("{}:{workdir}", wanted.folder.display()));
    if wanted.settings.access == Access::Read {
        add(
            "-v",
            format!("{}:{AGENT_MOUNT}:ro", wanted.workspace.display()),
        );
    }
    words.push(text(wanted.settings, "image", IMAGE));
    words.extend(["sleep", "infinity"].map(String::from));
    words
}

fn limit(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_string()).filter(|text| !text.is_empty()),
        Value::Number(_) => Some(plain(&ordered(value.clone()))).filter(|text| text != "0"),
        _ => None,
    }
}

fn ulimit(value: &Value) -> Option<String> {
    let Value::Object(both) = value else {
        return limit(value).or_else(|| (value == 0).then(|| "0".into()));
    };
    let part = |key: &str| both.get(key).and_then(Value::as_u64);
    match (part("soft"), part("hard")) {
        (Some(soft), Some(hard)) => Some(format!("{soft}:{hard}")),
        (one, other) => one.or(other).map(|limit| limit.to_string()),
    }
}
