//! `openclaw models` of the original and ours on the same state folder: the same JSON keys, the
//! same exit codes.

use super::{official, shape};
use crate::harness::{self, Dir};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const COMMANDS: [&[&str]; 4] = [
    &["models", "status", "--json", "--check"],
    &["models", "list", "--json"],
    &[
        "models",
        "auth",
        "order",
        "get",
        "--provider",
        "anthropic",
        "--json",
    ],
    &["models", "aliases", "list", "--json"],
];

/// Where the original shows what it made itself: the path of a file it wrote.
const OWN_FACTS: &[&str] = &["source"];

fn state(dir: &Dir) {
    let config = json!({
        "agents": {"defaults": {
            "model": {"primary": "fast", "fallbacks": ["anthropic/claude-sonnet-4-5", "fake/m1"]},
            "imageModel": {"primary": "openai/gpt-5-mini", "fallbacks": ["google/gemini-3-flash-preview"]},
            "models": {"openai/gpt-5.2": {"alias": "fast"}, "fake/m1": {"alias": "f"}, "nope/x": {}}}},
        "models": {"providers": {"fake": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "sk-fake-key-0123456789",
            "api": "openai-completions", "models": [{"id": "m1", "name": "M1"}]}}},
    });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let now = u64::try_from(now.as_millis()).expect("fits");
    let token = "sk-ant-oat01-abcdefghijklmnop";
    let profiles = json!({"version": 1, "profiles": {
        "openai:default": {"type": "api_key", "provider": "openai", "key": "sk-openai-abcdefghijklmnop"},
        "anthropic:manual": {"type": "token", "provider": "anthropic", "token": token, "expires": now + 3_600_000},
        "anthropic:other": {"type": "token", "provider": "anthropic", "token": token}},
        "order": {"anthropic": ["anthropic:manual", "anthropic:other"]},
        "usageStats": {
            "anthropic:other": {"errorCount": 2, "cooldownUntil": now + 1_500_000},
            "openai:default": {"disabledUntil": now + 15_000_000, "disabledReason": "billing"}}});
    let agent = dir.path().join(".openclaw/agents/main/agent");
    std::fs::create_dir_all(&agent).expect("a folder");
    std::fs::write(agent.join("auth-profiles.json"), profiles.to_string()).expect("written");
    std::fs::write(
        dir.path().join(".openclaw/openclaw.json"),
        config.to_string(),
    )
    .expect("written");
}

#[test]
fn the_models_commands_show_the_same_of_the_same_state() {
    let test = "the_models_commands_show_the_same_of_the_same_state";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let dir = Dir::new("official-models");
    state(&dir);
    let home = [("HOME", dir.path())];
    let mut found = Vec::new();
    for args in COMMANDS {
        let ours = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(args)
            .env_clear()
            .envs(home)
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts");
        let theirs = official::run(args, &home);
        assert_eq!(ours.status.code(), theirs.status.code(), "{args:?}");
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
        let mut differences = shape::differences(&value(&theirs.stdout), &value(&ours.stdout));
        differences.retain(|line| {
            !OWN_FACTS
                .iter()
                .any(|key| line.contains(&format!(".{key}:")))
        });
        found.extend(differences.iter().map(|d| format!("{args:?}: {d}")));
    }
    assert!(
        found.is_empty(),
        "not as the original:\n  {}",
        found.join("\n  ")
    );
}
