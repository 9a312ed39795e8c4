//! `openclaw agents` and `openclaw cron` of the original and ours: the same output for the same
//! state.

use super::{official, shape};
use crate::harness::{self, Dir, Gateway};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

/// Each after the other, in one home.
const AGENTS: [&[&str]; 6] = [
    &[
        "agents",
        "add",
        "ops",
        "--non-interactive",
        "--workspace",
        "~/ws-ops",
        "--json",
    ],
    &[
        "agents",
        "add",
        "ops",
        "--non-interactive",
        "--workspace",
        "~/ws-ops",
    ],
    &[
        "agents",
        "set-identity",
        "--agent",
        "ops",
        "--name",
        "Ops",
        "--emoji",
        "🛠",
        "--theme",
        "calm",
    ],
    &["agents", "list", "--json"],
    &["agents", "delete", "ops", "--force", "--json"],
    &["agents", "list"],
];

/// What a command said, with its home as `~`.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output, home: &Path) -> Said {
        let home = home.display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home, "~");
        Said {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.out).ok()
    }
}

fn home(name: &str) -> Dir {
    let dir = Dir::new(name);
    std::fs::create_dir_all(dir.path().join(".openclaw")).expect("a folder");
    let config = json!({"agents": {"defaults": {"workspace": dir.path().join("ws3")}}});
    let file = dir.path().join(".openclaw/openclaw.json");
    std::fs::write(file, config.to_string()).expect("written");
    dir
}

#[test]
fn the_agents_commands_say_the_same() {
    let test = "the_agents_commands_say_the_same";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let (ours, theirs) = (home("our-agents"), home("official-agents"));
    let mut found = Vec::new();
    for args in AGENTS {
        let output = Command::new(OPENCLAW)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", ours.path())
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts");
        let our = Said::of(&output, ours.path());
        let output = official::run(args, &[("HOME", theirs.path())]);
        let their = Said::of(&output, theirs.path());
        if our.code != their.code {
            found.push(format!(
                "{args:?}: {:?}, not {:?}: {}",
                our.code, their.code, our.err
            ));
        }
        match (our.json(), their.json()) {
            (Some(our), Some(their)) if our == their => {}
            _ if our.out == their.out => {}
            _ => found.push(format!("{args:?}:\n{}not\n{}", our.out, their.out)),
        }
        if their.code != Some(0) && our.err != their.err {
            found.push(format!("{args:?}: {} not {}", our.err, their.err));
        }
    }
    assert!(
        found.is_empty(),
        "not as the original:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_cron_commands_say_the_same() {
    let test = "the_cron_commands_say_the_same";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let gateway = Gateway::start();
    let run = |args: &[&str]| {
        let (status, out, err) = gateway.openclaw(args);
        assert!(status.success(), "{args:?}: {err}");
        out
    };
    let port = gateway.port().to_string();
    let (home, state) = (gateway.home(), gateway.state());
    let environment = [
        ("HOME", home.as_os_str()),
        ("OPENCLAW_STATE_DIR", state.as_os_str()),
        ("OPENCLAW_GATEWAY_PORT", port.as_ref()),
        ("OPENCLAW_GATEWAY_TOKEN", gateway.token().as_ref()),
    ];
    let official = |args: &[&str]| {
        let output = official::run(args, &environment);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {err}");
        String::from_utf8(output.stdout).expect("text")
    };
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let once = [
        "cron",
        "add",
        "--name",
        "Once",
        "--at",
        "150m",
        "--system-event",
        "ping",
        "--description",
        "d",
        "--keep-after-run",
        "--agent",
        "main",
    ];
    let report = [
        "cron",
        "add",
        "--name",
        "A report whose name is long",
        "--every",
        "90m",
        "--message",
        "status please",
        "--model",
        "p/m",
        "--thinking",
        "low",
        "--timeout-seconds",
        "30",
        "--to",
        "+1555",
        "--best-effort-deliver",
    ];
    for args in [&once[..], &report] {
        let (our, their) = (value(&run(args)), value(&official(args)));
        assert_eq!(shape::differences(&their, &our), Vec::<String>::new());
        let same = [
            "name",
            "enabled",
            "sessionTarget",
            "wakeMode",
            "payload",
            "delivery",
        ];
        for key in same {
            assert_eq!(our[key], their[key], "{key}");
        }
    }
    run(&[
        "cron",
        "add",
        "--name",
        "Morning",
        "--cron",
        "0 7 * * *",
        "--tz",
        "Asia/Tokyo",
        "--system-event",
        "x",
        "--disabled",
    ]);
    // The same jobs, the same lines.
    assert_eq!(
        run(&["cron", "list", "--all"]),
        official(&["cron", "list", "--all"])
    );
    let jobs = value(&run(&["cron", "list", "--json"]));
    let id = jobs["jobs"][0]["id"].as_str().expect("an id");
    let edit = ["cron", "edit", id, "--every", "2h", "--no-deliver"];
    let (our, their) = (value(&run(&edit)), value(&official(&edit)));
    assert_eq!(our["schedule"], their["schedule"]);
    assert_eq!(our["delivery"], their["delivery"]);
}
