//! `openclaw doctor`: from an installation of an earlier version to a gateway that runs on it.

use crate::harness::{Dir, Setup};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn an_installation_of_an_earlier_version_is_brought_up_to_date_and_runs() {
    let mut setup = Setup::new();
    let auth = setup.config["gateway"].as_object_mut().unwrap();
    let token = auth.remove("auth").unwrap()["token"].clone();
    setup.config["gateway"]["token"] = token;
    setup.config["gateway"]["bogus"] = json!(1);
    let (mut gateway, _) = setup.launch();
    assert!(!gateway.wait_exit().success());
    let refusal = gateway.stderr();
    assert!(refusal.contains("openclaw doctor --fix"), "{refusal}");

    let state = gateway.state();
    fs::create_dir(state.join("sessions")).unwrap();
    let store = json!({"main": {"sessionId": "old-one", "updatedAt": 1_700_000_000_000_u64}});
    fs::write(state.join("sessions/sessions.json"), store.to_string()).unwrap();
    fs::write(state.join("sessions/old-one.jsonl"), "{\"type\":\"session\",\"version\":3,\"id\":\"old-one\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"cwd\":\"/\"}\n").unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();

    // Without a terminal and a word for it nothing is changed.
    let before = fs::read(gateway.config_path()).unwrap();
    let (status, told, _) = gateway.openclaw(&["doctor"]);
    assert!(status.success());
    for line in [
        "- gateway.token → gateway.auth.token",
        "Sessions of an earlier version are in",
        "permissions are too open. Recommend chmod 700.",
        "Run \"openclaw doctor --fix\" to apply changes.",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(fs::read(gateway.config_path()).unwrap(), before);
    assert!(state.join("sessions/old-one.jsonl").exists());

    let (status, told, _) = gateway.openclaw(&["doctor", "--fix", "--deep"]);
    assert!(status.success());
    assert!(told.contains("gateway.bogus: taken out"), "{told}");
    assert!(told.contains("Backup: "), "{told}");
    let (_, told, _) = gateway.openclaw(&["doctor", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told, json!({"findings": [], "changes": []}));

    gateway.start_again();
    let listed = gateway.connect().call("sessions.list", json!({})).unwrap();
    assert_eq!(listed["sessions"][0]["key"], "agent:main:main");
    assert_eq!(listed["sessions"][0]["sessionId"], "old-one");
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_folder_of_an_old_name_is_taken_over_before_a_command() {
    let home = Dir::new("old-name");
    let old = home.path().join(".clawdbot");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("clawdbot.json"), "{gateway:{port:19999}}").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_openclaw"))
        .args(["config", "get", "gateway.port"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .expect("openclaw starts");
    assert_eq!(output.stdout, b"19999\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("state of an earlier version"), "{told}");
    let new = home.path().join(".openclaw");
    assert!(new.join("openclaw.json").is_file());
    assert_eq!(fs::read_link(old).unwrap(), new);
}
