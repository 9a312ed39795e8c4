//! Setting up from the command line: what scripts and installers do, and what a person is asked.

use crate::harness::{Dir, NO_SERVICE};
use openclaw::base::sys::pty;
use serde_json::{Value, json};
use std::fs;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
            // Services of this host are none of ours.
            .env("SVDIR", self.0.path().join("services"))
            .env(NO_SERVICE.0, NO_SERVICE.1)
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

/// A person at a terminal.
struct Person {
    keys: File,
    child: Child,
    seen: Arc<Mutex<String>>,
    /// What was seen before the last answer.
    read: usize,
}

impl Person {
    fn at(home: &Home, args: &[&str]) -> Person {
        let (master, slave) = pty::open(80, 24).expect("a terminal");
        let slave = File::from(slave);
        let shared = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let ours = home.command(args);
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(ours.get_program())
            .args(ours.get_args())
            .env_clear()
            .env("HOME", home.0.path())
            .env("PATH", "/usr/bin:/bin")
            .env(NO_SERVICE.0, NO_SERVICE.1)
            .stdin(shared())
            .stdout(shared())
            .stderr(shared())
            .spawn()
            .expect("openclaw starts");
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("a descriptor");
        let seen = Arc::new(Mutex::new(String::new()));
        let shown = seen.clone();
        // Ends when the last one at the terminal has gone.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..n]);
                shown.lock().unwrap().push_str(&text);
            }
        });
        Person {
            keys,
            child,
            seen,
            read: 0,
        }
    }

    /// Waits for the words after the last answer, and types.
    fn when(&mut self, words: &str, typed: &str) {
        let started = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if let Some(at) = seen[self.read..].find(words) {
                self.read += at + words.len();
                break;
            }
            let late = started.elapsed() > Duration::from_secs(20);
            assert!(!late, "{words:?} is not shown:\n{}", &seen[self.read..]);
            std::thread::sleep(Duration::from_millis(10));
        }
        self.keys
            .write_all(typed.as_bytes())
            .expect("keys are taken");
    }

    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("it ends").code();
        let seen = self.seen.lock().unwrap().clone();
        (code, seen)
    }
}

#[test]
fn a_person_is_asked_may_leave_and_finds_the_answers_again() {
    let home = Home::new();
    let args = [
        "onboard",
        "--skip-channels",
        "--skip-skills",
        "--skip-health",
        "--no-install-daemon",
    ];
    let mut first = Person::at(&home, &args);
    first.when("Continue? [y/N]", "y\n");
    first.when("Onboarding mode [1]", "2\n");
    first.when("set up? [1]", "\n");
    first.when("Workspace directory [", "~/ws\n");
    first.when("Model/auth provider [", "\x03");
    first.when("Setup cancelled.", "");
    let (code, _) = first.end();
    assert_eq!(code, Some(0));
    assert!(!home.0.path().join(".openclaw/openclaw.json").exists());
    assert!(!home.0.path().join("ws").exists());

    let mut again = Person::at(&home, &args);
    again.when("Continue? [y/N]", "y\n");
    again.when("Onboarding mode [2]", "\n");
    again.when("set up? [1]", "\n");
    again.when("Workspace directory [~/ws]", "\n");
    again.when("Model/auth provider [", "anthropic\n");
    again.when("Anthropic API key (not shown): ", "sk-ant-of-the-test\n");
    again.when("Default model [1]", "\n");
    again.when("Gateway port [18789]", "70000\n");
    again.when("a port is a number from 1 to 65535", "");
    again.when("Gateway port [18789]", "18991\n");
    again.when("Gateway bind [1]", "\n");
    again.when("Gateway auth [1]", "\n");
    again.when("Tailscale exposure [1]", "\n");
    again.when("Gateway token (blank to generate) (not shown): ", "\n");
    again.when("Enable hooks?", "\n");
    again.when("Onboarding complete.", "");
    let (code, seen) = again.end();
    assert_eq!(code, Some(0));
    assert!(!seen.contains("sk-ant-of-the-test"));
    let config = home.config();
    assert_eq!(config["gateway"]["port"], 18991);
    assert_eq!(
        config["gateway"]["auth"]["token"].as_str().unwrap().len(),
        48
    );
    let model = &config["agents"]["defaults"]["model"]["primary"];
    assert_eq!(model, "anthropic/claude-opus-4-5");
    assert!(home.0.path().join("ws/SOUL.md").is_file());
    assert!(!home.0.path().join(".openclaw/rs/onboard.json").exists());
    let keys = home.file(".openclaw/agents/main/agent/auth-profiles.json");
    assert!(keys.contains("sk-ant-of-the-test"));
}

#[test]
fn what_was_set_up_is_taken_away_as_far_as_was_said() {
    let home = Home::new();
    assert_eq!(home.run(&QUIET).0, Some(0));
    let (code, _, err) = home.run(&["reset", "--non-interactive"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(1), "Non-interactive mode requires --yes.\n")
    );
    let quiet = ["--yes", "--non-interactive"];
    let (code, _, err) = home.run(&[&["reset", "--scope", "all"], &quiet[..]].concat());
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "Invalid --scope. Expected \"config\", \"config+creds+sessions\", or \"full\".\n"
    );
    let dry = [&["reset", "--scope", "full", "--dry-run"], &quiet[..]].concat();
    let (code, out, _) = home.run(&dry);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "[dry-run] stop gateway service\n[dry-run] remove ~/.openclaw\n\
         [dry-run] remove ~/.openclaw/workspace\nNext: openclaw onboard --install-daemon\n"
    );
    let (code, out, err) = home.run(&[&["reset", "--scope", "config"], &quiet[..]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "Removed ~/.openclaw/openclaw.json\nNext: openclaw onboard --install-daemon\n"
    );

    // The workspace lies in the state folder, and was not named.
    let (code, out, err) = home.run(&[&["uninstall", "--state"], &quiet[..]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.contains("Removed ~/.openclaw (without ~/.openclaw/workspace)\n"),
        "{out}"
    );
    assert!(out.contains("CLI still installed."), "{out}");
    assert!(home.file(".openclaw/workspace/SOUL.md").len() > 10);
    assert!(!home.0.path().join(".openclaw/agents").exists());
    let rest = ["uninstall", "--state", "--workspace"];
    let (code, _, _) = home.run(&[&rest[..], &quiet[..]].concat());
    assert_eq!(code, Some(0));
    assert!(!home.0.path().join(".openclaw").exists());

    let (code, _, err) = home.run(&["configure", "--section", "nonsense"]);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("Invalid --section: nonsense. Expected one of: "),
        "{err}"
    );
    let (code, _, _) = home.run(&["configure"]);
    assert_eq!(code, Some(0));
    let (code, _, err) = home.run(&["onboard"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("--non-interactive"), "{err}");
}
