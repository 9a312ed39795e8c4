//! `openclaw security audit`: what it finds in a whole installation, and what `--fix` closes.

use crate::harness::{Dir, Setup};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn audit(dir: &Dir, config: &Value, args: &[&str]) -> (Value, String) {
    fs::write(dir.path().join("openclaw.json"), config.to_string()).unwrap();
    let run = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(["security", "audit"])
            .args(args)
            .args(more)
            .env_clear()
            .env("HOME", dir.path())
            .env("OPENCLAW_STATE_DIR", dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run(&["--json"]);
    (serde_json::from_str(&told).unwrap(), run(&[]))
}

fn ids(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let shown = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap().to_string();
        format!("{} {}", text("checkId"), text("severity"))
    };
    findings.iter().map(shown).collect()
}

/// The configuration and the findings of a run of the original, but for the channels', which it
/// does not look at from the command line.
#[test]
fn what_the_original_finds_is_found_and_open_channels_besides() {
    let dir = Dir::new("audit");
    fs::create_dir(dir.path().join("credentials")).unwrap();
    let chmod = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&dir.path().join("credentials"), 0o755);
    chmod(dir.path(), 0o700);
    let config = json!({
        "gateway": {"mode": "local", "bind": "lan", "controlUi": {"allowInsecureAuth": true,
            "dangerouslyDisableDeviceAuth": true}, "tailscale": {"mode": "off"}},
        "logging": {"redactSensitive": "off"},
        "channels": {"telegram": {"enabled": true, "botToken": "123456:ABCDEFGHIJKLMNOPQRSTUVWX",
            "dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open"}},
        "tools": {"elevated": {"enabled": true, "allowFrom": {"telegram": ["*"]}}},
        "hooks": {"enabled": true, "token": "short", "path": "/"},
        "agents": {"defaults": {"model": {"primary": "openai/gpt-3.5-turbo",
            "fallbacks": ["ollama/llama3-8b", "anthropic/claude-haiku-4-5"]}}},
    });
    fs::write(dir.path().join("openclaw.json"), "").unwrap();
    chmod(&dir.path().join("openclaw.json"), 0o600);
    let (report, told) = audit(&dir, &config, &[]);
    let found = ids(&report);
    let (channels, rest): (Vec<String>, Vec<String>) = found
        .into_iter()
        .partition(|id| id.starts_with("channels."));
    assert_eq!(
        rest,
        [
            "summary.attack_surface info",
            "gateway.bind_no_auth critical",
            "gateway.control_ui.insecure_auth critical",
            "gateway.control_ui.device_auth_disabled critical",
            "logging.redact_off warn",
            "tools.elevated.allowFrom.telegram.wildcard critical",
            "hooks.token_too_short warn",
            "hooks.path_root critical",
            "config.secrets.hooks_token_in_config info",
            "models.legacy warn",
            "models.weak_tier warn",
            "models.small_params critical",
            "security.exposure.open_groups_with_elevated critical",
            "fs.credentials_dir.perms_readable warn",
        ]
    );
    assert!(
        channels.contains(&"channels.telegram.dm.open critical".to_string()),
        "{channels:?}"
    );
    assert!(
        told.contains("Run deeper: openclaw security audit --deep"),
        "{told}"
    );
    assert!(!told.contains("ABCDEFGHIJKL"), "a secret is shown: {told}");

    let (both, told) = audit(&dir, &config, &["--fix"]);
    assert_eq!(both["fix"]["ok"], true, "{both}");
    assert_eq!(
        both["fix"]["changes"],
        json!([
            "logging.redactSensitive=off -> \"tools\"",
            "channels.telegram.groupPolicy=open -> \"allowlist\""
        ])
    );
    let left = ids(&both["report"]);
    for gone in ["logging.redact_off", "security.exposure", "fs."] {
        assert!(!left.iter().any(|id| id.starts_with(gone)), "{left:?}");
    }
    assert!(left.contains(&"gateway.bind_no_auth critical".to_string()));
    assert!(told.contains("nothing to change"), "{told}");
}

#[test]
fn deep_says_whether_the_gateway_lets_its_owner_in() {
    let mut gateway = Setup::new().start();
    let (_, told, _) = gateway.openclaw(&["security", "audit", "--deep", "--json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    let asked = &report["deep"]["gateway"];
    assert_eq!(asked["ok"], true, "{report}");
    assert_eq!(asked["close"], Value::Null);
    gateway.stop();
    let (status, told, _) = gateway.openclaw(&["security", "audit", "--deep", "--json"]);
    assert!(status.success());
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["deep"]["gateway"]["ok"], false);
    assert!(ids(&report).contains(&"gateway.probe_failed warn".to_string()));
}
