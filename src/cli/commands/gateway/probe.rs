//! `openclaw gateway probe`: can a gateway be reached, and with what answer.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Colour;
use super::super::super::probe::{Probe, own_text, probe};
use crate::base::cmdline::Command;
use crate::base::time;
use crate::client::{Caller, local};
use crate::config::{listen, tailnet};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(3);

pub const SPEC: Command = Command {
    name: "probe",
    summary: "Try to reach the gateways this command would talk to",
    about: "Fails when none answers. Gateways on the network are not searched for.",
    ..Command::NEW
};

struct Target {
    id: &'static str,
    label: &'static str,
    caller: Caller,
    found: Probe,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, TIMEOUT)?;
    let started = Instant::now();
    let mut targets = Vec::new();
    for (id, label, caller) in callers(context)? {
        let found = probe(&caller, timeout);
        targets.push(Target {
            id,
            label,
            caller,
            found,
        });
    }
    let primary = targets.iter().find(|t| t.found.reached);
    let ok = primary.is_some();
    if context.json() {
        let value = document(context, &targets, started, timeout);
        context.out.json(&value)?;
    } else {
        print(context, &targets, timeout)?;
    }
    match ok {
        true => Ok(()),
        false => Err(Failure::Silent),
    }
}

/// The named gateway, the configured remote one, and always the one of this machine.
fn callers(context: &Context) -> Result<Vec<(&'static str, &'static str, Caller)>, Failure> {
    let local = &context.local;
    let mut out = Vec::new();
    if local.names_gateway() {
        out.push(("explicit", "Explicit URL", local.prober()?));
    } else if local.snapshot.config.gateway.mode.as_deref() == Some("remote") {
        out.push(("configRemote", "Configured remote", local.prober()?));
    }
    out.push(("localLoopback", "Local loopback", local.loopback()?));
    Ok(out)
}

fn print(context: &mut Context, targets: &[Target], timeout: Duration) -> Result<(), Failure> {
    let reached = targets.iter().find(|t| t.found.reached);
    let gateway = &context.local.snapshot.config.gateway;
    let password = gateway.auth.mode.as_deref() == Some("password");
    let mode = if password { "password" } else { "token" };
    let out = &mut context.out;
    out.title("Gateway Status")?;
    let (word, colour) = match reached {
        Some(_) => ("yes", Colour::Green),
        None => ("no", Colour::Red),
    };
    let word = out.paint(colour, word);
    out.line(format!("Reachable: {word}"))?;
    out.line(format!("Probe budget: {}ms", timeout.as_millis()))?;
    let first = reached.or(targets.first());
    if let Some(target) = first {
        let verdict = match (target.found.reached, target.found.latency_ms) {
            (true, Some(ms)) => format!("ok ({ms}ms)"),
            _ => "failed".into(),
        };
        let secret =
            target.caller.target.token.is_some() || target.caller.target.password.is_some();
        let set = if secret {
            "configured"
        } else {
            "not configured"
        };
        out.line(format!("Gateway probe: {verdict}"))?;
        out.line(format!("WS URL: {}", target.caller.target.url))?;
        out.line(format!("Auth: {mode} ({set})"))?;
    }
    out.line("")?;
    out.title("Targets")?;
    for target in targets {
        out.line(format!("{} {}", target.label, target.caller.target.url))?;
        let found = &target.found;
        match (&found.error, found.latency_ms, &found.rpc_error) {
            (Some(error), _, _) => out.line(format!("  Connect: failed - {error}"))?,
            (None, ms, Some(error)) => out.line(format!(
                "  Connect: ok ({}ms) · RPC: failed - {error}",
                ms.unwrap_or(0)
            ))?,
            (None, ms, None) => {
                out.line(format!("  Connect: ok ({}ms) · RPC: ok", ms.unwrap_or(0)))?;
            }
        }
        if let Some(own) = found.own() {
            out.line(format!("  Gateway: {}", own_text(&own, "· app")))?;
        }
        out.line("")?;
    }
    Ok(())
}

fn document(context: &Context, targets: &[Target], started: Instant, timeout: Duration) -> Value {
    let primary = targets.iter().find(|t| t.found.reached);
    let reached: Vec<&str> = targets
        .iter()
        .filter(|t| t.found.reached)
        .map(|t| t.id)
        .collect();
    let mut warnings = Vec::new();
    if reached.len() > 1 {
        warnings.push(json!({
            "code": "multiple_gateways",
            "message": "More than one gateway answers; be sure to talk to the one you mean.",
            "targetIds": reached,
        }));
    }
    let port = listen::port(&context.local.snapshot);
    let tailnet = tailnet::address();
    json!({
        "ok": primary.is_some(),
        "ts": time::now_ms(),
        "durationMs": u64::try_from(started.elapsed().as_millis()).unwrap_or(0),
        "timeoutMs": u64::try_from(timeout.as_millis()).unwrap_or(0),
        "primaryTargetId": primary.map(|t| t.id),
        "warnings": warnings,
        "network": {
            "localLoopbackUrl": format!("ws://127.0.0.1:{port}"),
            "localTailnetUrl": tailnet.map(|ip| format!("ws://{ip}:{port}")),
            "tailnetIPv4": tailnet.map(|ip| ip.to_string()),
        },
        "discovery": {"timeoutMs": 0, "count": 0, "beacons": []},
        "targets": targets.iter().map(of).collect::<Vec<_>>(),
    })
}

fn of(target: &Target) -> Value {
    let found = &target.found;
    json!({
        "id": target.id,
        "kind": target.id,
        "url": target.caller.target.url,
        "active": true,
        "tunnel": null,
        "connect": {
            "ok": found.reached,
            "latencyMs": found.latency_ms,
            "error": found.error,
            "close": found.close.as_ref().map(|(code, reason)| json!({"code": code, "reason": reason})),
        },
        "self": found.own(),
        "config": found.config.as_ref().map(config),
        "health": found.health,
        "summary": found.status,
        "presence": found.presence,
    })
}

/// What may be shown of the gateway's configuration: no secret, only whether there is one.
fn config(snapshot: &Value) -> Value {
    let gateway = &snapshot["config"]["gateway"];
    let set = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    json!({
        "path": snapshot["path"],
        "exists": snapshot["exists"],
        "valid": snapshot["valid"],
        "issues": list(&snapshot["issues"]),
        "legacyIssues": list(&snapshot["legacyIssues"]),
        "gateway": {
            "mode": gateway["mode"],
            "bind": gateway["bind"],
            "port": gateway["port"],
            "controlUiEnabled": gateway["controlUi"]["enabled"],
            "controlUiBasePath": gateway["controlUi"]["basePath"],
            "authMode": gateway["auth"]["mode"],
            "authTokenConfigured": set(&gateway["auth"]["token"]),
            "authPasswordConfigured": set(&gateway["auth"]["password"]),
            "remoteUrl": gateway["remote"]["url"],
            "remoteTokenConfigured": set(&gateway["remote"]["token"]),
            "remotePasswordConfigured": set(&gateway["remote"]["password"]),
            "tailscaleMode": gateway["tailscale"]["mode"],
        },
        "discovery": {"wideAreaEnabled": snapshot["config"]["discovery"]["wideArea"]["enabled"]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_the_gateway_is_shown() {
        let shown = config(&json!({"path": "/c", "exists": true, "valid": true,
            "config": {"gateway": {"auth": {"token": "hush", "password": " "}}}}));
        assert!(!shown.to_string().contains("hush"));
        assert_eq!(shown["gateway"]["authTokenConfigured"], true);
        assert_eq!(shown["gateway"]["authPasswordConfigured"], false);
    }
}
