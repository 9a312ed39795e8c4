//! Every command line of the five founding documents, and what it must do here: lines of `openclaw`
//! are understood, those that only ask are run against a gateway; lines of other programs are said
//! to be somebody else's, and whose. The script by which document 001 checks a deployment runs as it
//! stands there, with the local model.

use crate::harness::{Gateway, Setup, skip};
use openclaw::base::cmdline::{Outcome, parse};
use openclaw::cli::commands::{ROOT, find};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a line must do.
enum Does {
    /// Run as it is against a gateway, it ends with status 0.
    Answers,
    /// It changes the service, starts a gateway or asks a person: understood here, and run by the
    /// tests of this name.
    Tested(&'static str),
    /// Not ours: why, and what takes its place.
    Foreign(&'static str),
}
use Does::{Answers, Foreign, Tested};

const LINES: &[(&str, Does)] = &[
    ("openclaw --help", Answers),
    ("openclaw --version", Answers),
    ("openclaw status", Answers),
    ("openclaw status --all", Answers),
    ("openclaw status --deep", Answers),
    ("openclaw health", Answers),
    ("openclaw health --json", Answers),
    ("openclaw health --verbose", Answers),
    ("openclaw gateway status", Answers),
    ("openclaw gateway status --json", Answers),
    ("openclaw gateway status --no-probe", Answers),
    ("openclaw gateway status --deep", Answers),
    ("openclaw gateway probe", Answers),
    ("openclaw gateway health", Answers),
    ("openclaw gateway call health --json", Answers),
    ("openclaw system presence", Answers),
    ("openclaw models status", Answers),
    ("openclaw models status --json > models.json", Answers),
    ("openclaw logs --limit 50 | grep -ci listening", Answers),
    ("openclaw logs --limit 200 --json", Answers),
    ("openclaw logs --tail 100", Answers),
    ("openclaw logs --level error", Answers),
    ("openclaw config get gateway.port > /dev/null", Answers),
    ("openclaw config get gateway.auth.token", Answers),
    ("openclaw config set gateway.bind loopback", Answers),
    ("openclaw config get gateway.bind", Answers),
    ("openclaw config set gateway.mode local", Answers),
    (
        "openclaw config set gateway.auth.allowTailscale true",
        Answers,
    ),
    (
        "openclaw config set agents.defaults.model \"openai/gpt-4\"",
        Answers,
    ),
    (
        "openclaw config set tools.allow '[\"read\", \"write\", \"exec\"]'",
        Answers,
    ),
    ("openclaw config unset tools.allow", Answers),
    ("openclaw security audit", Answers),
    ("openclaw security audit --deep", Answers),
    ("openclaw doctor --non-interactive", Answers),
    ("openclaw channels status", Answers),
    (
        "openclaw channels status --probe --json > channels.json",
        Answers,
    ),
    ("openclaw status | grep -i state", Tested("cli")),
    ("openclaw config get", Tested("config")),
    (
        "openclaw config set gateway.port 18790",
        Tested("config_write"),
    ),
    (
        "openclaw config set gateway.bind lan",
        Tested("config_write"),
    ),
    (
        "openclaw config set gateway.bind tailnet",
        Tested("config_write"),
    ),
    (
        "openclaw config set gateway.auth.token \"$(echo 0123)\"",
        Tested("config_write"),
    ),
    (
        "openclaw config set gateway.tailscale.mode serve",
        Tested("tailscale"),
    ),
    (
        "openclaw config unset channels.telegram.botToken",
        Tested("config_write"),
    ),
    (
        "openclaw config unset tools.exec.requireApproval",
        Tested("config_write"),
    ),
    (
        "openclaw gateway call config.apply --params '{\"raw\": \"{}\", \"baseHash\": \"0\"}'",
        Tested("config_write"),
    ),
    ("openclaw agent --message \"test\"", Tested("seeds")),
    (
        "openclaw agent --message \"hi\" --to +1234567890",
        Tested("turn"),
    ),
    (
        "openclaw message send --target +1234567890 --message \"hi\"",
        Tested("channels"),
    ),
    (
        "openclaw --profile dev message send --target +1234567890 --message \"Test\"",
        Tested("channels"),
    ),
    ("openclaw channels login", Tested("channels")),
    ("openclaw logs --follow", Tested("ctl")),
    (
        "openclaw --url \"ws://192.0.2.1:18789\" status",
        Tested("cli"),
    ),
    (
        "openclaw --url wss://host.tailnet.ts.net status",
        Tested("cli"),
    ),
    ("openclaw dashboard", Tested("cli")),
    ("openclaw configure", Tested("onboard")),
    ("openclaw onboard", Tested("onboard")),
    ("openclaw onboard --install-daemon", Tested("onboard")),
    (
        "openclaw onboard --non-interactive --accept-risk",
        Tested("onboard"),
    ),
    (
        "openclaw onboard --gateway-bind lan --gateway-auth token",
        Tested("onboard"),
    ),
    (
        "OPENCLAW_STATE_DIR=~/.openclaw-rescue openclaw --profile rescue onboard --gateway-port 19001 --workspace ~/.openclaw/workspace-rescue",
        Tested("onboard"),
    ),
    (
        "openclaw --profile dev onboard --install-daemon",
        Tested("onboard"),
    ),
    ("openclaw --profile dev setup", Tested("onboard")),
    ("openclaw --dev setup", Tested("onboard")),
    ("openclaw --dev status", Tested("cli")),
    ("openclaw --dev health", Tested("cli")),
    ("openclaw --profile dev status", Tested("cli")),
    ("openclaw doctor", Tested("doctor")),
    ("openclaw doctor --fix", Tested("doctor")),
    ("openclaw doctor --deep", Tested("doctor")),
    ("openclaw doctor --generate-gateway-token", Tested("doctor")),
    ("openclaw security audit --fix", Tested("audit")),
    ("openclaw models status --probe", Tested("models")),
    ("openclaw models auth add", Tested("models")),
    ("openclaw models auth login", Tested("models")),
    (
        "openclaw models auth setup-token --provider anthropic",
        Tested("models"),
    ),
    (
        "openclaw models auth paste-token --provider anthropic",
        Tested("models"),
    ),
    ("openclaw sandbox recreate", Tested("sandbox")),
    ("openclaw gateway", Tested("supervisor")),
    ("openclaw gateway --port 18789", Tested("supervisor")),
    (
        "openclaw gateway --port 18789 --verbose",
        Tested("supervisor"),
    ),
    (
        "openclaw gateway --bind lan --port 18789",
        Tested("supervisor"),
    ),
    (
        "openclaw gateway --allow-unconfigured --verbose",
        Tested("supervisor"),
    ),
    ("openclaw gateway --force", Tested("supervisor")),
    (
        "openclaw --dev gateway --allow-unconfigured",
        Tested("supervisor"),
    ),
    (
        "openclaw --profile rescue gateway --port 19789",
        Tested("supervisor"),
    ),
    (
        "OPENCLAW_CONFIG_PATH=~/.openclaw/a.json OPENCLAW_STATE_DIR=~/.openclaw-a openclaw gateway --port 19001",
        Tested("supervisor"),
    ),
    ("openclaw gateway install", Tested("service")),
    ("openclaw gateway install --start", Tested("service")),
    ("openclaw gateway install --force", Tested("service")),
    ("openclaw gateway install --runtime node", Tested("service")),
    (
        "openclaw --profile default gateway install",
        Tested("service"),
    ),
    (
        "openclaw --profile prod gateway install --port 18789",
        Tested("service"),
    ),
    ("openclaw --profile dev gateway start", Tested("service")),
    ("openclaw gateway start", Tested("service")),
    (
        "openclaw gateway stop && sleep 0 && openclaw gateway status",
        Tested("service"),
    ),
    (
        "OPENCLAW_STATE_DIR=~/.openclaw-prod openclaw gateway restart",
        Tested("service"),
    ),
    ("openclaw gateway uninstall", Tested("service")),
    // Programs of others.
    (
        "curl http://127.0.0.1:18789/health",
        Foreign("curl's; the answer is tested in `http` and `front`"),
    ),
    (
        "npm install -g openclaw@latest",
        Foreign("npm's; contrib/install.sh or a package installs ours"),
    ),
    (
        "npm i -g openclaw@2026.2.3",
        Foreign("npm's; OPENCLAW_INSTALL_TAG names a version of ours"),
    ),
    (
        "npm update -g openclaw",
        Foreign("npm's; openclaw update says by what ours is updated"),
    ),
    (
        "curl -fsSL https://openclaw.ai/install.sh | bash",
        Foreign("the original's installer; contrib/install.sh is ours, tested in `packaging`"),
    ),
    (
        "git pull && pnpm install && pnpm build",
        Foreign("the original's tree; cargo build --release"),
    ),
    (
        "pnpm openclaw onboard --install-daemon",
        Foreign("the original's tree"),
    ),
    ("pnpm gateway:watch", Foreign("the original's tree")),
    (
        "./scripts/test-live-models-docker.sh",
        Foreign("the original's tree; `local_model` tests a model for real"),
    ),
    (
        "systemctl --user enable --now openclaw-gateway.service",
        Foreign("systemd's; the unit is tested in `packaging` and `service`"),
    ),
    (
        "systemctl --user status openclaw-gateway",
        Foreign("systemd's"),
    ),
    (
        "sudo systemctl enable --now openclaw-gateway.service",
        Foreign("systemd's; the unit is tested in `packaging`"),
    ),
    (
        "journalctl --user -u openclaw-gateway -n 50 --no-pager",
        Foreign("systemd's; openclaw logs"),
    ),
    (
        "loginctl show-user $USER --property=Linger",
        Foreign("systemd's; openclaw doctor asks it"),
    ),
    (
        "sudo loginctl enable-linger $USER",
        Foreign("systemd's; openclaw onboard and doctor do it"),
    ),
    (
        "launchctl kickstart -k gui/$UID/bot.molt.gateway",
        Foreign("macOS; the label is ai.openclaw.gateway, calls are tested in `ops::service`"),
    ),
    (
        "launchctl bootout gui/$UID/bot.molt.gateway",
        Foreign("macOS"),
    ),
    (
        "schtasks /run /tn OpenClawGateway",
        Foreign("Windows; there it runs in WSL2, with systemd"),
    ),
    (
        "ssh -N -L 18789:127.0.0.1:18789 user@vps-host",
        Foreign("ssh's; the gateway's side is the loopback address"),
    ),
    ("autossh -M 0 -N openclaw-vps", Foreign("autossh's")),
    (
        "tailscale up",
        Foreign("Tailscale's; `tailscale` tests what we ask of it"),
    ),
    ("sudo ufw allow 18789/tcp", Foreign("the firewall's")),
    (
        "sudo nginx -t",
        Foreign("nginx's; contrib/nginx has a site"),
    ),
    (
        "docker build -t openclaw-gateway:local .",
        Foreign("Docker's; contrib/docker has the file"),
    ),
    (
        "docker-compose up -d",
        Foreign("Docker's; contrib/docker/compose.yaml"),
    ),
    ("fly deploy", Foreign("Fly.io's; contrib/fly/fly.toml")),
    ("railway up", Foreign("Railway's; contrib/railway")),
    (
        "render deploy",
        Foreign("Render's; contrib/render/render.yaml"),
    ),
    (
        "tar czf openclaw-backup.tar.gz ~/.openclaw/openclaw.json ~/.openclaw/credentials/",
        Foreign("tar's; the files have these names, `state_samples`"),
    ),
    (
        "tail -f \"$(ls -t ~/.openclaw/logs/openclaw-*.log | head -1)\"",
        Foreign(
            "the log is in /tmp/openclaw unless logging.file names another, as in the original",
        ),
    ),
    (
        "lsof -i :18789",
        Foreign("lsof's; openclaw gateway status names who has the port"),
    ),
    (
        "chmod 600 ~/.openclaw/openclaw.json",
        Foreign("openclaw doctor --fix does it"),
    ),
];

/// Commands this version does not have yet: their lines are not looked at until it has.
const COMING: &[&str] = &["openclaw channels login"];

fn coming(line: &str) -> bool {
    COMING.iter().any(|coming| line.starts_with(coming))
}

/// The script of document 001, with which one checks a deployment.
const SMOKE: &str = r#"#!/usr/bin/env bash
set -euo pipefail

# 設定
STATE_DIR="${OPENCLAW_STATE_DIR:-$HOME/.openclaw}"
SESSIONS_DIR="$STATE_DIR/agents/default/sessions"
CONFIG_PATH="$STATE_DIR/openclaw.json"

echo "==> 1. ゲートウェイプローブ"
if ! openclaw gateway probe; then
  echo "ERROR: Gatewayに到達できません" >&2
  openclaw gateway status
  exit 1
fi

echo "==> 2. ヘルスチェック"
if ! openclaw health --json > /tmp/openclaw-health.json; then
  echo "ERROR: ヘルスチェックに失敗しました" >&2
  exit 1
fi

echo "==> 3. 設定検証"
if ! openclaw config get gateway.port > /dev/null; then
  echo "ERROR: 設定が読み取れません" >&2
  exit 1
fi

echo "==> 4. チャンネルステータス"
if ! openclaw channels status --probe --json > /tmp/openclaw-channels.json; then
  echo "ERROR: チャンネルステータスに失敗しました" >&2
  exit 1
fi

echo "==> 5. モデル認証"
if ! openclaw models status --json > /tmp/openclaw-models.json; then
  echo "ERROR: モデルステータスに失敗しました" >&2
  exit 1
fi

echo "==> 6. エージェント実行テスト"
RESULT=$(openclaw agent --message "Reply with: deployment test passed" --thinking off --json)
if ! echo "$RESULT" | jq -e '.result.payloads[0].text' > /dev/null; then
  echo "ERROR: エージェントがテキストペイロードを返しませんでした" >&2
  echo "$RESULT"
  exit 1
fi

echo "==> 7. セッション転送検証"
if [ ! -f "$SESSIONS_DIR/main.jsonl" ]; then
  echo "ERROR: メインセッション転送がありません" >&2
  exit 1
fi

# JSONL形式を検証
if ! tail -1 "$SESSIONS_DIR/main.jsonl" | jq -e '.role' > /dev/null; then
  echo "ERROR: セッション転送が有効なJSONLではありません" >&2
  exit 1
fi

echo "==> 8. ログファイル検証"
LOG_FILE="$STATE_DIR/openclaw-$(date +%Y-%m-%d).log"
if [ ! -f "$LOG_FILE" ]; then
  echo "WARNING: 日次ログファイルがありません: $LOG_FILE" >&2
fi

echo "==> すべてのチェックが合格しました ✓"
echo "デプロイが正常に検証されました"
"#;

/// A shell that knows `openclaw` as a function: what the words of a line are once it has split them.
fn words(line: &str) -> Vec<Vec<String>> {
    let script = format!("openclaw() {{ printf '%s\\n' \"$@\" END >&2; }}\n{line}\n");
    let output = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("a shell runs");
    let text = String::from_utf8(output.stderr).expect("text");
    let mut calls = vec![Vec::new()];
    for word in text.lines() {
        match word {
            "END" => calls.push(Vec::new()),
            word => calls
                .last_mut()
                .expect("one is there")
                .push(word.to_string()),
        }
    }
    calls.pop();
    calls
}

#[test]
fn every_line_of_the_documents_is_understood_or_somebody_elses() {
    let main = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main.rs"));
    let main = main.unwrap();
    for (line, does) in LINES {
        let ours = match does {
            Answers => true,
            Tested(place) => {
                assert!(
                    main.contains(&format!("mod {place};")),
                    "{line}: no {place}"
                );
                true
            }
            Foreign(why) => {
                assert!(!why.is_empty());
                false
            }
        };
        // A redirection is the shell's, here too.
        let plain = line.split(" > ").next().unwrap_or(line);
        let calls = if ours { words(plain) } else { Vec::new() };
        assert_eq!(calls.is_empty(), !ours, "{line}");
        for call in calls {
            let words = call.iter().map(OsString::from);
            match parse(&ROOT, words) {
                Err(_) if coming(line) => {}
                Ok(_) if coming(line) => panic!("{line}: it has come, take it out of COMING"),
                Ok(Outcome::Run(matches)) => assert!(find(&matches.name()).is_some(), "{line}"),
                Ok(Outcome::Help { asked: true, .. } | Outcome::Version) => {}
                Ok(Outcome::Help { .. }) => panic!("{line}: a word is missing"),
                Err(err) => panic!("{line}: {err}"),
            }
        }
    }
}

#[test]
fn the_lines_that_ask_are_answered() {
    let gateway = Gateway::with_fake_model();
    for (line, does) in LINES {
        if !matches!(does, Answers) || coming(line) {
            continue;
        }
        let output = shell(&gateway)
            .args(["-c", line])
            .output()
            .expect("a shell runs");
        assert!(
            output.status.success(),
            "{line}: {:?}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_deployment_check_of_the_documents_passes_with_the_local_model() {
    let name = "the_deployment_check_of_the_documents_passes_with_the_local_model";
    if Command::new("jq").arg("--version").output().is_err() {
        return skip(name, "no jq");
    }
    let (setup, _tap) = match Setup::with_local_model("openai-completions", 24) {
        Ok(made) => made,
        Err(why) => return skip(name, &why),
    };
    let gateway = setup.start();
    let output = shell_named(&gateway, "bash").args(["-c", SMOKE]).output();
    let output = output.expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{told}");
    assert_eq!(said.matches("==> ").count(), 9, "{said}");
}

fn shell(gateway: &Gateway) -> Command {
    shell_named(gateway, "sh")
}

/// A shell in the gateway's home, in which `openclaw` is ours.
fn shell_named(gateway: &Gateway, program: &str) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_openclaw")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = gateway.command(program);
    command
        .env("PATH", format!("{}:{path}", ours.display()))
        .current_dir(gateway.home())
        .stdin(Stdio::null());
    command
}
