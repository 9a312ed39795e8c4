//! Setting up from the command line: what scripts and installers do, and what a person is asked.

use crate::harness::Dir;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// A home with nothing in it.
struct Home(Dir);

impl Home {
    fn new() -> Home {
        Home(Dir::new("onboard"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        told(&self.command(args).output().expect("openclaw starts"))
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
    }

    fn config(&self) -> Value {
        openclaw::config::text::parse(&self.file(".openclaw/openclaw.json")).unwrap()
    }
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

const QUIET: [&str; 4] = [
    "onboard",
    "--non-interactive",
    "--accept-risk",
    "--skip-health",
];

#[test]
fn a_script_sets_up_a_gateway_with_a_key_and_nothing_is_asked() {
    let home = Home::new();
    let (code, out, err) = home.run(&["onboard", "--non-interactive"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("Non-interactive onboarding requires explicit risk"),
        "{err}"
    );
    let with = |flags: &[&str]| home.run(&[&QUIET, flags].concat());
    let (code, _, err) = with(&["--auth-choice", "openai-api-key"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "Missing --openai-api-key (or OPENAI_API_KEY in env).\n"
    );
    let (code, _, err) = with(&["--gateway-auth", "password"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "Missing --gateway-password for password auth.\n");
    assert!(
        !home
            .0
            .path()
            .join(".openclaw")
            .join("openclaw.json")
            .exists()
    );

    let key = [
        "--auth-choice",
        "openai-api-key",
        "--openai-api-key",
        "sk-of-the-test",
    ];
    let (code, out, err) = with(&key);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "Saved OPENAI_API_KEY to ~/.openclaw/.env",
            "Updated ~/.openclaw/openclaw.json",
            "Workspace OK: ~/.openclaw/workspace",
            "Sessions OK: ~/.openclaw/agents/main/sessions"
        ]
    );
    assert!(lines[4].starts_with("Tip: run `openclaw configure --section web`"));
    assert_eq!(
        home.file(".openclaw/.env"),
        "OPENAI_API_KEY=sk-of-the-test\n"
    );
    let mode = fs::metadata(home.0.path().join(".openclaw/.env")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let first = home.config();
    assert_eq!(first["gateway"]["mode"], "local");
    assert!(home.file(".openclaw/workspace/BOOTSTRAP.md").len() > 100);

    // A document is a document, and the token of before still opens the gateway.
    let (code, out, err) = with(&["--gateway-port", "18995", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        document,
        json!({
            "mode": "local",
            "workspace": home.0.path().join(".openclaw/workspace"),
            "authChoice": "skip",
            "gateway": {
                "port": 18995, "bind": "loopback", "authMode": "token", "tailscaleMode": "off",
            },
            "installDaemon": false,
            "skipSkills": false,
            "skipHealth": true,
        })
    );
    assert!(err.contains("Updated ~/.openclaw/openclaw.json"));
    assert_eq!(home.config()["gateway"]["auth"], first["gateway"]["auth"]);

    let (code, out, _) = with(&[
        "--reset",
        "--mode",
        "remote",
        "--remote-url",
        "wss://gw.example",
    ]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("Moved to Trash: ~/.openclaw/workspace ("),
        "{out}"
    );
    assert!(
        out.contains("Remote gateway: wss://gw.example\nAuth: none\n"),
        "{out}"
    );
    assert_eq!(
        home.config()["gateway"],
        json!({"mode": "remote", "remote": {"url": "wss://gw.example"}})
    );
}

#[test]
fn setup_makes_a_workspace_and_leaves_the_gateway_alone() {
    let home = Home::new();
    let (code, out, _) = home.run(&["setup", "--workspace", "~/ws"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "Wrote ~/.openclaw/openclaw.json\nWorkspace OK: ~/ws\n\
         Sessions OK: ~/.openclaw/agents/main/sessions\n"
    );
    assert!(home.config().get("gateway").is_none());
    let (code, _, err) = home.run(&["setup", "--non-interactive"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("Non-interactive onboarding"), "{err}");
}
