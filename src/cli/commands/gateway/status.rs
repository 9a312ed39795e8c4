//! `openclaw gateway status`: the service, where the gateway should be, and whether it answers there.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Out;
use super::service;
use crate::base::cmdline::{Command, Flag};
use crate::client::{Client, DEFAULT_TIMEOUT, Error, local};
use crate::config::{Paths, Snapshot, listen, tls};
use crate::net::certificate;
use crate::ops::port::{self, Port};
use crate::ops::service::{Look, Runtime};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Of an error or a configuration's complaints.
const MAX_LINES: usize = 12;
const MAX_ISSUES: usize = 5;

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show the service, where the gateway should be and whether it answers",
    about: "Succeeds whatever it finds; scripts ask gateway probe or health.",
    flags: &[
        Flag::switch("deep", "Look for other gateways in the whole system, too"),
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
    let snapshot = &context.local.snapshot;
    let look = Look::at(snapshot, &service::openclaw(), context.matches.has("deep"));
    let own = listen::port(snapshot);
    let number = look.port().unwrap_or(own);
    let seen = Seen {
        url: caller.map(|c| c.target.url).unwrap_or_default(),
        // People are told whose it is only where it is not the gateway that answers.
        port: (context.json() || !matches!(probe, Some(Ok(_)))).then(|| port::look(number)),
        number,
        look,
        probe,
    };
    if context.json() {
        let value = document(snapshot, &seen);
        return Ok(context.out.json(&value)?);
    }
    print(context, &seen)
}

struct Seen {
    url: String,
    look: Look,
    /// Of the service, else of the configuration.
    number: u16,
    port: Option<Port>,
    probe: Option<Result<Answer, String>>,
}

impl Seen {
    fn source(&self) -> &'static str {
        match self.look.port() {
            Some(_) => "service args",
            None => "env/config",
        }
    }
}

fn print(context: &mut Context, seen: &Seen) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let out = &mut context.out;
    service_lines(out, snapshot, &seen.look)?;
    out.line("")?;
    config_lines(out, snapshot, &seen.look)?;
    out.line("")?;
    let gateway = &snapshot.config.gateway;
    let bind = gateway.bind.as_deref().unwrap_or("loopback");
    out.line(format!(
        "Gateway: bind={bind} ({}), port={} ({})",
        host(bind, gateway.custom_bind_host.as_deref()),
        seen.number,
        seen.source()
    ))?;
    out.line(format!("Probe target: {}", seen.url))?;
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
    runtime_lines(out, seen)?;
    if listen::port(snapshot) != seen.number {
        out.line(format!(
            "Note: CLI config resolves gateway port={}, the service was installed with another.",
            listen::port(snapshot)
        ))?;
    }
    out.line("")?;
    other_lines(&seen.look);
    out.line("Troubles: run openclaw status")?;
    Ok(())
}

fn service_lines(out: &mut Out, snapshot: &Snapshot, look: &Look) -> Result<(), Failure> {
    let paths = &snapshot.paths;
    let state = match look.loaded {
        true => look.words.loaded,
        false => look.words.not_loaded,
    };
    out.line(format!("Service: {} ({state})", look.words.label))?;
    let log = paths.log(&snapshot.config.logging);
    let log = log.file(crate::base::time::now_ms());
    out.line(format!("File logs: {}", paths.tilde(&log)))?;
    let Some(written) = &look.written else {
        return Ok(());
    };
    out.line(format!("Command: {}", written.argv.join(" ")))?;
    out.line(format!("Service file: {}", paths.tilde(&look.file)))?;
    if let Some(folder) = &written.folder {
        out.line(format!("Working dir: {folder}"))?;
    }
    let env: Vec<String> = look
        .env()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !env.is_empty() {
        out.line(format!("Service env: {}", env.join(" ")))?;
    }
    if !look.issues.is_empty() {
        out.flush()?;
        eprintln!("Service config looks out of date or non-standard.");
        for issue in &look.issues {
            let detail = issue.detail.as_ref();
            let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
            eprintln!("Service config issue: {}{detail}", issue.message);
        }
        eprintln!("Recommendation: run openclaw gateway install --force");
    }
    Ok(())
}

fn config_lines(out: &mut Out, snapshot: &Snapshot, look: &Look) -> Result<(), Failure> {
    let line = |snapshot: &Snapshot, paths: &Paths| {
        let missing = if snapshot.exists { "" } else { " (missing)" };
        let invalid = if snapshot.valid { "" } else { " (invalid)" };
        format!("{}{missing}{invalid}", paths.tilde(&snapshot.path))
    };
    let own = &snapshot.paths;
    out.line(format!("Config (cli): {}", line(snapshot, own)))?;
    if look.written.is_some() {
        let other = look.config.as_ref().unwrap_or(snapshot);
        out.line(format!("Config (service): {}", line(other, own)))?;
    }
    out.flush()?;
    for issue in snapshot.issues.iter().take(MAX_ISSUES) {
        eprintln!("Config issue: {issue}");
    }
    if let Some(other) = &look.config {
        for issue in other.issues.iter().take(MAX_ISSUES) {
            eprintln!("Service config issue: {issue}");
        }
        eprintln!(
            "Root cause: CLI and service are using different config paths (likely a \
             profile/state-dir mismatch)."
        );
        eprintln!(
            "Fix: rerun openclaw gateway install --force from the same --profile / \
             OPENCLAW_STATE_DIR you expect."
        );
    }
    Ok(())
}

fn runtime_lines(out: &mut Out, seen: &Seen) -> Result<(), Failure> {
    let look = &seen.look;
    let runs = look.runtime.status == "running";
    match (&look.written, &seen.probe) {
        (Some(_), _) => out.line(format!("Runtime: {}", runtime(&look.runtime)))?,
        (None, Some(Ok(_))) => {
            out.line(format!(
                "Runtime: running (not started by {})",
                look.words.label
            ))?;
        }
        (None, _) => out.line("Runtime: stopped (no service is installed)")?,
    }
    match &seen.probe {
        None => {}
        Some(Ok(answer)) => {
            out.line(format!("RPC probe: ok ({}ms)", answer.ms))?;
            if let Some(version) = &answer.version {
                out.line(format!("Version: {version}"))?;
            }
            if let Some(ms) = answer.uptime_ms {
                out.line(format!("Uptime: {}", span(ms)))?;
            }
            return Ok(());
        }
        Some(Err(text)) => {
            if runs {
                out.line("Warm-up: a gateway that has just started answers in a moment. Try again shortly.")?;
            }
            out.flush()?;
            eprintln!("RPC probe: failed");
            eprintln!("RPC target: {}", seen.url);
            for line in text.lines().take(MAX_LINES) {
                eprintln!("  {line}");
            }
        }
    }
    let port = seen.port.as_ref();
    if let Some(port) = port.filter(|port| port.status == "busy") {
        let addresses: Vec<&str> = port.listeners.iter().map(|o| o.address.as_str()).collect();
        out.line(format!("Listening: {}", addresses.join(", ")))?;
        out.flush()?;
        if seen.probe.is_some() {
            eprintln!("Port {} is already in use.", port.port);
            for owner in &port.listeners {
                eprintln!("- {}", owner.line());
            }
            for hint in &port.hints {
                eprintln!("- {hint}");
            }
        }
    }
    if look.loaded && !runs {
        let why = match look.runtime.last_exit_status {
            None | Some(0) => "",
            Some(_) => " (likely exited immediately)",
        };
        eprintln!("Service is loaded but not running{why}.");
        eprintln!("Start: {}", look.start_hint);
        eprintln!("Logs: {}", look.log_hint);
    } else if runs && port.is_some_and(|port| port.status == "free") {
        eprintln!(
            "Gateway port {} is not listening (service appears running).",
            seen.number
        );
        eprintln!("Logs: {}", look.log_hint);
    }
    Ok(())
}

/// `running (pid 12, state active, sub running, last exit 0, reason 0)`
fn runtime(runtime: &Runtime) -> String {
    let facts = [
        runtime.pid.map(|pid| format!("pid {pid}")),
        runtime.state.as_ref().map(|state| format!("state {state}")),
        runtime.sub_state.as_ref().map(|sub| format!("sub {sub}")),
        runtime
            .last_exit_status
            .map(|code| format!("last exit {code}")),
        runtime
            .last_exit_reason
            .as_ref()
            .map(|why| format!("reason {why}")),
        runtime.detail.clone(),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    match facts.is_empty() {
        true => runtime.status.to_string(),
        false => format!("{} ({})", runtime.status, facts.join(", ")),
    }
}

fn other_lines(look: &Look) {
    if look.others.is_empty() {
        return;
    }
    eprintln!("Other gateway-like services detected (best effort):");
    for other in &look.others {
        eprintln!("- {} ({}, {})", other.label, other.scope, other.detail);
    }
    for line in look.others.iter().flat_map(|other| other.cleanup()) {
        eprintln!("Cleanup hint: {line}");
    }
    eprintln!(
        "Recommendation: one gateway per machine; otherwise give each its own port, configuration \
         and state."
    );
}

fn document(snapshot: &Snapshot, seen: &Seen) -> Value {
    let gateway = &snapshot.config.gateway;
    let bind = gateway.bind.as_deref().unwrap_or("loopback");
    let look = &seen.look;
    let file = |snapshot: &Snapshot| {
        json!({
            "path": snapshot.path.display().to_string(),
            "exists": snapshot.exists,
            "valid": snapshot.valid,
        })
    };
    let command = look.written.as_ref().map(|written| {
        let env: BTreeMap<&str, &str> = look.env().into_iter().collect();
        let mut command = json!({
            "programArguments": written.argv,
            "environment": env,
            "sourcePath": look.file.display().to_string(),
        });
        if let Some(folder) = &written.folder {
            command["workingDirectory"] = folder.clone().into();
        }
        command
    });
    let mut value = json!({
        "service": {
            "label": look.words.label,
            "loaded": look.loaded,
            "loadedText": look.words.loaded,
            "notLoadedText": look.words.not_loaded,
            "command": command,
            "runtime": look.runtime,
            "configAudit": {"ok": look.issues.is_empty(), "issues": look.issues},
        },
        "config": {
            "cli": file(snapshot),
            "daemon": file(look.config.as_ref().unwrap_or(snapshot)),
        },
        "gateway": {
            "bindMode": bind,
            "bindHost": host(bind, gateway.custom_bind_host.as_deref()),
            "port": seen.number,
            "portSource": seen.source(),
            "probeUrl": seen.url,
        },
        "extraServices": look.others,
    });
    if look.config.is_some() {
        value["config"]["mismatch"] = true.into();
    }
    if let Some(Ok(fingerprint)) = tls::of(snapshot).map(|tls| certificate::fingerprint(&tls.cert))
    {
        value["gateway"]["tlsFingerprint"] = fingerprint.into();
    }
    if let Some(note) = note(bind) {
        value["gateway"]["probeNote"] = note.into();
    }
    if let Some(port) = &seen.port {
        value["port"] = json!(port);
    }
    match &seen.probe {
        None => {}
        Some(Ok(_)) => value["rpc"] = json!({"ok": true, "url": seen.url}),
        Some(Err(text)) => value["rpc"] = json!({"ok": false, "error": text, "url": seen.url}),
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
