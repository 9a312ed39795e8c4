//! `openclaw skills`, `system`, `devices` and `approvals`, with and without a gateway.

use crate::harness::ws::Device;
use crate::harness::{Dir, Gateway, Ws};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

fn alone(dir: &Dir, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(OPENCLAW)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openclaw starts");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, stdout and stderr of a command without a gateway.
fn run(dir: &Dir, args: &[&str]) -> (i32, String, String) {
    let output = alone(dir, args, "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|err| panic!("{err}: {text}"))
}

fn skill(dir: &Dir, name: &str, metadata: &str) {
    let folder = dir.path().join(".openclaw/workspace/skills").join(name);
    fs::create_dir_all(&folder).unwrap();
    let text =
        format!("---\nname: {name}\ndescription: How {name} is done.\n{metadata}---\nBody\n");
    fs::write(folder.join("SKILL.md"), text).unwrap();
}

#[test]
fn skills_are_listed_shown_and_checked_without_a_gateway() {
    let dir = Dir::new("admin-skills");
    skill(&dir, "ready-one", "");
    skill(
        &dir,
        "needy",
        "homepage: https://needy.example\nmetadata: {\"openclaw\":{\"emoji\":\"🧀\",\"requires\":{\"bins\":[\"sh\",\"no-such-bin\"],\"env\":[\"NEEDY_KEY\"]},\"install\":[{\"id\":\"b\",\"kind\":\"brew\",\"formula\":\"x\",\"bins\":[\"no-such-bin\"],\"label\":\"Install x (brew)\"}]}}\n",
    );
    let list = json_of(&run(&dir, &["skills", "list", "--json"]).1);
    let names: Vec<&str> = list["skills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skill| skill["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"needy") && names.contains(&"ready-one") && names.is_sorted());
    let (code, text, _) = run(&dir, &["skills"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("Skills (") && text.contains("✓ ready") && text.contains("🧀 needy"));
    let (_, text, _) = run(&dir, &["skills", "list", "--eligible"]);
    assert!(
        text.contains("ready-one") && !text.contains("needy"),
        "{text}"
    );
    let (_, text, _) = run(&dir, &["skills", "list", "-v"]);
    assert!(text.contains("no-such-bin"), "{text}");

    let check = json_of(&run(&dir, &["skills", "check", "--json"]).1);
    let lacking = check["missingRequirements"].as_array().unwrap();
    let needy = lacking.iter().find(|s| s["name"] == "needy").unwrap();
    assert_eq!(needy["missing"]["bins"], json!(["no-such-bin"]));
    assert_eq!(needy["missing"]["env"], json!(["NEEDY_KEY"]));
    let summary = &check["summary"];
    assert_eq!(summary["missingRequirements"], lacking.len());
    let (_, text, _) = run(&dir, &["skills", "check"]);
    assert!(
        text.contains("  🧀 needy (bins: no-such-bin; env: NEEDY_KEY)\n"),
        "{text}"
    );

    let (_, text, _) = run(&dir, &["skills", "info", "needy"]);
    assert!(
        text.starts_with("🧀 needy ✗ Missing requirements\n\nHow needy is done.\n"),
        "{text}"
    );
    assert!(text.contains("  Binaries: ✓ sh, ✗ no-such-bin\n"), "{text}");
    assert!(
        text.contains("Homepage: https://needy.example") && text.contains("  → "),
        "{text}"
    );
    let info = json_of(&run(&dir, &["skills", "info", "needy", "--json"]).1);
    assert_eq!(info["requirements"]["bins"], json!(["sh", "no-such-bin"]));
    let (code, text, _) = run(&dir, &["skills", "info", "none"]);
    assert_eq!(code, 0, "as in the original");
    assert!(text.starts_with("Skill \"none\" not found."), "{text}");
}

#[test]
fn the_rules_for_commands_are_shown_and_changed_in_the_file_here() {
    let dir = Dir::new("admin-approvals");
    let file = dir.path().join(".openclaw/exec-approvals.json");
    let (code, text, _) = run(&dir, &["approvals", "get"]);
    assert_eq!(code, 0);
    assert!(
        text.starts_with("Showing local approvals.\n\nApprovals\n"),
        "{text}"
    );
    assert!(
        text.contains("~/.openclaw/exec-approvals.json") && text.contains("No allowlist entries.")
    );
    assert!(!file.exists(), "looking makes no file");
    let add = [
        "approvals",
        "allowlist",
        "add",
        "/usr/bin/uptime",
        "--agent",
        "main",
    ];
    let (code, text, _) = run(&dir, &add);
    assert_eq!(code, 0);
    assert!(
        text.starts_with("Writing local approvals.\nTarget: local\nApprovals\n"),
        "{text}"
    );
    assert!(
        text.contains("│ main ") && text.contains("/usr/bin/uptime"),
        "{text}"
    );
    assert!(run(&dir, &add).1.contains("Already allowlisted."));
    run(&dir, &["exec-approvals", "allowlist", "add", "~/bin/*"]);
    let (_, text, _) = run(&dir, &["approvals", "get", "--json"]);
    assert_eq!(text.lines().count(), 1, "one line, as the original");
    let shown = json_of(&text);
    let agents = &shown["file"]["agents"];
    assert_eq!(agents["main"]["allowlist"][0]["pattern"], "/usr/bin/uptime");
    assert_eq!(agents["*"]["allowlist"][0]["pattern"], "~/bin/*");
    assert!(shown["file"]["socket"]["token"].is_null());
    let token = json_of(&fs::read_to_string(&file).unwrap())["socket"]["token"].clone();
    let (_, text, _) = run(
        &dir,
        &[
            "approvals",
            "allowlist",
            "remove",
            "/usr/bin/uptime",
            "--agent",
            "main",
            "--json",
        ],
    );
    let left = json_of(&text);
    assert!(left["file"]["agents"]["main"].is_null(), "{left}");
    let gone = [
        "approvals",
        "allowlist",
        "remove",
        "/usr/bin/uptime",
        "--agent",
        "main",
    ];
    assert!(run(&dir, &gone).1.contains("Pattern not found."));

    let rules = "{version: 1, defaults: {security: 'allowlist', ask: 'on-miss'}, agents: {}}";
    let output = alone(&dir, &["approvals", "set", "--stdin"], rules);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("security=allowlist, ask=on-miss"),
        "{text}"
    );
    let after = json_of(&fs::read_to_string(&file).unwrap());
    assert_eq!(
        after["socket"]["token"], token,
        "what is not ours to give stays"
    );
    assert_eq!(after["defaults"]["security"], "allowlist");
    let before = fs::read(&file).unwrap();
    for (args, input, said) in [
        (&["approvals", "set"][..], "", "Provide --file or --stdin."),
        (
            &["approvals", "set", "--stdin"],
            "{bad",
            "Failed to parse approvals JSON: SyntaxError: JSON5: ",
        ),
        (
            &["approvals", "set", "--file", "/no/such/file"],
            "",
            "/no/such/file: ",
        ),
        (&["approvals", "set", "--stdin"], "[1]", ""),
        (
            &["approvals", "allowlist", "add", " "],
            "",
            "Pattern required.",
        ),
    ] {
        let output = alone(&dir, args, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
        assert_eq!(fs::read(&file).unwrap(), before, "{args:?}");
    }
}

#[test]
fn a_gateway_takes_events_switches_heartbeats_and_rules() {
    let gateway = Gateway::with_fake_model();
    let say = |args: &[&str]| {
        let (status, text, error) = gateway.openclaw(args);
        (status.code().unwrap_or(-1), text, error)
    };
    assert_eq!(say(&["system", "event", "--text", "hello"]).1, "ok\n");
    let (_, text, _) = say(&[
        "system",
        "event",
        "--text",
        "hello",
        "--mode",
        "next-heartbeat",
        "--json",
    ]);
    assert_eq!(json_of(&text)["ok"], true);
    for (args, said) in [
        (&["system", "event"][..], "--text is required"),
        (
            &["system", "event", "--text", "x", "--mode", "later"],
            "--mode must be now or next-heartbeat",
        ),
    ] {
        let (code, _, error) = say(args);
        assert_eq!(code, 1);
        assert_eq!(error, format!("Error: {said}\n"));
    }
    assert_eq!(
        json_of(&say(&["system", "heartbeat", "disable"]).1),
        json!({"ok": true, "enabled": false})
    );
    assert_eq!(
        json_of(&say(&["system", "heartbeat", "enable"]).1),
        json!({"ok": true, "enabled": true})
    );
    let last = json_of(&say(&["system", "heartbeat", "last"]).1);
    assert!(last.is_null() || last["ts"].is_u64(), "{last}");
    let presence = json_of(&say(&["system", "presence"]).1);
    assert_eq!(presence[0]["mode"], "gateway");

    let (_, text, error) = say(&[
        "approvals",
        "allowlist",
        "add",
        "/usr/bin/uptime",
        "--gateway",
    ]);
    assert!(text.starts_with("Target: gateway\n"), "{text}{error}");
    let rules = json_of(&say(&["approvals", "get", "--gateway", "--json"]).1);
    assert_eq!(
        rules["file"]["agents"]["*"]["allowlist"][0]["pattern"],
        "/usr/bin/uptime"
    );
    let (code, _, error) = say(&["approvals", "get", "--node", "attic"]);
    assert_eq!(code, 1);
    assert!(error.contains("not connected"), "{error}");
}

#[test]
fn a_device_is_approved_rejected_given_a_new_token_and_shut_out() {
    let gateway = Gateway::start();
    let say = |args: &[&str]| {
        let (status, text, error) = gateway.openclaw(args);
        (status.code().unwrap_or(-1), text, error)
    };
    assert_eq!(say(&["devices", "list"]).1, "No device pairing entries.\n");
    let (phone, thief) = (Device::new(), Device::new());
    // From elsewhere, by what a proxy says: those nearby need no word.
    let knock = |device: &Device| {
        let mut ws = Ws::open_with(gateway.port(), &[("X-Forwarded-For", "203.0.113.9")]);
        let params = ws.signed(ws.params(gateway.token()), device);
        ws.hello(&params).is_err()
    };
    assert!(knock(&phone) && knock(&thief));
    let list = json_of(&say(&["devices", "list", "--json"]).1);
    let request = |device: &Device| {
        let pending = list["pending"].as_array().unwrap();
        let one = pending
            .iter()
            .find(|p| p["deviceId"] == device.id())
            .unwrap();
        one["requestId"].as_str().unwrap().to_string()
    };
    let (_, text, _) = say(&["devices", "list"]);
    assert!(text.starts_with("Pending (2)\n"), "{text}");
    assert_eq!(
        say(&["devices", "approve", &request(&phone)]).1,
        format!("Approved {}\n", phone.id())
    );
    assert_eq!(
        say(&["devices", "reject", &request(&thief)]).1,
        format!("Rejected {}\n", thief.id())
    );
    let (_, text, _) = say(&["devices", "list"]);
    assert!(
        text.starts_with("Paired (1)\n") && text.contains("operator"),
        "{text}"
    );
    let id = phone.id();
    let named = ["--device", id.as_str(), "--role", "operator"];
    let with = |verb| [&["devices", verb][..], &named[..]].concat();
    let rotated = json_of(&say(&with("rotate")).1);
    assert_eq!(rotated["deviceId"], phone.id());
    assert!(
        rotated["token"]
            .as_str()
            .is_some_and(|token| token.len() >= 32)
    );
    let revoked = json_of(&say(&with("revoke")).1);
    assert!(revoked["revokedAtMs"].is_u64(), "{revoked}");
    let (_, text, _) = say(&["devices", "list"]);
    assert!(text.contains("(revoked)"), "{text}");
    for (args, said) in [
        (&["devices", "approve", "none"][..], "unknown requestId"),
        (&["devices", "reject", "none"], "unknown requestId"),
        (
            &[
                "devices", "rotate", "--device", "none", "--role", "operator",
            ],
            "unknown deviceId/role",
        ),
        (
            &["devices", "revoke", "--device", "x"],
            "--device and --role required",
        ),
    ] {
        let (code, _, error) = say(args);
        assert_eq!(code, 1, "{args:?}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}
