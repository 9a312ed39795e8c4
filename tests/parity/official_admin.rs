//! `openclaw skills` and `approvals` of the original and ours on the same state folder: the same JSON
//! keys, the same exit codes.

use super::{official, shape};
use crate::harness::{self, Dir};
use serde_json::Value;
use std::process::{Command, Stdio};

const COMMANDS: &[&[&str]] = &[
    &["skills", "list", "--json"],
    &["skills", "info", "needy", "--json"],
    &["skills", "info", "none", "--json"],
    &["skills", "check", "--json"],
    &["approvals", "get", "--json"],
    &["devices", "rotate", "--device", "x"],
    &["approvals", "set"],
];

/// The original shows the socket's token to whoever looks at the screen.
const SECRETS: &[&str] = &["$.file.socket.token: missing"];

#[test]
fn the_skills_and_approvals_commands_show_the_same_of_the_same_state() {
    let test = "the_skills_and_approvals_commands_show_the_same_of_the_same_state";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let dir = Dir::new("official-admin");
    let folder = dir.path().join(".openclaw/workspace/skills/needy");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = "---\nname: needy\ndescription: D.\nhomepage: https://x.example\nmetadata: \
        {\"openclaw\":{\"emoji\":\"🧀\",\"primaryEnv\":\"K\",\"requires\":{\"bins\":[\"none\"],\"config\":[\"a.b\"]},\
        \"install\":[{\"id\":\"b\",\"kind\":\"brew\",\"formula\":\"x\",\"bins\":[\"none\"],\"label\":\"L\"}]}}\n---\nB\n";
    std::fs::write(folder.join("SKILL.md"), text).expect("written");
    let rules = r#"{"version":1,"socket":{"path":"/s","token":"t"},"defaults":{"ask":"always"},
        "agents":{"main":{"allowlist":[{"id":"i","pattern":"/bin/x","lastUsedAt":1}]}}}"#;
    std::fs::write(dir.path().join(".openclaw/exec-approvals.json"), rules).expect("written");
    let home = [("HOME", dir.path())];
    let mut found = Vec::new();
    for args in COMMANDS {
        let ours = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(*args)
            .env_clear()
            .envs(home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts");
        let theirs = official::run(args, &home);
        assert_eq!(ours.status.code(), theirs.status.code(), "{args:?}");
        if theirs.stdout.is_empty() {
            continue;
        }
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
        let mut differences = shape::differences(&value(&theirs.stdout), &value(&ours.stdout));
        differences.retain(|difference| !SECRETS.contains(&difference.as_str()));
        found.extend(differences.iter().map(|d| format!("{args:?}: {d}")));
    }
    assert!(
        found.is_empty(),
        "not as the original:\n  {}",
        found.join("\n  ")
    );
}
