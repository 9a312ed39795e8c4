//! A full disk and a state folder that cannot be written: one clear error, nothing stored is lost
//! or torn, and it goes on once there is room.
//!
//! The tests mount small file systems, so each runs again as a child of itself in a mount namespace
//! of its own.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws, proc, skip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const INSIDE: &str = "OPENCLAW_TEST_IN_NAMESPACE";

/// True in the child; the parent has seen the child succeed, or why there is none.
fn in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // A user namespace makes root of anybody, where it is allowed.
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let works = |way: &&&[&str]| {
        let unshare = Command::new("unshare")
            .args(**way)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .stderr(Stdio::null())
            .status();
        unshare.is_ok_and(|status| status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        skip(test, "no mount namespaces here");
        return false;
    };
    let output = Command::new("unshare")
        .args(*way)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("faults::disk::{test}")])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

fn mount(args: &[&str], at: &Path) {
    let status = Command::new("mount").args(args).arg(at).status().unwrap();
    assert!(status.success(), "mount {args:?}");
}

/// A state folder of one MiB, with a model whose answers are long enough to need room.
fn small() -> Setup {
    let setup = Setup::with_fake_model();
    let state = setup.dir.path().join("state");
    mount(&["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"], &state);
    let long = Reply::Text(vec!["word ".repeat(2000)], Duration::ZERO);
    setup.model.as_ref().unwrap().otherwise(long);
    setup
}

/// Ends the gateway and takes the small file system away, so that the folder can be removed.
fn unmount(mut gateway: Gateway) {
    gateway.stop();
    let state = gateway.state();
    let status = Command::new("umount").arg("-R").arg(state).status();
    assert!(status.unwrap().success());
}

fn fill(at: &Path) -> PathBuf {
    let path = at.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

/// Sends a message and waits for how it ends: the text of the answer or of the error.
fn chat(ws: &mut Ws, id: &str) -> Result<String, String> {
    let message = format!("{id}: {}", "long ".repeat(2000));
    let params = json!({"sessionKey": MAIN, "message": message, "idempotencyKey": id});
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    if let Err(error) = ws.call("chat.send", params) {
        return Err(text(&error["message"]));
    }
    let end = ws.event_where("chat", |p| p["runId"] == id && p["state"] != "delta");
    match end["payload"]["state"].as_str() {
        Some("final") => Ok(text(&end["payload"]["message"]["content"][0]["text"])),
        _ => Err(text(&end["payload"]["errorMessage"])),
    }
}

/// Every file of the sessions, and that it is whole.
fn sessions(gateway: &Gateway) -> BTreeMap<PathBuf, String> {
    let folder = gateway.state().join("agents/main/sessions");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let text = fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => {
                assert!(text.ends_with('\n'), "{}", path.display());
                for line in text.lines() {
                    serde_json::from_str::<Value>(line).expect("whole lines");
                }
            }
            Some("json") => drop(serde_json::from_str::<Value>(&text).expect("a whole store")),
            Some("tmp") => panic!("{} was left behind", path.display()),
            _ => continue,
        }
        files.insert(path, text);
    }
    files
}

fn transcript(files: &BTreeMap<PathBuf, String>) -> &str {
    let found = files
        .iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "jsonl"));
    found.expect("a transcript").1
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    if !in_namespace("a_full_disk_is_told_and_loses_nothing") {
        return;
    }
    let gateway = small().start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    chat(&mut ws, "before").unwrap();
    // The store is written a little later.
    std::thread::sleep(Duration::from_millis(300));
    let before = sessions(&gateway);
    let level = |level: &str| gateway.openclaw(&["config", "set", "logging.level", level]);
    assert!(level("warn").0.success());
    let config = fs::read(gateway.config_path()).unwrap();
    let filler = fill(&gateway.state());

    for id in ["full-1", "full-2"] {
        let why = chat(&mut ws, id).unwrap_err();
        assert!(why.contains("No space left on device"), "{why}");
        assert!(
            why.contains(gateway.state().to_str().unwrap()),
            "which file? {why}"
        );
    }
    let full = sessions(&gateway);
    assert!(transcript(&full).starts_with(transcript(&before)));

    let (status, _, err) = level("info");
    assert!(!status.success());
    assert!(err.contains("No space left on device"), "{err}");
    assert!(err.contains("openclaw.json"), "which file? {err}");
    assert!(err.contains("fix: free space"), "{err}");
    assert_eq!(fs::read(gateway.config_path()).unwrap(), config);

    // What needs no room goes on.
    ws.call("health", json!({})).unwrap();
    let history = json!({"sessionKey": MAIN});
    ws.call("chat.history", history.clone()).unwrap();
    let mut other = gateway.connect();
    other.call("sessions.list", json!({})).unwrap();
    assert_eq!(gateway.core_pid(), core, "it does not die of it");
    assert!(proc::is_alive(core));

    fs::remove_file(filler).unwrap();
    chat(&mut ws, "after").unwrap();
    let after = sessions(&gateway);
    assert!(transcript(&after).starts_with(transcript(&before)));
    let told = ws.call("chat.history", history).unwrap().to_string();
    assert!(told.contains("before:") && told.contains("after:"));
    assert!(level("info").0.success());
    drop((ws, other));
    unmount(gateway);
}

#[test]
fn an_answer_that_finds_the_disk_full_leaves_the_transcript_whole() {
    if !in_namespace("an_answer_that_finds_the_disk_full_leaves_the_transcript_whole") {
        return;
    }
    let gateway = small().start();
    let mut ws = gateway.connect();
    chat(&mut ws, "before").unwrap();
    let stall = Reply::Text(vec!["word ".repeat(5000); 3], Duration::from_millis(300));
    gateway.model().reply(stall);
    let params = json!({"sessionKey": MAIN, "message": "short", "idempotencyKey": "during"});
    ws.call("chat.send", params).unwrap();
    let filler = fill(&gateway.state());
    let end = ws.event_where("chat", |p| p["runId"] == "during" && p["state"] != "delta");
    assert_eq!(end["payload"]["state"], "error", "{end}");
    let why = end["payload"]["errorMessage"].as_str().unwrap();
    assert!(why.contains("No space left on device"), "{why}");
    let stored = sessions(&gateway);
    // It was acknowledged.
    assert!(transcript(&stored).contains("[message_id: during]"));
    fs::remove_file(filler).unwrap();
    chat(&mut ws, "after").unwrap();
    drop(ws);
    unmount(gateway);
}

#[test]
fn a_gateway_whose_disk_is_full_from_the_start_says_so_or_serves() {
    if !in_namespace("a_gateway_whose_disk_is_full_from_the_start_says_so_or_serves") {
        return;
    }
    let mut gateway = small().start();
    let mut ws = gateway.connect();
    chat(&mut ws, "before").unwrap();
    drop(ws);
    assert!(gateway.stop().success());
    let before = sessions(&gateway);
    let filler = fill(&gateway.state());
    gateway.start_again();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    let why = chat(&mut ws, "full").unwrap_err();
    assert!(why.contains("No space left on device"), "{why}");
    assert_eq!(gateway.core_pid(), core);
    assert!(transcript(&sessions(&gateway)).starts_with(transcript(&before)));
    fs::remove_file(filler).unwrap();
    chat(&mut ws, "after").unwrap();
    drop(ws);
    unmount(gateway);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named_with_what_to_do() {
    if !in_namespace("a_state_folder_that_cannot_be_written_is_named_with_what_to_do") {
        return;
    }
    let mut gateway = small().start();
    let state = gateway.state();
    assert!(gateway.stop().success());
    mount(&["-o", "remount,ro"], &state);
    let program = crate::harness::gateway::BINARY;
    let mut command = gateway.command(program);
    let output = command.stdout(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains(state.to_str().unwrap()), "{err}");
    assert!(err.contains("Read-only file system"), "{err}");
    assert!(err.contains("  fix: "), "{err}");
    assert!(err.lines().count() <= 3, "one clear error: {err}");

    let (status, _, err) = gateway.openclaw(&["config", "set", "logging.level", "info"]);
    assert!(!status.success());
    assert!(err.contains("Read-only file system"), "{err}");
    mount(&["-o", "remount,rw"], &state);
    gateway.start_again();
    gateway.connect();
    unmount(gateway);
}

#[test]
fn sessions_that_become_read_only_fail_the_turn_and_stay_readable() {
    if !in_namespace("sessions_that_become_read_only_fail_the_turn_and_stay_readable") {
        return;
    }
    let gateway = small().start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    chat(&mut ws, "before").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let before = sessions(&gateway);
    let folder = gateway.state().join("agents/main/sessions");
    let text = folder.to_str().unwrap();
    mount(&["--bind", text], &folder);
    mount(&["-o", "remount,bind,ro"], &folder);
    let why = chat(&mut ws, "read-only").unwrap_err();
    assert!(why.contains("Read-only file system"), "{why}");
    assert!(why.contains(text), "{why}");
    let history = json!({"sessionKey": MAIN});
    ws.call("chat.history", history).unwrap();
    mount(&["-o", "remount,bind,rw"], &folder);
    assert_eq!(transcript(&sessions(&gateway)), transcript(&before));
    chat(&mut ws, "after").unwrap();
    assert_eq!(gateway.core_pid(), core);
    drop(ws);
    unmount(gateway);
}
