//! Moves the settings of earlier versions to where they live now. What is set at the new place
//! wins; what is left empty is removed.
//!
//! The rules of the original, in its order. It runs them once; here they run until nothing moves
//! any more, as some of them fill what others look at.

use serde_json::{Map, Value, json};

/// More rounds than rules that could wake one another.
const MAX_ROUNDS: usize = 4;

/// Changes `tree` in place and says in words what was moved.
pub fn run(tree: &mut Value) -> Vec<String> {
    let mut moved = Vec::new();
    if !tree.is_object() {
        return moved;
    }
    for _ in 0..MAX_ROUNDS {
        let before = tree.clone();
        round(tree, &mut moved);
        if *tree == before {
            break;
        }
    }
    moved
}

fn round(tree: &mut Value, moved: &mut Vec<String>) {
    // Emptied below, and asked for at the end.
    let routed = tree["routing"].as_object().is_some_and(|r| !r.is_empty());
    for list in ["bindings", "session.sendPolicy.rules"] {
        let items = at_mut(tree, list).and_then(Value::as_array_mut);
        for matched in items
            .into_iter()
            .flatten()
            .filter_map(|item| item.get_mut("match"))
        {
            for (old, new) in [("provider", "channel"), ("accountID", "accountId")] {
                if let Some(value) = take(matched, old) {
                    absent(matched, new, value);
                    moved.push(format!("{list}[].match.{old} → {list}[].match.{new}"));
                }
            }
        }
    }
    shift(
        tree,
        "messages.queue.byProvider",
        "messages.queue.byChannel",
        moved,
    );
    for id in [
        "whatsapp", "telegram", "discord", "slack", "signal", "imessage", "msteams",
    ] {
        // Anything but a block is no channel: it stays and is told as a fault.
        if tree[id].is_object() {
            fold(tree, id, &format!("channels.{id}"), moved);
        }
    }
    allow_from(tree, moved);
    mentions(tree, moved);
    if let Some(token) = taken(tree, "gateway.token", "gateway.auth.token", moved) {
        // Beside another token it says nothing, neither of the mode.
        if at_mut(tree, "gateway.auth.token").is_none() {
            absent(tree, "gateway.auth.token", token);
            absent(tree, "gateway.auth.mode", json!("token"));
        }
    }
    shift(
        tree,
        "channels.telegram.requireMention",
        "channels.telegram.groups.*.requireMention",
        moved,
    );
    for base in ["agent", "agents.defaults"] {
        models(tree, base, moved);
    }
    agents(tree, moved);
    for (old, new) in [
        ("routing.bindings", "bindings"),
        ("routing.agentToAgent", "tools.agentToAgent"),
        ("routing.queue", "messages.queue"),
        (
            "routing.groupChat.historyLimit",
            "messages.groupChat.historyLimit",
        ),
        (
            "routing.groupChat.mentionPatterns",
            "messages.groupChat.mentionPatterns",
        ),
    ] {
        shift(tree, old, new, moved);
    }
    transcription(tree, routed, moved);
    let claude = at_mut(tree, "auth.profiles").and_then(|all| all.get_mut("anthropic:claude-cli"));
    if let Some(mode) = claude.and_then(|profile| profile.get_mut("mode")) {
        if mode == "token" {
            *mode = json!("oauth");
            moved.push("auth.profiles[anthropic:claude-cli].mode: token → oauth".into());
        }
    }
    shift(tree, "tools.bash", "tools.exec", moved);
    if let Some(on) = taken(tree, "messages.tts.enabled", "messages.tts.auto", moved) {
        let auto = if on == true { "always" } else { "off" };
        absent(tree, "messages.tts.auto", json!(auto));
    }
    for (old, new) in [
        ("agent.tools.allow", "tools.allow"),
        ("agent.tools.deny", "tools.deny"),
        ("agent.elevated", "tools.elevated"),
        ("agent.bash", "tools.exec"),
        ("agent.sandbox.tools", "tools.sandbox.tools"),
        ("agent.subagents.tools", "tools.subagents.tools"),
    ] {
        shift(tree, old, new, moved);
    }
    fold(tree, "agent", "agents.defaults", moved);
    if let Some(identity) = taken(tree, "identity", "agents.list[].identity", moved) {
        let id = default_agent(tree);
        absent(agent(tree, &id), "identity", identity);
    }
    ours(tree, moved);
}

/// Spellings of the program's description that the original never took.
fn ours(tree: &mut Value, moved: &mut Vec<String>) {
    shift(tree, "gateway.customBind", "gateway.customBindHost", moved);
    for mode in ["funnel", "serve"] {
        let old = format!("gateway.tailscale.{mode}");
        if let Some(on) = taken(tree, &old, "gateway.tailscale.mode", moved) {
            if on == true {
                absent(tree, "gateway.tailscale.mode", json!(mode));
            }
        }
    }
}

fn allow_from(tree: &mut Value, moved: &mut Vec<String>) {
    let new = "channels.whatsapp.allowFrom";
    if at_mut(tree, "channels.whatsapp").is_some() {
        shift(tree, "routing.allowFrom", new, moved);
    } else if take(tree, "routing.allowFrom").is_some() {
        moved.push("routing.allowFrom: removed (channels.whatsapp is not configured)".into());
    }
}

fn mentions(tree: &mut Value, moved: &mut Vec<String>) {
    let new = "channels.*.groups.*.requireMention";
    let Some(value) = taken(tree, "routing.groupChat.requireMention", new, moved) else {
        return;
    };
    for id in ["whatsapp", "telegram", "imessage"] {
        if id != "whatsapp" || at_mut(tree, "channels.whatsapp").is_some() {
            let path = format!("channels.{id}.groups.*.requireMention");
            absent(tree, &path, value.clone());
        }
    }
}

/// `model` as a name, fallbacks, allowlist and aliases beside it: into `model`, `imageModel` and
/// `models`.
fn models(tree: &mut Value, base: &str, moved: &mut Vec<String>) {
    let Some(block) = at_mut(tree, base).filter(|block| block.is_object()) else {
        return;
    };
    let mut named: Vec<String> = Vec::new();
    let mut told = |key: &str| moved.push(format!("{base}.{key} → agents.defaults"));
    for (key, listed) in [
        ("model", "modelFallbacks"),
        ("imageModel", "imageModelFallbacks"),
    ] {
        let bare = block[key].is_string();
        let fallbacks = take(block, listed);
        if !bare && fallbacks.is_none() {
            continue;
        }
        told(if bare { key } else { listed });
        let mut choice = match take(block, key) {
            Some(Value::String(name)) => json!({"primary": name}),
            Some(Value::Object(map)) => Value::Object(map),
            _ => json!({}),
        };
        absent(&mut choice, "fallbacks", fallbacks.unwrap_or(json!([])));
        let list = choice["fallbacks"].as_array().into_iter().flatten();
        // An object that was there says itself what it is beside.
        named.extend(
            Some(&choice["primary"])
                .filter(|_| bare)
                .into_iter()
                .chain(list)
                .filter_map(|name| Some(name.as_str()?.to_string())),
        );
        block[key] = choice;
    }
    if let Some(Value::Array(allowed)) = take(block, "allowedModels") {
        told("allowedModels");
        named.extend(
            allowed
                .iter()
                .filter_map(|name| Some(name.as_str()?.to_string())),
        );
    }
    let mut aliases = Vec::new();
    if let Some(Value::Object(map)) = take(block, "modelAliases") {
        told("modelAliases");
        for (alias, model) in map {
            if let Some(model) = model.as_str() {
                named.push(model.to_string());
                aliases.push((model.to_string(), alias));
            }
        }
    }
    if named.is_empty() {
        return;
    }
    let all = object(object_at(block), "models");
    for name in named {
        all.entry(name).or_insert_with(|| json!({}));
    }
    for (model, alias) in aliases {
        if let Some(entry) = all.get_mut(&model).filter(|entry| entry.is_object()) {
            absent(entry, "alias", json!(alias));
        }
    }
}

fn agents(tree: &mut Value, moved: &mut Vec<String>) {
    if let Some(Value::Object(all)) = taken(tree, "routing.agents", "agents.list", moved) {
        for (id, mut entry) in all {
            if let Some(patterns) = take(&mut entry, "mentionPatterns") {
                absent(&mut entry, "groupChat.mentionPatterns", patterns);
            }
            if let Some(tools) = take(&mut entry, "sandbox.tools") {
                absent(&mut entry, "tools.sandbox.tools", tools);
            }
            fill(agent(tree, &id), entry);
        }
    }
    let id = taken(
        tree,
        "routing.defaultAgentId",
        "agents.list[].default",
        moved,
    );
    if let Some(Value::String(id)) = id {
        let list = tree["agents"]["list"].as_array();
        let marked = |agent: &Value| agent["default"] == true;
        if !list.is_some_and(|list| list.iter().any(marked)) {
            agent(tree, &id)["default"] = json!(true);
        }
    }
}

/// Only whisper is known to speak the new form.
fn transcription(tree: &mut Value, routed: bool, moved: &mut Vec<String>) {
    let mut olds = vec!["routing.transcribeAudio"];
    if routed {
        olds.push("audio.transcription");
    }
    for old in olds {
        let Some(found) = taken(tree, old, "tools.media.audio.models", moved) else {
            continue;
        };
        let command: Vec<&str> = found["command"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let program = command
            .first()
            .and_then(|program| program.rsplit('/').next());
        let audio = at_mut(tree, "tools.media.audio.models");
        if program != Some("whisper") || audio.is_some() {
            continue;
        }
        let mut model = json!({"command": command[0], "type": "cli"});
        if command.len() > 1 {
            model["args"] = json!(command[1..]);
        }
        if let Some(seconds) = found.get("timeoutSeconds") {
            model["timeoutSeconds"] = seconds.clone();
        }
        absent(tree, "tools.media.audio.enabled", json!(true));
        absent(tree, "tools.media.audio.models", json!([model]));
    }
}

fn default_agent(tree: &Value) -> String {
    let list = tree["agents"]["list"].as_array();
    let marked = list.and_then(|list| list.iter().find(|agent| agent["default"] == true));
    let first = list.and_then(|list| list.first());
    let id = marked.or(first).and_then(|agent| agent["id"].as_str());
    id.unwrap_or("main").to_string()
}

/// The entry of that id in `agents.list`, made when there is none.
fn agent<'t>(tree: &'t mut Value, id: &str) -> &'t mut Value {
    let list = object(object_at(tree), "agents")
        .entry("list")
        .or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let list = list.as_array_mut().expect("made a list just above");
    let at = list.iter().position(|agent| agent["id"] == id);
    let at = at.unwrap_or_else(|| {
        list.push(json!({"id": id}));
        list.len() - 1
    });
    &mut list[at]
}

/// Moves one setting.
fn shift(tree: &mut Value, old: &str, new: &str, moved: &mut Vec<String>) {
    if let Some(value) = taken(tree, old, new, moved) {
        absent(tree, new, value);
    }
}

/// Moves a block, key by key.
fn fold(tree: &mut Value, old: &str, new: &str, moved: &mut Vec<String>) {
    if let Some(value) = taken(tree, old, new, moved) {
        match at_mut(tree, new) {
            Some(there) => fill(there, value),
            None => absent(tree, new, value),
        }
    }
}

fn taken(tree: &mut Value, old: &str, new: &str, moved: &mut Vec<String>) -> Option<Value> {
    let value = take(tree, old)?;
    moved.push(format!("{old} → {new}"));
    Some(value)
}

/// Takes a value out, and every container that this leaves empty.
fn take(tree: &mut Value, path: &str) -> Option<Value> {
    let map = tree.as_object_mut()?;
    match path.split_once('.') {
        None => map.shift_remove(path),
        Some((first, rest)) => {
            let below = map.get_mut(first)?;
            let value = take(below, rest)?;
            if below.as_object().is_some_and(Map::is_empty) {
                map.shift_remove(first);
            }
            Some(value)
        }
    }
}

fn at_mut<'t>(tree: &'t mut Value, path: &str) -> Option<&'t mut Value> {
    path.split('.')
        .try_fold(tree, |tree, key| tree.get_mut(key))
}

/// Puts a value where there is none.
fn absent(tree: &mut Value, path: &str, value: Value) {
    let map = object_at(tree);
    match path.split_once('.') {
        None => drop(map.entry(path).or_insert(value)),
        Some((first, rest)) => {
            absent(map.entry(first).or_insert_with(|| json!({})), rest, value);
        }
    }
}

/// Puts in what is missing.
fn fill(tree: &mut Value, from: Value) {
    let (Some(map), Value::Object(from)) = (tree.as_object_mut(), from) else {
        return;
    };
    for (key, value) in from {
        match map.get_mut(&key) {
            Some(there) => fill(there, value),
            None => drop(map.insert(key, value)),
        }
    }
}

fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    object_at(map.entry(key).or_insert_with(|| json!({})))
}

/// The value as an object; what else stands in the way gives way.
fn object_at(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made an object just above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(mut tree: Value) -> Value {
        run(&mut tree);
        tree
    }

    #[test]
    fn settings_move_to_where_they_live_now() {
        let old = json!({
            "whatsapp": {"allowFrom": ["+1"], "groups": {"*": {"requireMention": true}}},
            "routing": {
                "allowFrom": ["+2"],
                "groupChat": {"requireMention": false, "historyLimit": 7, "mentionPatterns": ["@me"]},
                "agents": {"work": {"name": "W", "mentionPatterns": ["@w"], "sandbox": {"tools": {"allow": ["read"]}, "mode": "all"}}},
                "defaultAgentId": "work",
                "bindings": [{"agentId": "work", "match": {"provider": "slack", "accountID": "a"}}],
                "agentToAgent": {"enabled": true},
                "queue": {"byProvider": {"slack": "collect"}},
                "transcribeAudio": {"command": ["/usr/bin/whisper", "--x"], "timeoutSeconds": 9},
            },
            "gateway": {"token": "t", "customBind": "10.0.0.1", "tailscale": {"serve": true}},
            "identity": {"name": "Ada"},
            "messages": {"tts": {"enabled": true}},
            "auth": {"profiles": {"anthropic:claude-cli": {"provider": "anthropic", "mode": "token"}}},
        });
        assert_eq!(
            migrated(old),
            json!({
                "gateway": {"auth": {"token": "t", "mode": "token"}, "customBindHost": "10.0.0.1", "tailscale": {"mode": "serve"}},
                "messages": {"tts": {"auto": "always"}, "queue": {"byChannel": {"slack": "collect"}},
                    "groupChat": {"historyLimit": 7, "mentionPatterns": ["@me"]}},
                "auth": {"profiles": {"anthropic:claude-cli": {"provider": "anthropic", "mode": "oauth"}}},
                "channels": {
                    "whatsapp": {"allowFrom": ["+1"], "groups": {"*": {"requireMention": true}}},
                    "telegram": {"groups": {"*": {"requireMention": false}}},
                    "imessage": {"groups": {"*": {"requireMention": false}}},
                },
                "agents": {"list": [{"id": "work", "name": "W", "sandbox": {"mode": "all"},
                    "groupChat": {"mentionPatterns": ["@w"]}, "tools": {"sandbox": {"tools": {"allow": ["read"]}}},
                    "default": true, "identity": {"name": "Ada"}}]},
                "bindings": [{"agentId": "work", "match": {"channel": "slack", "accountId": "a"}}],
                "tools": {"agentToAgent": {"enabled": true}, "media": {"audio": {"enabled": true,
                    "models": [{"command": "/usr/bin/whisper", "type": "cli", "args": ["--x"], "timeoutSeconds": 9}]}}},
            })
        );
    }

    #[test]
    fn models_of_the_old_form_become_choices_with_entries() {
        let old = json!({"agent": {
            "model": "anthropic/opus", "modelFallbacks": ["openai/gpt"], "imageModel": "openai/vision",
            "allowedModels": ["x/y"], "modelAliases": {"fast": "x/z"}, "workspace": "/w",
            "tools": {"allow": ["read"]}, "bash": {"timeoutSec": 5}, "elevated": {"enabled": false},
        }, "agents": {"defaults": {"workspace": "/mine"}}, "tools": {"allow": ["write"]}});
        assert_eq!(
            migrated(old),
            json!({
                "agents": {"defaults": {"workspace": "/mine",
                    "model": {"primary": "anthropic/opus", "fallbacks": ["openai/gpt"]},
                    "imageModel": {"primary": "openai/vision", "fallbacks": []},
                    "models": {"anthropic/opus": {}, "openai/gpt": {}, "openai/vision": {}, "x/y": {}, "x/z": {"alias": "fast"}}}},
                "tools": {"allow": ["write"], "exec": {"timeoutSec": 5}, "elevated": {"enabled": false}},
            })
        );
    }

    #[test]
    fn a_present_day_file_is_left_alone_and_what_is_no_block_stays_a_fault() {
        let tree = json!({"gateway": {"auth": {"token": "t"}}, "agents": {"defaults": {"model": {"primary": "a/b"}, "models": {"a/b": {}}}},
            "slack": "no", "audio": {"transcription": {"command": ["whisper"]}}});
        let mut same = tree.clone();
        assert!(run(&mut same).is_empty());
        assert_eq!(same, tree);
        assert!(run(&mut json!([])).is_empty());
    }
}
