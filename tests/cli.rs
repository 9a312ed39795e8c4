//! `openclaw` as people and their scripts use it.

use crate::harness::{Dir, Gateway, free_port, skip};
use openclaw::base::cmdline::complete::{Shell, script};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

/// `openclaw` with nothing but a private home.
fn alone(dir: &Dir) -> Command {
    let mut command = Command::new(OPENCLAW);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("OPENCLAW_GATEWAY_PORT", free_port().to_string())
        .stdin(Stdio::null());
    command
}

fn run(dir: &Dir, args: &[&str]) -> Output {
    alone(dir).args(args).output().expect("openclaw starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_version_stands_alone_on_its_line() {
    let dir = Dir::new("cli");
    for flag in ["--version", "-V", "-v"] {
        let output = run(&dir, &[flag]);
        assert_eq!(out(&output), "2026.2.3\n");
        assert!(output.status.success());
    }
}

#[test]
fn help_goes_to_stdout_when_asked_for_and_to_stderr_when_a_command_is_missing() {
    let dir = Dir::new("cli");
    let asked = run(&dir, &["gateway", "call", "--help"]);
    assert!(asked.status.success());
    assert!(out(&asked).starts_with("Usage: openclaw gateway call [options] <method>"));
    let missing = run(&dir, &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(out(&missing).is_empty() && err(&missing).contains("Commands:"));
}

#[test]
fn mistakes_are_told_in_the_original_words_with_its_status() {
    let dir = Dir::new("cli");
    // Without a log of its own, `logs` would read the one all gateways of the machine share.
    let log = dir.path().join("none.log");
    run(
        &dir,
        &["config", "set", "logging.file", log.to_str().unwrap()],
    );
    for (args, status, text) in [
        (
            &["frobnicate"][..],
            1,
            "error: unknown command 'frobnicate'",
        ),
        (
            &["gateway", "call"],
            1,
            "error: missing required argument 'method'",
        ),
        (
            &["agent"],
            1,
            "error: required option '-m, --message <text>' not specified",
        ),
        (
            &["--profile", "../x", "status"],
            2,
            "[openclaw] Invalid --profile",
        ),
        (
            &["--dev", "--profile", "x", "status"],
            2,
            "[openclaw] Cannot combine",
        ),
        (&["completion", "-s", "tcsh"], 1, "Allowed choices are"),
        (&["config", "get", "a.b"], 1, "Config path not found: a.b"),
        (
            &["gateway", "call", "health", "--url", "ws://127.0.0.1:1"],
            1,
            "Gateway call failed: Error: gateway url override requires explicit credentials",
        ),
        (
            &["health"],
            1,
            "gateway closed (1006 abnormal closure (no close frame)): no close reason",
        ),
        (
            &["logs"],
            1,
            "Gateway not reachable. Is it running and accessible?",
        ),
    ] {
        let output = run(&dir, args);
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        assert!(err(&output).contains(text), "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn status_succeeds_without_a_gateway_and_probe_does_not() {
    let dir = Dir::new("cli");
    let status = run(&dir, &["status"]);
    assert!(status.status.success());
    assert!(out(&status).contains("unreachable (connect failed: connect ECONNREFUSED"));
    let json: Value = serde_json::from_slice(&run(&dir, &["status", "--json"]).stdout).unwrap();
    assert_eq!(json["gateway"]["reachable"], false);
    let probe = run(&dir, &["gateway", "probe", "--json"]);
    assert_eq!(probe.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&probe.stdout).unwrap();
    assert_eq!(json["ok"], false);
}

#[test]
fn a_setting_is_changed_read_and_removed() {
    let dir = Dir::new("cli");
    let set = run(&dir, &["config", "set", "agents.defaults.model", "a/b"]);
    assert!(
        out(&set).starts_with("Updated agents.defaults.model.primary."),
        "{}",
        err(&set)
    );
    assert_eq!(
        out(&run(
            &dir,
            &["config", "get", "agents.defaults.model.primary"]
        )),
        "a/b\n"
    );
    let bad = run(&dir, &["config", "set", "gateway.port", "abc"]);
    assert!(err(&bad).starts_with("Error: Config validation failed: gateway.port:"));
    assert!(
        run(&dir, &["config", "unset", "agents.defaults.model"])
            .status
            .success()
    );
    assert!(
        !run(&dir, &["config", "get", "agents.defaults.model.primary"])
            .status
            .success()
    );
}

#[test]
fn an_invalid_configuration_stops_commands_that_need_it_before_any_output() {
    let dir = Dir::new("cli");
    let state = dir.path().join(".openclaw");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("openclaw.json"), "{gateway:{bogus:1}}").unwrap();
    let output = run(&dir, &["sessions", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).is_empty());
    assert!(err(&output).starts_with("Config invalid\nFile: ~/.openclaw/openclaw.json\nProblem:"));
    assert!(run(&dir, &["status", "--json"]).status.success());
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let dir = Dir::new("cli");
    let mut child = alone(&dir)
        .args(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(err(&output), "");
}

#[test]
fn a_broken_device_key_is_refused_and_kept() {
    let dir = Dir::new("cli");
    let identity = dir.path().join(".openclaw/identity");
    std::fs::create_dir_all(&identity).unwrap();
    std::fs::write(identity.join("device.json"), "{broken").unwrap();
    let output = run(&dir, &["health"]);
    assert!(err(&output).contains("device key"), "{}", err(&output));
    assert!(err(&output).contains("fix:"));
    assert_eq!(
        std::fs::read_to_string(identity.join("device.json")).unwrap(),
        "{broken"
    );
}

#[test]
fn a_running_gateway_answers_by_socket_by_token_and_not_to_a_wrong_one() {
    let gateway = Gateway::start();
    let (status, json, error) = gateway.openclaw(&["health", "--json"]);
    assert!(status.success(), "{error}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["ok"], true);
    assert!(
        !gateway
            .home()
            .join(".openclaw/identity/device.json")
            .exists(),
        "the socket needs no device key"
    );
    let (status, _, error) = gateway.openclaw(&["health", "--token", gateway.token()]);
    assert!(status.success(), "{error}");
    assert!(
        gateway
            .home()
            .join(".openclaw/identity/device.json")
            .exists()
    );
    let (status, _, error) = gateway.openclaw(&["health", "--token", "wrong"]);
    assert_eq!(status.code(), Some(1));
    assert!(error.contains("gateway closed (1008): unauthorized: gateway token mismatch"));
    assert!(!error.contains(gateway.token()));
}

#[test]
fn a_stored_device_token_is_used_and_a_stale_one_replaced_at_once() {
    let gateway = Gateway::start();
    let url = format!("ws://127.0.0.1:{}", gateway.port());
    // Another runtime folder: no socket, so the handshake is the whole one.
    let health = |token: Option<&str>| {
        let mut command = gateway.command(OPENCLAW);
        command
            .env("OPENCLAW_RUNTIME_DIR", gateway.home())
            .args(["health"]);
        if let Some(token) = token {
            command.env("OPENCLAW_GATEWAY_TOKEN", token);
        }
        command.output().unwrap()
    };
    assert!(health(None).status.success(), "{url}");
    let file = gateway.state().join("identity/device-auth.json");
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(
        health(Some("wrong")).status.success(),
        "the stored token is stronger"
    );
    let stored: Value = serde_json::from_str(&first).unwrap();
    let token = stored["tokens"]["operator"]["token"].as_str().unwrap();
    std::fs::write(
        &file,
        first.replace(token, "00000000000000000000000000000000"),
    )
    .unwrap();
    let output = health(None);
    assert!(output.status.success(), "{}", err(&output));
    assert!(std::fs::read_to_string(&file).unwrap().contains(token));
}

#[test]
fn an_agent_answers_in_text_and_in_json() {
    let gateway = Gateway::with_fake_model();
    let (status, text, error) = gateway.openclaw(&["agent", "--message", "hello"]);
    assert!(status.success(), "{error}");
    assert!(!text.trim().is_empty());
    let (_, json, _) = gateway.openclaw(&["agent", "--message", "hello", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["status"], "ok");
    assert_eq!(
        json["result"]["payloads"][0]["text"]
            .as_str()
            .map(str::trim_end),
        Some(text.trim_end())
    );
    let (_, list, _) = gateway.openclaw(&["sessions", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["sessions"][0]["key"], "agent:main:main");
}

#[test]
fn logs_come_from_the_gateway_and_after_its_end_from_the_file() {
    let gateway = Gateway::start();
    let (status, text, error) = gateway.openclaw(&["logs", "--limit", "2"]);
    assert!(status.success(), "{error}");
    assert!(text.starts_with("Log file: "), "{text}");
    let mut command = gateway.command(OPENCLAW);
    command.env("OPENCLAW_RUNTIME_DIR", gateway.home());
    command.env("OPENCLAW_GATEWAY_PORT", free_port().to_string());
    let output = command.args(["logs", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let first = out(&output).lines().next().map(str::to_string).unwrap();
    let meta: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(meta["type"], "meta");
    assert!(err(&output).contains("reading the file itself"));
}

#[test]
fn the_completion_scripts_of_both_programs_are_valid() {
    for (root, name) in [
        (&openclaw::cli::commands::ROOT, "openclaw"),
        (&openclaw::ctl::ROOT, "openclawctl"),
    ] {
        for (shell, program, flag) in [
            (Shell::Bash, "bash", "-n"),
            (Shell::Fish, "fish", "--no-execute"),
            (Shell::Zsh, "zsh", "-n"),
        ] {
            let script = script(root, shell);
            for path in root.walk().iter().skip(1) {
                assert!(
                    script.contains(path[path.len() - 1].name),
                    "{name} {program}"
                );
            }
            let child = Command::new(program)
                .args([flag, "/dev/stdin"])
                .stdin(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else {
                skip(
                    "the_completion_scripts_of_both_programs_are_valid",
                    &format!("no {program}"),
                );
                continue;
            };
            child
                .stdin
                .take()
                .unwrap()
                .write_all(script.as_bytes())
                .unwrap();
            assert!(child.wait().unwrap().success(), "{name} {program}");
        }
    }
}
