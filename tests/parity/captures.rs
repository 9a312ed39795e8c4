//! Commands of the original as they were recorded: ours end with the same status, their JSON has the
//! keys and types of the original's, and what people are told has the same facts.

use crate::harness::{Dir, Gateway, NO_SERVICE, free_port, skip};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Recordings that are not compared, by the whole id or, with a star, its beginning.
const ELSEWHERE: &[(&str, &str)] = &[
    ("agents-delete", "needs the agent an earlier recording made"),
    (
        "agents-set-identity",
        "needs the agent an earlier recording made",
    ),
    ("chan-*", "needs plugins and a channel that is logged in"),
    ("channels-*", "channels have tests of their own"),
    ("config-get-json", "reads a file that was not recorded"),
    (
        "config-get-no-path",
        "prints everything here: openclaw-compat(7)",
    ),
    ("config-get-object", "reads a file that was not recorded"),
    ("config-get-port", "reads a file that was not recorded"),
    (
        "config-set-model-string",
        "takes a name here: openclaw-compat(7)",
    ),
    ("config-set-unset", "changes a file that was not recorded"),
    ("configure-*", "asks a person"),
    ("cron-edit*", "needs the job an earlier recording made"),
    ("cron-list-json", "lists the jobs of earlier recordings"),
    ("cron-run-force", "needs the job an earlier recording made"),
    ("devices-approve-ok", "needs a request of another device"),
    ("devices-rotate-ok", "needs a paired device"),
    ("directory-*", "channels have tests of their own"),
    (
        "gateway-run-*",
        "statuses by which a service manager knows what to do: openclaw-gateway(8)",
    ),
    ("gateway-dev-*", "runs until it is stopped"),
    ("profile-dev-gateway", "runs until it is stopped"),
    ("gateway-install-start-flag", "registers a service"),
    (
        "gateway-status-json-up",
        "shows no command line of whoever has the port: there may be a secret in it",
    ),
    ("hooks-enable", "the hook is there in this program"),
    ("logs-down", "reads the file here: openclaw-compat(7)"),
    ("logs-json-down", "reads the file here: openclaw-compat(7)"),
    ("logs-level-flag", "is a flag here: openclaw-compat(7)"),
    ("logs-tail-flag", "is a flag here: openclaw-compat(7)"),
    ("message-*", "channels have tests of their own"),
    ("models-scan-offline", "asks the network"),
    ("nodes-*", "nodes are not part of this program yet"),
    ("onboard-*", "sets up a machine"),
    ("plugins-*", "this program loads no plugins"),
    (
        "profile-missing-value",
        "is a mistake in the command line here, with its status",
    ),
    ("reset-*", "takes an installation away"),
    ("seed-*", "command lines of the founding documents"),
    ("svc-*", "asks a service manager: tests/service.rs"),
    ("unavail-*", "asks a service manager: tests/service.rs"),
    ("uninstall-*", "takes an installation away"),
];

/// What a person learns from the original's output and must learn from ours, in either stream.
const FACTS: &[(&str, &[&str])] = &[
    (
        "security-audit",
        &[
            "Summary: 0 critical · ",
            "Run deeper: openclaw security audit --deep",
            "gateway.trusted_proxies_missing ",
            "gateway.token_too_short ",
            "is 5 chars",
            "summary.attack_surface ",
            "groups: open=0, allowlist=0",
        ],
    ),
    (
        "status-down",
        &[
            "OpenClaw status",
            "http://127.0.0.1:18999/",
            "ws://127.0.0.1:18999 (local loopback)",
            "unreachable (",
            "Tailscale ",
            "stable (default)",
            "not installed",
            "1 · no bootstraps · sessions 0 · default main active unknown",
            "skipped (use --deep)",
            "30m (main)",
            "claude-opus-4-5 (200k ctx)",
            "Security audit",
            "no sessions yet",
            "Need to share?      openclaw status --all",
            "Fix reachability first: openclaw gateway probe",
        ],
    ),
    (
        "status-all-down",
        &[
            "OpenClaw status --all",
            "Diagnosis (read-only)",
            "Gateway target: ws://127.0.0.1:18999",
            "Source: local loopback",
            "✓ Config: ",
            "✓ Restart sentinel: none",
            "✓ Port 18999",
            "! Channel issues skipped (gateway unreachable)",
            "Gateway health:",
            "Pasteable debug report. Auth tokens redacted.",
        ],
    ),
    (
        "status-up",
        &[
            "reachable ",
            "auth token",
            "Need to test channels? openclaw status --deep",
        ],
    ),
    (
        "status-deep-up",
        &["Probes ", "enabled", "Last heartbeat ", "Health"],
    ),
    (
        "gateway-probe-down",
        &[
            "Reachable: no",
            "Probe budget: 3000ms",
            "Local loopback ws://127.0.0.1:18999",
            "  Connect: failed - ",
        ],
    ),
    (
        "gateway-discover",
        &["Gateway Discovery", "gateway(s) · domains: local."],
    ),
    (
        "gateway-discover-badtimeout",
        &["gateway discover failed: Error: invalid --timeout: 0"],
    ),
    (
        "update-status",
        &[
            "OpenClaw update status",
            "Install ",
            "stable (default)",
            "Update ",
        ],
    ),
    (
        "update-bad-channel",
        &["--channel must be \"stable\", \"beta\", or \"dev\" (got \"nightly\")"],
    ),
    (
        "update-bad-timeout",
        &["--timeout must be a positive integer (seconds)"],
    ),
    ("update-wizard-notty", &["Update wizard requires a TTY."]),
    (
        "health-up",
        &[
            "Agents: main (default)",
            "Heartbeat interval: 30m (main)",
            "Session store (main): ",
        ],
    ),
    ("cron-bad-every", &["Error"]),
    (
        "sessions-active-bad",
        &["--active must be a positive integer (minutes)"],
    ),
    ("devices-approve-unknown", &["unknown requestId"]),
    ("doctor-nonint-noconfig", &["Doctor complete."]),
    ("version", &["2026.2.3"]),
];

struct Capture {
    id: String,
    /// Without the program.
    args: Vec<String>,
    up: bool,
    config: Option<String>,
    env: Vec<(String, String)>,
    exit: i64,
    stdout: String,
}

fn elsewhere(id: &str) -> bool {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => id.starts_with(start),
        None => id == pattern,
    };
    ELSEWHERE.iter().any(|(pattern, _)| fits(pattern))
}

fn captures(folder: &Path) -> Vec<Capture> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_string();
        let (id, gateway) = (text("id"), text("gateway"));
        let up = gateway.starts_with("up (loopback");
        let down = gateway == "down" || gateway.starts_with("down (nothing");
        // A file of its own means a gateway of its own.
        let apart = up && value["config"].is_string();
        if elsewhere(&id) || apart || !(up || down) {
            continue;
        }
        let words = value["argv"].as_array().unwrap().iter().skip(1);
        found.push(Capture {
            args: words
                .map(|word| word.as_str().unwrap().to_string())
                .collect(),
            config: value["config"].as_str().map(str::to_string),
            env: value["env"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()))
                .collect(),
            exit: value["exitCode"].as_i64().unwrap(),
            stdout: text("stdout"),
            id,
            up,
        });
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Keys that ours lacks and values of another type. What one side leaves empty says nothing.
fn lacking(theirs: &Value, ours: &Value, path: &str, out: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => lacking(value, other, &format!("{path}.{key}"), out),
                    None => out.push(format!("{path}.{key} is missing")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(a), Some(b)) = (a.first(), b.first()) {
                lacking(a, b, &format!("{path}[0]"), out);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        (a, b) => {
            if std::mem::discriminant(a) != std::mem::discriminant(b) {
                out.push(format!("{path}: {b} where the original has {a}"));
            }
        }
    }
}

fn faults(capture: &Capture, exit: Option<i32>, stdout: &str, stderr: &str) -> Vec<String> {
    let mut found = Vec::new();
    if exit.map(i64::from) != Some(capture.exit) {
        found.push(format!("status {exit:?}, not {}", capture.exit));
    }
    // Notes of the original's doctor may stand before it.
    let start = match capture.stdout.trim_start().starts_with(['{', '[']) {
        true => Some(0),
        false => capture
            .stdout
            .find("\n{\n")
            .filter(|_| capture.args.iter().any(|word| word == "--json")),
    };
    let theirs = start.and_then(|at| serde_json::from_str::<Value>(&capture.stdout[at..]).ok());
    if let Some(theirs) = theirs {
        match serde_json::from_str::<Value>(stdout) {
            Ok(ours) => lacking(&theirs, &ours, "$", &mut found),
            Err(_) => found.push("no JSON".into()),
        }
    }
    let facts = FACTS.iter().find(|(id, _)| *id == capture.id);
    // Cells of tables are folded.
    let flat = |text: &str| -> String {
        let words = text.split_whitespace().filter(|word| *word != "│");
        words.collect::<Vec<_>>().join(" ")
    };
    let told = flat(&format!("{stdout}\n{stderr}"));
    for fact in facts.map_or(&[][..], |(_, facts)| facts) {
        if !told.contains(&flat(fact)) {
            found.push(format!("{fact:?} is not told: {told}"));
        }
    }
    found
}

fn alone(capture: &Capture) -> Vec<String> {
    let dir = Dir::new("capture");
    let state = dir.path().join("state");
    let private = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(&state).unwrap();
    private(&state, 0o700);
    let at = |text: &str| {
        let text = text.replace("$STATE_DIR", state.to_str().unwrap());
        text.replace("$HOME", dir.path().to_str().unwrap())
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    command
        .args(capture.args.iter().map(|word| at(word)))
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("OPENCLAW_STATE_DIR", &state)
        .env("OPENCLAW_RUNTIME_DIR", dir.path().join("run"))
        .env("TERM", "dumb")
        .env(NO_SERVICE.0, NO_SERVICE.1)
        .env("TZ", "UTC");
    match &capture.config {
        Some(config) => {
            let file = state.join("openclaw.json");
            fs::write(&file, at(config)).unwrap();
            private(&file, 0o600);
        }
        // Nobody's real gateway is asked.
        None => drop(command.env("OPENCLAW_GATEWAY_PORT", free_port().to_string())),
    }
    let env = capture.env.iter().map(|(name, value)| (name, at(value)));
    let output = command.envs(env).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    faults(
        capture,
        output.status.code(),
        &text(&output.stdout),
        &text(&output.stderr),
    )
}

#[test]
fn commands_end_as_recorded_and_tell_the_same() {
    const NAME: &str = "commands_end_as_recorded_and_tell_the_same";
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cli-captures");
    if !folder.exists() {
        return skip(NAME, "no recordings here");
    }
    let all = captures(&folder);
    assert!(
        all.len() > 100,
        "only {} recordings are compared",
        all.len()
    );
    let told = |capture: &Capture, faults: Vec<String>| -> Option<String> {
        let line = capture.args.join(" ");
        (!faults.is_empty()).then(|| format!("{} ({line}): {faults:?}", capture.id))
    };
    let (up, down): (Vec<Capture>, Vec<Capture>) = all.into_iter().partition(|one| one.up);
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let half = down.len() / 2;
        let lanes = [&down[..half], &down[half..]].map(|lane| {
            scope.spawn(move || -> Vec<String> {
                lane.iter()
                    .filter_map(|one| told(one, alone(one)))
                    .collect()
            })
        });
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().unwrap())
            .collect()
    });
    let gateway = Gateway::start();
    for capture in &up {
        let words: Vec<&str> = capture.args.iter().map(String::as_str).collect();
        let (status, stdout, stderr) = gateway.openclaw(&words);
        wrong.extend(told(
            capture,
            faults(capture, status.code(), &stdout, &stderr),
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let lost: Vec<&str> = FACTS
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| !up.iter().chain(&down).any(|one| one.id == *id))
        .collect();
    assert!(lost.is_empty(), "facts of no recording: {lost:?}");
}
