//! `openclaw gateway install|start|stop|restart|uninstall` and what `gateway status` says of the
//! service: against real service managers that need no root, and systemctl's calls as recorded of
//! the original.

use crate::harness::{Dir, eventually, free_port, skip};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A person's home with a configuration, and the managers this person can reach.
struct Home {
    dir: Dir,
    port: u16,
    env: Vec<(&'static str, String)>,
}

impl Home {
    fn new(name: &str) -> Home {
        let dir = Dir::new(name);
        let port = free_port();
        let state = dir.path().join("home/.openclaw");
        fs::create_dir_all(&state).unwrap();
        let config = format!(
            r#"{{gateway: {{mode: "local", port: {port}, auth: {{mode: "token", token: "service-token"}}}}}}"#
        );
        fs::write(state.join("openclaw.json"), config).unwrap();
        Home {
            dir,
            port,
            env: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Exit status, stdout, stderr.
    fn openclaw(&self, words: &[&str]) -> (i32, String, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(words)
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", self.path().join("bin").display()),
            )
            .env("HOME", self.path().join("home"))
            .env("OPENCLAW_STATE_DIR", self.path().join("home/.openclaw"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("openclaw runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (
            output.status.code().unwrap_or(-1),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let (_, out, err) = self.openclaw(&words);
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{words:?}: {out}{err}"))
    }
}

/// Ends with what it started when the test ends.
struct Scanner(Child);

impl Scanner {
    fn start(program: &str, folder: &Path) -> Option<Scanner> {
        fs::create_dir_all(folder).unwrap();
        let child = Command::new(program)
            .arg(folder)
            .stderr(Stdio::null())
            .spawn();
        child.ok().map(Scanner)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        // HUP has runsvdir end its services, TERM s6-svscan.
        for signal in ["HUP", "TERM"] {
            crate::harness::proc::signal(self.0.id(), signal);
        }
        let _ = self.0.wait();
    }
}

/// A whole life of the service under a manager that really runs.
fn lives(home: &Home, manager: &str, noun: &str) {
    let (code, out, err) = home.openclaw(&["gateway", "install", "--manager", manager]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with(&format!("Installed {noun}: ")), "{out}");
    let up = eventually("the service", PATIENCE, || {
        let seen = home.json(&["gateway", "status"]);
        (seen["rpc"]["ok"] == true).then_some(seen)
    });
    assert_eq!(up["service"]["runtime"]["status"], "running");
    assert_eq!(up["service"]["loaded"], true);
    assert_eq!(up["service"]["configAudit"]["ok"], true, "{up}");
    assert_eq!(up["gateway"]["portSource"], "service args");
    assert_eq!(up["gateway"]["port"], home.port);
    let (code, out, _) = home.openclaw(&["gateway", "install"]);
    assert_eq!(code, 0);
    assert!(out.contains("Reinstall with: openclaw gateway install --force"));

    let (code, out, err) = home.openclaw(&["gateway", "restart"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, format!("Restarted {noun}: openclaw-gateway\n"));
    let again = eventually("the service again", PATIENCE, || {
        let seen = home.json(&["gateway", "status"]);
        (seen["rpc"]["ok"] == true).then_some(seen)
    });
    let pid = |seen: &Value| seen["service"]["runtime"]["pid"].as_u64();
    assert_ne!(pid(&up), pid(&again));

    assert_eq!(home.json(&["gateway", "stop"])["result"], "stopped");
    let down = home.json(&["gateway", "status"]);
    assert_eq!(down["service"]["runtime"]["status"], "stopped");
    assert_eq!(down["rpc"]["ok"], false);
    assert_eq!(down["port"]["status"], "free");
    let (_, _, err) = home.openclaw(&["gateway", "status"]);
    assert!(err.contains("Service is loaded but not running."), "{err}");

    assert_eq!(home.openclaw(&["gateway", "start"]).0, 0);
    let (code, out, err) = home.openclaw(&["gateway", "uninstall"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(&format!("Removed {noun}: ")), "{out}");
    let (code, out, _) = home.openclaw(&["gateway", "start"]);
    assert_eq!(code, 0, "not there is no failure");
    assert!(out.starts_with("Gateway service disabled.\nStart with: openclaw gateway install\n"));
}

#[test]
fn runit_keeps_the_gateway_and_lets_it_go() {
    let mut home = Home::new("service-runit");
    let scanned = home.path().join("service");
    let Some(_scanner) = Scanner::start("runsvdir", &scanned) else {
        return skip("service under runit", "runsvdir is not installed");
    };
    home.env = vec![("SVDIR", scanned.display().to_string())];
    lives(&home, "runit", "runit service");
    assert_eq!(fs::read_dir(&scanned).unwrap().count(), 0);
}

#[test]
fn s6_keeps_the_gateway_and_lets_it_go() {
    let mut home = Home::new("service-s6");
    let scanned = home.path().join("service");
    let Some(_scanner) = Scanner::start("s6-svscan", &scanned) else {
        return skip("service under s6", "s6-svscan is not installed");
    };
    let control = scanned.join(".s6-svscan/control");
    eventually("s6-svscan", PATIENCE, || control.exists().then_some(()));
    home.env = vec![("S6_SCANDIR", scanned.display().to_string())];
    lives(&home, "s6", "s6 service");
    let left = fs::read_dir(&scanned).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, [".s6-svscan"]);
}

/// A `systemctl` that writes down what it is asked, and says that everything went well; of the unit
/// what its file says.
fn recording(home: &Home) {
    let bin = home.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"systemctl $*\" >>{0}/calls\n\
         unit=$HOME/.config/systemd/user/$3\n\
         case \"$2\" in\n\
         is-enabled) [ -e \"$unit\" ] ;;\n\
         show) printf 'ActiveState=active\\nSubState=running\\nMainPID=99999\\nExecMainStatus=0\\nExecMainCode=0\\n' ;;\n\
         restart) [ ! -e {0}/broken ] || {{ echo 'Job failed.' >&2; exit 1; }} ;;\n\
         esac\n",
        home.path().display()
    );
    let program = bin.join("systemctl");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn calls(home: &Home) -> Vec<String> {
    let path = home.path().join("calls");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    // Asked before everything, more or less often.
    let telling = text
        .lines()
        .filter(|l| !l.ends_with("status") && !l.contains("is-enabled"));
    telling.map(str::to_string).collect()
}

#[test]
fn systemd_is_asked_for_what_the_original_asks() {
    let mut home = Home::new("service-systemd");
    recording(&home);
    let unit = "openclaw-gateway.service";
    home.env = vec![("OPENCLAW_GATEWAY_TOKEN", "of-the-shell".into())];
    let done = home.json(&["gateway", "install", "--manager", "systemd"]);
    assert_eq!(done["result"], "installed", "{done}");
    assert_eq!(
        done["service"],
        serde_json::json!({"label": "systemd", "loaded": true, "loadedText": "enabled", "notLoadedText": "disabled"})
    );
    assert_eq!(
        calls(&home),
        [
            "systemctl --user daemon-reload".to_string(),
            format!("systemctl --user enable {unit}"),
            format!("systemctl --user restart {unit}"),
        ]
    );
    let file = home.path().join("home/.config/systemd/user").join(unit);
    let text = fs::read_to_string(&file).unwrap();
    for secret in ["of-the-shell", "service-token"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(
        text.contains(&format!("openclaw gateway --port {}\n", home.port)),
        "{text}"
    );
    verify(&file);

    let (_, out, err) = home.openclaw(&["gateway", "status"]);
    assert!(out.contains("Service: systemd (enabled)"), "{out}");
    let runtime = "Runtime: running (pid 99999, state active, sub running, last exit 0, reason 0)";
    assert!(out.contains(runtime), "{out}");
    let deaf = format!(
        "Gateway port {} is not listening (service appears running).",
        home.port
    );
    assert!(err.contains(&deaf) && err.contains("journalctl --user -u openclaw-gateway.service"));
    calls(&home);
    let (_, out, _) = home.openclaw(&["gateway", "start"]);
    assert_eq!(out, format!("Restarted systemd service: {unit}\n"));
    assert_eq!(calls(&home), [format!("systemctl --user restart {unit}")]);
    fs::write(home.path().join("broken"), "").unwrap();
    let (code, _, err) = home.openclaw(&["gateway", "restart"]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "Gateway restart failed: Error: systemctl restart failed: Job failed.\n"
    );
    fs::remove_file(home.path().join("broken")).unwrap();

    // A token that is typed is kept where the daemon reads it.
    let words = [
        "gateway", "install", "--force", "--port", "18777", "--token", "typed",
    ];
    let (code, _, err) = home.openclaw(&words);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("The token was written to ~/.openclaw/openclaw.json, not into the service.")
    );
    let config = fs::read_to_string(home.path().join("home/.openclaw/openclaw.json")).unwrap();
    assert!(config.contains("typed"));
    let (_, out, _) = home.openclaw(&["gateway", "status", "--no-probe"]);
    assert!(out.contains("port=18777 (service args)") && out.contains("Note: CLI config resolves"));
    calls(&home);
    let (_, out, _) = home.openclaw(&["gateway", "uninstall"]);
    assert_eq!(
        out,
        format!(
            "Stopped systemd service: {unit}\nRemoved systemd service: {}\n",
            file.display()
        )
    );
    assert_eq!(
        calls(&home),
        [
            format!("systemctl --user stop {unit}"),
            format!("systemctl --user disable --now {unit}"),
            "systemctl --user daemon-reload".to_string(),
        ]
    );
}

/// systemd's own opinion of the unit, where its tool is here.
fn verify(unit: &Path) {
    let words = ["verify", "--man=no", "--recursive-errors=no"];
    let said = Command::new("systemd-analyze")
        .args(words)
        .arg(unit)
        .output();
    match said {
        Ok(said) => assert!(
            said.status.success() && said.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        ),
        Err(_) => skip("systemd-analyze verify", "systemd is not installed"),
    }
}

#[test]
fn what_is_asked_wrongly_is_refused_before_anything_is_written() {
    let mut home = Home::new("service-refused");
    recording(&home);
    for (words, said) in [
        (vec!["--port", "0"], "Invalid port"),
        (
            vec!["--runtime", "deno"],
            "Invalid --runtime (use \"node\" or \"bun\")",
        ),
    ] {
        let install = ["gateway", "install", "--manager", "systemd"];
        let words: Vec<&str> = install.into_iter().chain(words).collect();
        let (code, _, err) = home.openclaw(&words);
        assert_eq!((code, err.trim_end()), (1, said));
    }
    home.env = vec![("OPENCLAW_NIX_MODE", "1".into())];
    let (code, _, err) = home.openclaw(&["gateway", "install", "--manager", "systemd"]);
    assert_eq!(code, 1);
    assert_eq!(err, "Nix mode detected; service install is disabled.\n");
    assert!(!home.path().join("home/.config").exists());

    // No systemd to ask.
    let broken = home.path().join("bin/systemctl");
    fs::write(
        &broken,
        "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n",
    )
    .unwrap();
    home.env.clear();
    let answer = home.json(&["gateway", "install", "--manager", "systemd"]);
    assert_eq!(answer["ok"], false);
    assert_eq!(
        answer["error"],
        "Gateway service check failed: Error: systemctl --user unavailable: Failed to connect to bus"
    );
}
