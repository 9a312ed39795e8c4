//! `openclawctl`: what its manual page promises.

use crate::harness::{Dir, Gateway, free_port};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

const CTL: &str = env!("CARGO_BIN_EXE_openclawctl");

fn alone(dir: &Dir, args: &[&str]) -> Output {
    Command::new(CTL)
        .args(args)
        .env_clear()
        .env("HOME", dir.path())
        .env("OPENCLAW_GATEWAY_PORT", free_port().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("openclawctl starts")
}

#[test]
fn the_exit_status_tells_the_kind_of_failure() {
    let dir = Dir::new("ctl");
    let code = |args: &[&str]| alone(&dir, args).status.code();
    assert_eq!(code(&["frob"]), Some(64));
    assert_eq!(code(&["call"]), Some(64));
    assert_eq!(code(&["call", "health", "{bad"]), Some(64));
    assert_eq!(code(&[]), Some(64));
    assert_eq!(code(&["call", "health"]), Some(69));
    assert_eq!(code(&["status"]), Some(3));
    assert_eq!(code(&["config", "get", "no.such"]), Some(1));
    assert_eq!(code(&["--version"]), Some(0));
}

#[test]
fn an_error_is_one_line_and_perhaps_a_fix() {
    let dir = Dir::new("ctl");
    let output = alone(&dir, &["call", "health"]);
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("openclawctl: gateway closed (1006"),
        "{text}"
    );
    assert!(lines[1].starts_with("  fix: "), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
}

#[test]
fn calls_take_params_from_the_line_or_from_stdin_and_print_one_line() {
    let gateway = Gateway::start();
    let (status, text, error) = gateway.openclawctl(&["call", "health", "{\"probe\":true}"]);
    assert!(status.success(), "{error}");
    assert_eq!(text.lines().count(), 1);
    let mut child = gateway
        .command(CTL)
        .args(["call", "logs.tail", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"limit\":1}\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["lines"].as_array().map(Vec::len), Some(1));
    assert_eq!(gateway.openclawctl(&["call", "no.such"]).0.code(), Some(1));
    let denied = gateway.openclawctl(&["call", "health", "--token", "wrong"]);
    assert_eq!(denied.0.code(), Some(77));
}

#[test]
fn status_says_running_and_the_fields_stay_in_their_places() {
    let gateway = Gateway::start();
    let (status, text, _) = gateway.openclawctl(&["status"]);
    assert_eq!(status.code(), Some(0));
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    assert_eq!(fields[0], "running");
    assert_eq!(fields[3], format!("ws://127.0.0.1:{}", gateway.port()));
}

#[test]
fn an_agent_is_asked_from_stdin_and_its_session_is_listed() {
    let gateway = Gateway::with_fake_model();
    let mut child = gateway
        .command(CTL)
        .arg("agent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(!output.stdout.is_empty());
    let (_, text, _) = gateway.openclawctl(&["sessions"]);
    assert!(text.starts_with("agent:main:main\tdirect\t"), "{text}");
    let (_, text, _) = gateway.openclawctl(&["sessions", "--json"]);
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(row["key"], "agent:main:main");
}

#[test]
fn a_watch_goes_on_over_a_restart_of_the_core_and_says_so() {
    let gateway = Gateway::start();
    let mut child = gateway
        .command(CTL)
        .arg("watch")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |wanted: &str| {
        let mut next = || -> Value {
            let line = lines
                .next()
                .expect("the watch goes on")
                .expect("it can be read");
            serde_json::from_str(&line).expect("every line is JSON")
        };
        loop {
            let line = next();
            if line["event"] == wanted {
                return line;
            }
        }
    };
    assert_eq!(until("connected")["again"], false);
    let core = gateway.core_pid().to_string();
    let killed = Command::new("kill").args(["-9", &core]).status().unwrap();
    assert!(killed.success());
    assert!(until("disconnected")["retryInMs"].is_u64());
    assert_eq!(until("connected")["again"], true);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn settings_go_in_and_out_of_the_file() {
    let dir = Dir::new("ctl");
    let run = |args: &[&str]| String::from_utf8(alone(&dir, args).stdout).unwrap();
    assert_eq!(run(&["config", "set", "gateway.port", "18999"]), "");
    assert_eq!(run(&["config", "get", "gateway.port"]), "18999\n");
    assert_eq!(
        run(&[
            "config",
            "set",
            "--string",
            "agents.defaults.userTimezone",
            "UTC"
        ]),
        ""
    );
    assert_eq!(
        run(&["config", "get", "--json", "agents.defaults.userTimezone"]),
        "\"UTC\"\n"
    );
    assert_eq!(
        alone(&dir, &["config", "set", "gateway.port", "abc"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn a_watch_says_so_when_the_core_is_replaced_and_ends_well_when_nobody_reads() {
    let gateway = Gateway::start();
    let mut child = gateway
        .command(CTL)
        .args(["watch", "shutdown"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("the watch goes on").unwrap();
        serde_json::from_str(&line).expect("every line is JSON")
    };
    assert_eq!(next()["event"], "connected");
    gateway.restart_core();
    // What was not asked for (health, tick) is left out; the watch's own lines are not.
    assert_eq!(next()["payload"]["reason"], "gateway restarting");
    let lost = next();
    assert_eq!(lost["event"], "disconnected");
    assert!(lost["error"].as_str().unwrap().contains("1012"), "{lost}");
    let back = next();
    assert_eq!(
        (&back["event"], &back["again"]),
        (&Value::from("connected"), &true.into())
    );
    drop(lines);
    gateway.restart_core();
    assert!(child.wait().unwrap().success());
}

/// The commands below EXAMPLES of the page, as a reader would type them.
fn examples() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/man/openclawctl.1");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page
        .split_once(".Sh EXAMPLES\n")
        .expect("the page has examples");
    let section = rest.split("\n.Sh ").next().unwrap();
    let plain = |line: &str| {
        line.replace("\\(dq", "\"")
            .replace("\\-", "-")
            .replace("\\&", "")
    };
    let mut found = Vec::new();
    let mut block: Option<Vec<String>> = None;
    for line in section.lines() {
        if line.starts_with(".Bd") {
            block = Some(Vec::new());
        } else if line.starts_with(".Ed") {
            found.extend(block.take().map(|lines| lines.join("\n")));
        } else if let Some(lines) = &mut block {
            lines.push(plain(line));
        } else if let Some(line) = line.strip_prefix(".Dl ") {
            found.push(plain(line));
        }
    }
    found
}

#[test]
fn the_examples_of_the_manual_page_run() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let gateway = Gateway::with_fake_model();
    let dir = Dir::new("ctl-examples");
    let file = |name: &str| dir.path().join(name);
    std::fs::write(file("prompt.txt"), "hello\n").unwrap();
    std::fs::write(file("refresh"), "#!/bin/sh\n: > refreshed\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(file("refresh"), mode).unwrap();
    let programs = std::path::Path::new(CTL).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    for line in &examples {
        let mut shell = gateway.command("/bin/sh");
        shell
            .args(["-ec", line])
            .env("PATH", &path)
            .current_dir(dir.path());
        if !line.contains("watch") {
            let output = shell.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && error.is_empty(),
                "{line}: {error}"
            );
            continue;
        }
        // It goes on until it is stopped, with all that it started.
        let mut running = shell.process_group(0).spawn().unwrap();
        let patience = std::time::Duration::from_secs(20);
        crate::harness::eventually(line, patience, || file("refreshed").exists().then_some(()));
        let group = format!("-{}", running.id());
        let killed = Command::new("kill").args(["-TERM", "--", &group]).status();
        assert!(killed.unwrap().success());
        running.wait().unwrap();
    }
    let answer = std::fs::read_to_string(file("answer.txt")).unwrap();
    assert!(!answer.trim().is_empty());
}
