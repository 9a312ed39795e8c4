//! What the program adds to a valid file before it is shown or used: part of the answer of
//! `config.get`, so the order and the conditions are the original's. Defaults that apply where a
//! setting is used stand in the tables only.

use super::Env;
use super::text::number;
use serde_json::{Map, Value, json};
use std::path::Path;

const MAX_CONCURRENT: u64 = 4;
const MAX_SUBAGENTS: u64 = 8;
const CONTEXT_WINDOW: u64 = 200_000;
const MAX_TOKENS: u64 = 8192;

const ALIASES: [(&str, &str); 6] = [
    ("anthropic/claude-opus-4-5", "opus"),
    ("anthropic/claude-sonnet-4-5", "sonnet"),
    ("openai/gpt-5.2", "gpt"),
    ("openai/gpt-5-mini", "gpt-mini"),
    ("google/gemini-3-pro-preview", "gemini"),
    ("google/gemini-3-flash-preview", "gemini-flash"),
];

/// What the schema itself fills in: present before anything else looks at the values.
pub fn by_schema(value: &mut Value) {
    let Some(root) = value.as_object_mut() else {
        return;
    };
    let commands = object(root, "commands");
    absent(commands, "native", "auto");
    absent(commands, "nativeSkills", "auto");
    if let Some(Value::Object(channels)) = root.get_mut("channels") {
        for (id, block) in channels {
            channel(id, block);
        }
    }
}

/// `exists` is whether there is a file: a missing one gets a little more.
pub fn apply(value: &mut Value, exists: bool, env: &Env, warnings: &mut Vec<super::Issue>) {
    let Some(root) = value.as_object_mut() else {
        return;
    };
    absent(
        object(root, "messages"),
        "ackReactionScope",
        "group-mentions",
    );
    if let Some(Value::Object(logging)) = root.get_mut("logging") {
        absent(logging, "redactSensitive", "tools");
    }
    session(root, warnings);
    let defaults = object(object(root, "agents"), "defaults");
    absent(defaults, "maxConcurrent", number(MAX_CONCURRENT));
    let subagents = object(defaults, "subagents");
    absent(subagents, "maxConcurrent", number(MAX_SUBAGENTS));
    if !exists {
        absent(object(defaults, "compaction"), "mode", "safeguard");
    }
    aliases(defaults);
    models(root);
    talk(root, env);
}

/// What the original adds for itself when it runs, and never shows or writes: only the typed
/// configuration is made from it. (How long Anthropic keeps a prompt is `short` without it.)
pub fn at_run(value: &mut Value, env: &Env) {
    let auth = anthropic(value, env);
    let Some(root) = value.as_object_mut() else {
        return;
    };
    let defaults = object(object(root, "agents"), "defaults");
    absent(object(defaults, "compaction"), "mode", "safeguard");
    let Some(auth) = auth else { return };
    let pruning = object(defaults, "contextPruning");
    if !pruning.contains_key("mode") {
        absent(pruning, "mode", "cache-ttl");
        absent(pruning, "ttl", "1h");
    }
    // A subscription is not to be kept busy, a key is to keep its cache warm.
    let every = match auth {
        Anthropic::Subscription => "1h",
        Anthropic::Key => "30m",
    };
    absent(object(defaults, "heartbeat"), "every", every);
}

enum Anthropic {
    Subscription,
    Key,
}

/// How Anthropic is paid, as far as the configuration and the environment tell without doubt.
fn anthropic(value: &Value, env: &Env) -> Option<Anthropic> {
    let profiles = value["auth"]["profiles"].as_object();
    let mode = |profile: &Value| match profile["mode"].as_str() {
        _ if profile["provider"] != "anthropic" => None,
        Some("api_key") => Some(Anthropic::Key),
        Some("oauth" | "token") => Some(Anthropic::Subscription),
        _ => None,
    };
    let order = value["auth"]["order"]["anthropic"].as_array();
    let named = order.into_iter().flatten().filter_map(Value::as_str);
    if let Some(first) = named.filter_map(|id| mode(profiles?.get(id)?)).next() {
        return Some(first);
    }
    let all = || profiles.into_iter().flatten().filter_map(|(_, p)| mode(p));
    let keys = all().any(|mode| matches!(mode, Anthropic::Key));
    let subscriptions = all().any(|mode| matches!(mode, Anthropic::Subscription));
    match (keys, subscriptions) {
        (true, false) => Some(Anthropic::Key),
        (false, true) => Some(Anthropic::Subscription),
        _ if env.get("ANTHROPIC_OAUTH_TOKEN").is_some() => Some(Anthropic::Subscription),
        _ if env.get("ANTHROPIC_API_KEY").is_some() => Some(Anthropic::Key),
        _ => None,
    }
}

fn session(root: &mut Map<String, Value>, warnings: &mut Vec<super::Issue>) {
    let Some(Value::Object(session)) = root.get_mut("session") else {
        return;
    };
    if session.get("mainKey").is_some_and(|key| key != "main") {
        session.insert("mainKey".into(), "main".into());
        warnings.push(super::Issue {
            path: "session.mainKey".into(),
            message: "session.mainKey is ignored; main session is always \"main\".".into(),
            hint: None,
        });
    }
}

fn aliases(defaults: &mut Map<String, Value>) {
    let Some(Value::Object(models)) = defaults.get_mut("models") else {
        return;
    };
    for (model, alias) in ALIASES {
        if let Some(Value::Object(entry)) = models.get_mut(model) {
            absent(entry, "alias", alias);
        }
    }
}

fn models(root: &mut Map<String, Value>) {
    let providers = root
        .get_mut("models")
        .and_then(|models| models.get_mut("providers"))
        .and_then(Value::as_object_mut);
    for provider in providers.into_iter().flat_map(Map::values_mut) {
        let list = provider.get_mut("models").and_then(Value::as_array_mut);
        for model in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            absent(model, "reasoning", false);
            absent(model, "input", json!(["text"]));
            let cost = object(model, "cost");
            for key in ["input", "output", "cacheRead", "cacheWrite"] {
                absent(cost, key, 0);
            }
            let window = positive(model, "contextWindow", CONTEXT_WINDOW);
            positive(model, "maxTokens", MAX_TOKENS.min(window));
        }
    }
}

/// The number at `key`, made `default` unless it is above 0.
fn positive(map: &mut Map<String, Value>, key: &str, default: u64) -> u64 {
    let now = map.get(key).and_then(Value::as_f64).filter(|n| *n > 0.0);
    match now {
        Some(n) => n as u64,
        None => {
            map.insert(key.into(), number(default));
            default
        }
    }
}

/// A speech key found in the environment or in a shell's start file becomes part of the config.
fn talk(root: &mut Map<String, Value>, env: &Env) {
    const NAME: &str = "ELEVENLABS_API_KEY";
    let set = root.get("talk").and_then(|talk| talk.get("apiKey"));
    if set.is_some_and(|key| key.as_str().is_some_and(|key| !key.trim().is_empty())) {
        return;
    }
    let key = env
        .get(NAME)
        .map(str::to_string)
        .or_else(|| from_shell_files(&env.home(), NAME));
    if let Some(key) = key {
        object(root, "talk").insert("apiKey".into(), key.into());
    }
}

fn from_shell_files(home: &Path, name: &str) -> Option<String> {
    [".profile", ".zprofile", ".zshrc", ".bashrc"]
        .iter()
        .find_map(|file| {
            let text = super::file::read(&home.join(file)).ok()??;
            let line = text.lines().find(|line| line.contains(name))?;
            let found = super::dotenv::parse(line).remove(name)?;
            Some(found.trim().to_string()).filter(|key| !key.is_empty() && !key.starts_with('$'))
        })
}

/// The root of a channel and each of its accounts are filled by the same rules, so an account
/// without a policy of its own gets the strict one, whatever the root says.
fn channel(id: &str, block: &mut Value) {
    let Some(root) = block.as_object_mut() else {
        return;
    };
    settings(id, root, true);
    if let Some(Value::Object(accounts)) = root.get_mut("accounts") {
        for account in accounts.values_mut().filter_map(Value::as_object_mut) {
            settings(id, account, false);
        }
    }
}

fn settings(id: &str, block: &mut Map<String, Value>, root: bool) {
    let by_dm_block = ["discord", "googlechat", "slack"].contains(&id);
    let by_policy = [
        "telegram",
        "whatsapp",
        "signal",
        "imessage",
        "msteams",
        "mattermost",
        "nextcloud-talk",
        "line",
    ]
    .contains(&id);
    if id == "slack" {
        if root {
            absent(block, "mode", "socket");
            absent(block, "webhookPath", "/slack/events");
        }
        absent(block, "userTokenReadOnly", true);
    }
    if by_policy {
        absent(block, "dmPolicy", "pairing");
    }
    if by_policy || by_dm_block {
        absent(block, "groupPolicy", "allowlist");
    }
    if let Some(Value::Object(dm)) = block.get_mut("dm").filter(|_| by_dm_block) {
        absent(dm, "policy", "pairing");
    }
    if id == "telegram" {
        absent(block, "streamMode", "partial");
    }
    if id == "whatsapp" {
        if root {
            absent(block, "mediaMaxMb", 50);
        }
        absent(block, "debounceMs", 0);
        if let Some(Value::Object(ack)) = block.get_mut("ackReaction") {
            absent(ack, "direct", true);
            absent(ack, "group", "mentions");
        }
    }
}

fn absent(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if !map.contains_key(key) {
        map.insert(key.into(), value.into());
    }
}

/// The object at `key`, made when there is none. Called on validated values only, where nothing
/// else can stand there.
fn object<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let slot = map
        .entry(key.to_string())
        .or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made an object just above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_get_the_strict_policy_whatever_the_channel_says() {
        let mut value = json!({"channels": {"telegram": {"dmPolicy": "open", "accounts": {"a": {}}},
            "discord": {"dm": {}}, "matrix": {}}});
        by_schema(&mut value);
        assert_eq!(
            value["channels"],
            json!({
            "telegram": {"dmPolicy": "open", "accounts": {"a": {"dmPolicy": "pairing",
                "groupPolicy": "allowlist", "streamMode": "partial"}},
                "groupPolicy": "allowlist", "streamMode": "partial"},
            "discord": {"dm": {"policy": "pairing"}, "groupPolicy": "allowlist"}, "matrix": {}})
        );
    }

    #[test]
    fn models_and_aliases_are_completed() {
        let mut value = json!({"models": {"providers": {"x": {"models": [
                {"id": "m", "contextWindow": 4096, "maxTokens": 0}]}}},
            "agents": {"defaults": {"models": {"openai/gpt-5.2": {}, "anthropic/claude-opus-4-5": {"alias": ""}}}}});
        apply(
            &mut value,
            true,
            &Env::from_pairs(&[("HOME", "/none")]),
            &mut Vec::new(),
        );
        assert_eq!(
            value["models"]["providers"]["x"]["models"][0],
            json!({
            "id": "m", "contextWindow": 4096, "maxTokens": 4096, "reasoning": false,
            "input": ["text"], "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}})
        );
        let models = &value["agents"]["defaults"]["models"];
        assert_eq!(models["openai/gpt-5.2"]["alias"], "gpt");
        assert_eq!(models["anthropic/claude-opus-4-5"]["alias"], "");
        assert!(value["agents"]["defaults"].get("compaction").is_none());
    }

    #[test]
    fn a_subscription_beats_every_hour_and_a_key_twice() {
        let every = |mut value: Value, env: &[(&str, &str)]| {
            at_run(&mut value, &Env::from_pairs(env));
            let defaults = &value["agents"]["defaults"];
            let pruning = &defaults["contextPruning"];
            assert_eq!(defaults["compaction"]["mode"], "safeguard");
            assert_eq!(pruning.is_null(), defaults["heartbeat"].is_null());
            let every = defaults["heartbeat"]["every"].as_str().unwrap_or_default();
            format!("{every} {}", pruning["ttl"].as_str().unwrap_or_default())
        };
        let key = [("ANTHROPIC_API_KEY", "k")];
        let both = [("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_OAUTH_TOKEN", "t")];
        assert_eq!(every(json!({}), &[]), " ");
        assert_eq!(every(json!({}), &key), "30m 1h");
        assert_eq!(every(json!({}), &both), "1h 1h");
        let profile = |mode: &str| json!({"provider": "anthropic", "mode": mode});
        let (oauth, api) = (profile("oauth"), profile("api_key"));
        let two = json!({"a": oauth, "b": api});
        assert_eq!(
            every(json!({"auth": {"profiles": {"a": oauth}}}), &key),
            "1h 1h"
        );
        assert_eq!(every(json!({"auth": {"profiles": two}}), &[]), " ");
        let order = json!({"auth": {"profiles": two, "order": {"anthropic": ["zz", "b", "a"]}}});
        assert_eq!(every(order, &[]), "30m 1h");
        let own = json!({"agents": {"defaults": {"heartbeat": {"every": "5m"},
            "contextPruning": {"mode": "off"}}}});
        assert_eq!(every(own, &key), "5m ");
    }
}
