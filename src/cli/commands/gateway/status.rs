//! `openclaw gateway status`: where the gateway should be, and whether it answers there.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::client::{Client, DEFAULT_TIMEOUT, Error, local};
use crate::config::{listen, tls};
use crate::net::certificate;
use serde_json::{Value, json};
use std::time::Instant;

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show where the gateway should be and whether it answers",
    about: "Succeeds whatever it finds; scripts ask gateway probe or health.",
    flags: &[
        Flag::switch("deep", "Accepted; there is nothing deeper to look at"),
        Flag::switch("no-probe", "Do not connect"),
    ],
    ..Command::NEW
};

struct Answer {
    ms: u128,
    version: Option<String>,
    uptime_ms: Option<u64>,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT)?;
    let caller = context.local.caller();
    let probe = match (&caller, context.matches.has("no-probe")) {
        (_, true) => None,
        (Err(err), _) => Some(Err(err.to_string())),
        (Ok(caller), _) => {
            let started = Instant::now();
            let answer = caller.connect(timeout).and_then(|mut client: Client| {
                client.call("status", None)?;
                Ok(Answer {
                    ms: started.elapsed().as_millis(),
                    version: client.hello()["server"]["version"]
                        .as_str()
                        .map(str::to_string),
                    uptime_ms: client.hello()["snapshot"]["uptimeMs"].as_u64(),
                })
            });
            Some(answer.map_err(|err: Error| err.to_string()))
        }
    };
    let url = caller.map(|c| c.target.url).unwrap_or_default();
    if context.json() {
        let value = document(context, &url, probe.as_ref());
        return Ok(context.out.json(&value)?);
    }
    print(context, &url, probe)
}

fn print(
    context: &mut Context,
    url: &str,
    probe: Option<Result<Answer, String>>,
) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let gateway = &snapshot.config.gateway;
    let port = listen::port(snapshot);
    let bind = gateway.bind.as_deref().unwrap_or("loopback");
    let missing = if snapshot.exists { "" } else { " (missing)" };
    let invalid = if snapshot.valid { "" } else { " (invalid)" };
    let out = &mut context.out;
    out.line(format!(
        "Config (cli): {}{missing}{invalid}",
        snapshot.paths.tilde(&snapshot.path)
    ))?;
    for issue in snapshot.issues.iter().take(5) {
        eprintln!("Config issue: {issue}");
    }
    out.line("")?;
    out.line(format!(
        "Gateway: bind={bind} ({}), port={port} (env/config)",
        host(bind, gateway.custom_bind_host.as_deref())
    ))?;
    out.line(format!("Probe target: {url}"))?;
    out.line(format!(
        "Dashboard: {}",
        super::super::dashboard::address(snapshot)
    ))?;
    if let Some(note) = note(bind) {
        out.line(format!("Probe note: {note}"))?;
    }
    let secret = if gateway.auth.mode.as_deref() == Some("password") {
        ("password", gateway.auth.password.is_some())
    } else {
        ("token", gateway.auth.token.is_some())
    };
    let set = if secret.1 {
        "configured"
    } else {
        "not in the config file"
    };
    out.line(format!("Auth: {} ({set})", secret.0))?;
    if let Some(tls) = tls::of(snapshot) {
        match certificate::fingerprint(&tls.cert) {
            Ok(fingerprint) => out.line(format!("TLS: certificate sha256 {fingerprint}"))?,
            Err(err) => out.line(format!("TLS: {err}"))?,
        }
    }
    out.line("")?;
    match probe {
        None => {}
        Some(Ok(answer)) => {
            out.line("Runtime: running")?;
            out.line(format!("RPC probe: ok ({}ms)", answer.ms))?;
            if let Some(version) = answer.version {
                out.line(format!("Version: {version}"))?;
            }
            if let Some(ms) = answer.uptime_ms {
                out.line(format!("Uptime: {}", span(ms)))?;
            }
        }
        Some(Err(text)) => {
            eprintln!("RPC probe: failed");
            eprintln!("RPC target: {url}");
            for line in text.lines().take(12) {
                eprintln!("  {line}");
            }
        }
    }
    out.line("")?;
    out.line("Troubles: run openclaw status")?;
    Ok(())
}

fn document(context: &Context, url: &str, probe: Option<&Result<Answer, String>>) -> Value {
    let snapshot = &context.local.snapshot;
    let gateway = &snapshot.config.gateway;
    let bind = gateway.bind.as_deref().unwrap_or("loopback");
    let port = listen::port(snapshot);
    let file = json!({
        "path": snapshot.path.display().to_string(),
        "exists": snapshot.exists,
        "valid": snapshot.valid,
    });
    let mut value = json!({
        "config": {"cli": file, "daemon": file},
        "gateway": {
            "bindMode": bind,
            "bindHost": host(bind, gateway.custom_bind_host.as_deref()),
            "port": port,
            "portSource": "env/config",
            "probeUrl": url,
        },
        "extraServices": [],
    });
    if let Some(Ok(fingerprint)) = tls::of(snapshot).map(|tls| certificate::fingerprint(&tls.cert))
    {
        value["gateway"]["tlsFingerprint"] = fingerprint.into();
    }
    if let Some(note) = note(bind) {
        value["gateway"]["probeNote"] = note.into();
    }
    match probe {
        None => {}
        Some(Ok(_)) => value["rpc"] = json!({"ok": true, "url": url}),
        Some(Err(text)) => value["rpc"] = json!({"ok": false, "error": text, "url": url}),
    }
    value
}

fn host(bind: &str, custom: Option<&str>) -> String {
    match bind {
        "lan" => "0.0.0.0".into(),
        "custom" => custom.unwrap_or("0.0.0.0").into(),
        "tailnet" => crate::config::tailnet::address()
            .map_or_else(|| "127.0.0.1".into(), |ip| ip.to_string()),
        _ => "127.0.0.1".into(),
    }
}

fn note(bind: &str) -> Option<&'static str> {
    match bind {
        "loopback" => Some("Loopback-only gateway; only local clients can connect."),
        "lan" => Some("The gateway listens on every address; the probe asks by loopback."),
        _ => None,
    }
}

/// `3d 4h`, `2h 5m`, `1m 9s`.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (d, h, m, s) = (
        seconds / 86400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m {s}s"),
        (0, _, _) => format!("{h}h {m}m"),
        _ => format!("{d}d {h}h"),
    }
}
