//! Tailscale by a stand-in for its program: what is published and taken back, and who is believed.

use crate::harness::{Dir, Gateway, Setup, Ws, eventually, proc, ws::Device};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program `tailscale` that writes down how it was called.
struct Stand {
    dir: Dir,
}

impl Stand {
    /// `script` runs for what is not answered here; `$1` is the first word.
    fn new(script: &str) -> Stand {
        let dir = Dir::new("tailscale");
        let text = format!(
            r#"#!/bin/sh
echo "$*" >> "{calls}"
case "$1 $2" in
"status --json") echo '{{"Self":{{"DNSName":"box.tail1.ts.net."}}}}'; exit ;;
"whois --json")
    [ "$3" = 100.64.0.9 ] || {{ echo "peer not found" >&2; exit 1; }}
    echo '# a warning'; echo '{{"UserProfile":{{"LoginName":"Ada@example.com"}}}}'; exit ;;
esac
{script}
"#,
            calls = dir.path().join("calls").display()
        );
        let program = dir.path().join("tailscale");
        std::fs::write(&program, text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(program, mode).unwrap();
        Stand { dir }
    }

    fn setup(&self, gateway: serde_json::Value) -> Setup {
        let mut setup = Setup::new();
        for (name, value) in gateway.as_object().unwrap() {
            setup.config["gateway"][name] = value.clone();
        }
        let path = std::env::var("PATH").unwrap_or_default();
        setup.env("PATH", &format!("{}:{path}", self.dir.path().display()))
    }

    fn calls(&self) -> Vec<String> {
        let path: PathBuf = self.dir.path().join("calls");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }

    fn wait_for(&self, call: &str) {
        eventually(call, PATIENCE, || {
            self.calls().iter().any(|c| c == call).then_some(())
        });
    }
}

fn logged(gateway: &Gateway, text: &str) {
    eventually(text, PATIENCE, || {
        gateway.log().contains(text).then_some(())
    });
}

/// The headers `tailscale serve` adds for a user.
fn headers(login: &'static str, ip: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("Host", "box.tail1.ts.net"),
        ("X-Forwarded-For", ip),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "box.tail1.ts.net"),
        ("Tailscale-User-Login", login),
    ]
}

#[test]
fn serve_is_published_at_the_start_kept_over_a_restart_and_taken_back_at_the_end() {
    let stand = Stand::new("exit 0");
    let mut gateway = stand
        .setup(json!({"tailscale": {"mode": "serve", "resetOnExit": true}}))
        .start();
    let port = gateway.port();
    stand.wait_for(&format!("serve --bg --yes {port}"));
    logged(
        &gateway,
        "serve enabled: https://box.tail1.ts.net/ (WS via wss://box.tail1.ts.net)",
    );
    gateway.restart_core();
    let published = |calls: &[String]| calls.iter().filter(|c| c.starts_with("serve")).count();
    assert_eq!(published(&stand.calls()), 1);
    gateway.stop();
    assert_eq!(stand.calls().last().unwrap(), "serve reset");
}

#[test]
fn what_was_published_stays_unless_a_reset_was_asked_for() {
    let stand = Stand::new("exit 0");
    let auth = json!({"mode": "password", "password": "pw"});
    let mut gateway = stand
        .setup(json!({"tailscale": {"mode": "funnel"}, "auth": auth}))
        .start();
    stand.wait_for(&format!("funnel --bg --yes {}", gateway.port()));
    logged(&gateway, "funnel enabled: https://box.tail1.ts.net/");
    gateway.stop();
    assert!(!stand.calls().iter().any(|c| c.ends_with("reset")));

    let stand = Stand::new("exit 0");
    let mut gateway = stand
        .setup(json!({}))
        .arg("--tailscale=serve")
        .arg("--tailscale-reset-on-exit")
        .start();
    stand.wait_for(&format!("serve --bg --yes {}", gateway.port()));
    gateway.stop();
    stand.wait_for("serve reset");
}

#[test]
fn a_tailscale_that_fails_or_hangs_is_told_of_and_keeps_nothing_from_working() {
    let stand = Stand::new("echo 'serve is not enabled on your tailnet' >&2; exit 1");
    let gateway = stand.setup(json!({"tailscale": {"mode": "serve"}})).start();
    logged(
        &gateway,
        "serve failed: serve is not enabled on your tailnet",
    );
    gateway.connect();

    let stand = Stand::new("exec sleep 60");
    let mut gateway = stand.setup(json!({"tailscale": {"mode": "serve"}})).start();
    stand.wait_for(&format!("serve --bg --yes {}", gateway.port()));
    gateway.connect();
    let stopped = std::time::Instant::now();
    gateway.stop();
    assert!(stopped.elapsed() < Duration::from_secs(4));
}

#[test]
fn the_helper_is_a_process_of_its_own_and_comes_back_when_it_dies() {
    let stand = Stand::new("exit 0");
    let gateway = stand.setup(json!({"tailscale": {"mode": "serve"}})).start();
    stand.wait_for(&format!("serve --bg --yes {}", gateway.port()));
    let helper = || {
        let children = proc::children(gateway.pid());
        children
            .into_iter()
            .find(|pid| proc::command_line(*pid).starts_with("openclaw-gateway: tailscale"))
    };
    let first = eventually("the helper", PATIENCE, helper);
    proc::signal(first, "KILL");
    eventually("another helper", PATIENCE, || {
        helper().filter(|pid| *pid != first)
    });
    eventually("published again", PATIENCE, || {
        let calls = stand.calls();
        (calls.iter().filter(|c| c.starts_with("serve --bg")).count() == 2).then_some(())
    });
}

#[test]
fn a_user_of_the_tailnet_is_believed_when_the_tailnet_says_the_same() {
    let stand = Stand::new("exit 0");
    let gateway = stand.setup(json!({"tailscale": {"mode": "serve"}})).start();
    logged(&gateway, "serve enabled");
    let mut admin = gateway.connect();
    let come = |login, ip, device: &Device| {
        let mut ws = Ws::open_with(gateway.port(), &headers(login, ip));
        let mut params = ws.params("");
        params.as_object_mut().unwrap().remove("auth");
        let params = ws.signed(params, device);
        ws.hello(&params).map_err(|(error, _)| error)
    };
    let device = Device::new();
    // No secret: who it is was proven, and the device waits for approval as any other.
    let error = come("ada@example.com", "100.64.0.9", &device).unwrap_err();
    assert_eq!(error["message"], "pairing required");
    let request = json!({"requestId": error["details"]["requestId"]});
    admin.call("device.pair.approve", request).unwrap();
    come("ADA@example.com", "100.64.0.9", &device).unwrap();

    for (login, ip) in [
        ("eve@example.com", "100.64.0.9"),
        ("ada@example.com", "100.64.0.7"),
    ] {
        let error = come(login, ip, &device).unwrap_err();
        let said = error["message"].as_str().unwrap();
        assert!(
            said.starts_with("unauthorized: gateway token missing"),
            "{said}"
        );
    }
    // Once an address is known nobody is asked again for a while.
    let asked = |ip: &str| {
        let call = format!("whois --json {ip}");
        stand.calls().iter().filter(|c| **c == call).count()
    };
    assert_eq!((asked("100.64.0.9"), asked("100.64.0.7")), (1, 1));
    // An identity is no device.
    let mut ws = Ws::open_with(gateway.port(), &headers("ada@example.com", "100.64.0.9"));
    let mut params = ws.params("");
    params.as_object_mut().unwrap().remove("auth");
    let (error, _) = ws.hello(&params).unwrap_err();
    assert_eq!(error["message"], "device identity required");
}

#[test]
fn a_start_that_would_publish_too_much_is_refused() {
    let stand = Stand::new("exit 0");
    let said = |gateway| {
        let (status, said) = stand.setup(gateway).start_failing();
        assert_eq!(status.code(), Some(78));
        said
    };
    let lan = json!({"bind": "lan", "tailscale": {"mode": "serve"}});
    assert!(
        said(lan).contains("tailscale serve/funnel requires gateway bind=loopback (127.0.0.1)")
    );
    let open = json!({"tailscale": {"mode": "funnel"}});
    assert!(said(open).contains("tailscale funnel requires gateway auth mode=password"));
    assert!(stand.calls().is_empty());
}
