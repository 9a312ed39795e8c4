//! `openclaw status`: one page about the gateway, its agents, channels and sessions.

mod around;
mod diagnosis;
mod tables;

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::{Column, age};
use super::super::probe::{Probe, own_text, probe};
use super::{dashboard, health, sessions};
use crate::base::cmdline::{Command, Flag};
use crate::base::{hex, time};
use crate::client::{Caller, DEFAULT_TIMEOUT, local};
use crate::config::Snapshot;
use crate::session::{Filter, Store};
use crate::wire::version;
use around::Around;
use serde_json::{Value, json};

/// Sessions shown.
const SHOWN: usize = 10;

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show the gateway, its agents, channels and sessions on one page",
    about: "Succeeds whether or not the gateway answers, except with --deep.",
    flags: &[
        Flag::switch("all", "Add what a bug report needs; secrets are masked"),
        Flag::switch("debug", "Same as --verbose"),
        Flag::switch("deep", "Also let every channel try its connection"),
        Flag::switch("usage", "Also show what providers say of your quota"),
        Flag::switch("verbose", "Say first which gateway is asked"),
    ],
    // The original takes any flag here.
    lenient: true,
    ..Command::NEW
};

struct Report {
    url: String,
    source: String,
    misconfigured: bool,
    probe: Probe,
    channels: Option<Value>,
    deep: Option<Value>,
    usage: Option<Value>,
    heartbeat: Option<Value>,
    agents: Vec<AgentFiles>,
    summary: Value,
    around: Around,
    /// Which gateway was meant, and where that was found.
    target: String,
}

struct AgentFiles {
    id: String,
    workspace: String,
    bootstrap: bool,
    path: String,
    count: usize,
    updated_at: Option<u64>,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let timeout = local::timeout(&context.matches, DEFAULT_TIMEOUT).unwrap_or(DEFAULT_TIMEOUT);
    let caller = context.local.prober();
    let deep = context.matches.has("deep");
    let usage = context.matches.has("usage");
    let mut report = Report {
        url: String::new(),
        source: String::new(),
        misconfigured: caller.is_err(),
        probe: Probe::default(),
        channels: None,
        deep: None,
        usage: None,
        heartbeat: None,
        agents: agents(&context.local.snapshot),
        summary: Value::Null,
        around: Around::look(&context.local.snapshot),
        target: String::new(),
    };
    match caller {
        Err(err) => report.probe.error = Some(err.to_string()),
        Ok(caller) => {
            if context.matches.has("verbose") || context.matches.has("debug") {
                eprintln!("{}", caller.target);
            }
            report.target = caller.target.to_string();
            report.url = caller.target.url.clone();
            report.source = caller.target.source.to_string();
            report.probe = probe(&caller, timeout);
            ask_more(&mut report, &caller, timeout, deep, usage)?;
        }
    }
    report.summary = match report.probe.status.take() {
        Some(status) => status,
        None => offline(&context.local.snapshot, &report.agents),
    };
    if context.json() {
        let value = document(&context.local.snapshot, &report);
        return Ok(context.out.json(&value)?);
    }
    let all = context.matches.has("all");
    print(context, &report, all)
}

fn ask_more(
    report: &mut Report,
    caller: &Caller,
    timeout: std::time::Duration,
    deep: bool,
    usage: bool,
) -> Result<(), Failure> {
    if deep {
        let params = json!({"probe": true});
        report.deep = Some(caller.call("health", Some(&params), timeout)?);
    }
    if !report.probe.reached {
        return Ok(());
    }
    let mut client = caller.connect(timeout)?;
    let params = json!({"probe": false, "timeoutMs": 8000});
    report.channels = client.call("channels.status", Some(&params)).ok();
    if deep {
        report.heartbeat = client.call("last-heartbeat", None).ok();
    }
    if usage {
        report.usage = client.call("usage.status", None).ok();
    }
    Ok(())
}

fn agents(snapshot: &Snapshot) -> Vec<AgentFiles> {
    let config = &snapshot.config;
    let store = Store::open(&snapshot.paths, config);
    config
        .agent_ids()
        .into_iter()
        .map(|id| {
            let workspace = config.workspace(&id, &snapshot.paths);
            // A store that cannot be read counts as empty here; `doctor` is for that.
            let list = store
                .list(&everything(Some(id.clone())))
                .unwrap_or_default();
            AgentFiles {
                bootstrap: workspace.join("BOOTSTRAP.md").exists(),
                workspace: workspace.display().to_string(),
                path: store.path(&id).display().to_string(),
                count: list.len(),
                updated_at: list.iter().filter_map(|(_, entry)| entry.updated_at).max(),
                id,
            }
        })
        .collect()
}

fn everything(agent: Option<String>) -> Filter {
    Filter {
        agent,
        include_global: true,
        include_unknown: true,
        ..Filter::default()
    }
}

/// What the gateway would say to `status`, as far as the files tell.
fn offline(snapshot: &Snapshot, agents: &[AgentFiles]) -> Value {
    let config = &snapshot.config;
    let (model, window) = sessions::defaults(snapshot);
    let beats = agents.iter().map(|agent| {
        let beat = config.heartbeat(&agent.id);
        json!({
            "agentId": agent.id, "enabled": beat.enabled,
            "every": beat.every, "everyMs": beat.every_ms,
        })
    });
    let by_agent = agents.iter().map(|agent| {
        json!({"agentId": agent.id, "path": agent.path, "count": agent.count, "recent": []})
    });
    let store = Store::open(&snapshot.paths, config);
    let mut list = store.list(&everything(None)).unwrap_or_default();
    list.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.updated_at.unwrap_or(0)));
    let now = time::now_ms();
    let recent = list.iter().take(SHOWN).map(|(key, entry)| {
        json!({
            "key": **key,
            "kind": entry.kind(key).as_str(),
            "sessionId": entry.session_id,
            "updatedAt": entry.updated_at,
            "age": entry.updated_at.map(|at| now.saturating_sub(at)),
            "totalTokens": entry.total_tokens,
            "model": entry.model.as_ref().or(model.as_ref()),
            "contextTokens": entry.context_tokens.or(window),
            "flags": [],
        })
    });
    json!({
        "heartbeat": {
            "defaultAgentId": config.default_agent_id(),
            "agents": beats.collect::<Vec<_>>(),
        },
        "channelSummary": [],
        "queuedSystemEvents": [],
        "sessions": {
            "paths": agents.iter().map(|agent| &agent.path).collect::<Vec<_>>(),
            "count": agents.iter().map(|agent| agent.count).sum::<usize>(),
            "defaults": {"model": model, "contextTokens": window},
            "recent": recent.collect::<Vec<_>>(),
            "byAgent": by_agent.collect::<Vec<_>>(),
        },
    })
}

fn document(snapshot: &Snapshot, report: &Report) -> Value {
    let now = time::now_ms();
    let mut value = report.summary.clone();
    let label = system();
    value["os"] = json!({
        "platform": std::env::consts::OS,
        "arch": arch(),
        "release": release(),
        "label": label,
    });
    value["gateway"] = json!({
        "mode": snapshot.config.gateway.mode.as_deref().unwrap_or("local"),
        "url": report.url,
        "urlSource": report.source,
        "misconfigured": report.misconfigured,
        "reachable": report.probe.reached,
        "connectLatencyMs": report.probe.latency_ms,
        "self": report.probe.own(),
        "error": report.probe.error.as_ref().or(report.probe.rpc_error.as_ref()),
    });
    let rows = report.agents.iter().map(|agent| {
        json!({
            "id": agent.id,
            "workspaceDir": agent.workspace,
            "bootstrapPending": agent.bootstrap,
            "sessionsPath": agent.path,
            "sessionsCount": agent.count,
            "lastUpdatedAt": agent.updated_at,
            "lastActiveAgeMs": agent.updated_at.map(|at| now.saturating_sub(at)),
        })
    });
    value["agents"] = json!({
        "defaultId": snapshot.config.default_agent_id(),
        "agents": rows.collect::<Vec<_>>(),
        "totalSessions": report.agents.iter().map(|agent| agent.count).sum::<usize>(),
        "bootstrapPendingCount": report.agents.iter().filter(|agent| agent.bootstrap).count(),
    });
    report.around.add(&mut value);
    for (name, part) in [
        ("health", &report.deep),
        ("usage", &report.usage),
        ("lastHeartbeat", &report.heartbeat),
    ] {
        if let Some(part) = part {
            value[name] = part.clone();
        }
    }
    value
}

fn print(context: &mut Context, report: &Report, all: bool) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let out = &mut context.out;
    out.title(if all {
        "OpenClaw status --all"
    } else {
        "OpenClaw status"
    })?;
    out.line("")?;
    out.title("Overview")?;
    let rows = overview(snapshot, report, all);
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(k, v)| vec![k.into(), v]).collect();
    out.table(
        &[Column::new("Item", 4), Column::flexible("Value", 20)],
        &rows,
    )?;
    out.line("")?;
    if !all {
        report.around.print_findings(out)?;
    }
    tables::channels(out, report)?;
    match all {
        true => diagnosis::print_agents(out, snapshot, report)?,
        false => tables::sessions(out, report)?,
    }
    let queued = report.summary["queuedSystemEvents"].as_array();
    if let Some(events) = queued.filter(|events| !events.is_empty()) {
        out.title("System events")?;
        for event in events.iter().take(5) {
            out.line(format!("- {}", event.as_str().unwrap_or_default()))?;
        }
        out.line("")?;
    }
    if let Some(deep) = &report.deep {
        out.title("Health")?;
        health::print(out, deep)?;
        out.line("")?;
    }
    if let Some(usage) = &report.usage {
        out.title("Usage")?;
        tables::usage(out, usage)?;
        out.line("")?;
    }
    if all {
        return diagnosis::print(out, snapshot, report);
    }
    out.line("Next steps:")?;
    out.line("  Need to share?      openclaw status --all")?;
    out.line("  Need to debug live? openclaw logs --follow")?;
    match report.probe.reached {
        true => out.line("  Need to test channels? openclaw status --deep")?,
        false => out.line("  Fix reachability first: openclaw gateway probe")?,
    }
    Ok(())
}

fn overview(snapshot: &Snapshot, report: &Report, all: bool) -> Vec<(&'static str, String)> {
    let config = &snapshot.config;
    let paths = &snapshot.paths;
    let mut rows = Vec::new();
    rows.push((
        "Version",
        format!("{} (behaviour {})", version::PROGRAM, version::BEHAVIOUR),
    ));
    rows.push((
        "Profile",
        paths.profile.clone().unwrap_or_else(|| "default".into()),
    ));
    rows.push(("State", paths.tilde(&paths.state)));
    let missing = if snapshot.exists { "" } else { " (missing)" };
    let invalid = if snapshot.valid { "" } else { " (invalid)" };
    rows.push((
        "Config",
        format!("{}{missing}{invalid}", paths.tilde(&snapshot.path)),
    ));
    if let Some(note) = report.summary["config"]["note"].as_str() {
        rows.push(("Reload", note.to_string()));
    }
    rows.push(("Dashboard", dashboard::address(snapshot)));
    let around = &report.around;
    rows.push(("OS", system()));
    rows.push(("Tailscale", around.tailscale()));
    rows.push(("Channel", around.channel()));
    rows.push(("Update", around.update()));
    rows.push(("Gateway", gateway(snapshot, report)));
    if all {
        rows.push(("Security", secret(snapshot)));
        let own = report.probe.own();
        let own = own.map_or_else(|| "unknown".into(), |own| own_text(&own, "app"));
        rows.push(("Gateway self", own));
    }
    rows.push(("Gateway service", around.service()));
    rows.push((
        "Node service",
        format!("{} not installed", around.service.label),
    ));
    let pending = report.agents.iter().filter(|agent| agent.bootstrap).count();
    let newest = report
        .agents
        .iter()
        .filter_map(|agent| agent.updated_at)
        .max();
    let newest = newest.map(|at| time::now_ms().saturating_sub(at));
    let total: usize = report.agents.iter().map(|agent| agent.count).sum();
    rows.push((
        "Agents",
        format!(
            "{} · {} · sessions {total} · default {} active {}",
            report.agents.len(),
            match pending {
                0 => "no bootstraps".to_string(),
                n => format!("{n} bootstrapping"),
            },
            config.default_agent_id(),
            age(newest)
        ),
    ));
    if all {
        return rows;
    }
    rows.push(("Memory", around.memory().into()));
    let probes = match &report.deep {
        Some(_) => "enabled",
        None => "skipped (use --deep)",
    };
    rows.push(("Probes", probes.into()));
    let events = report.summary["queuedSystemEvents"]
        .as_array()
        .map_or(0, Vec::len);
    rows.push((
        "Events",
        match events {
            0 => "none".into(),
            n => format!("{n} queued"),
        },
    ));
    let beats = report.summary["heartbeat"]["agents"].as_array();
    let beats: Vec<String> = beats
        .into_iter()
        .flatten()
        .map(|beat| {
            let on = beat["enabled"] == true && beat["everyMs"].as_u64().is_some_and(|ms| ms > 0);
            let every = if on {
                beat["every"].as_str().unwrap_or("")
            } else {
                "disabled"
            };
            format!("{every} ({})", beat["agentId"].as_str().unwrap_or(""))
        })
        .collect();
    rows.push(("Heartbeat", beats.join(", ")));
    if report.deep.is_some() {
        rows.push(("Last heartbeat", last_heartbeat(report)));
    }
    let known = &report.summary["sessions"];
    let window = known["defaults"]["contextTokens"].as_u64();
    let window = window.map_or_else(String::new, |n| {
        format!(" ({} ctx)", sessions::thousands(n))
    });
    let store = known["paths"][0].as_str().unwrap_or_default();
    rows.push((
        "Sessions",
        format!(
            "{} active · default {}{window} · {}",
            known["count"].as_u64().unwrap_or(0),
            known["defaults"]["model"].as_str().unwrap_or("none"),
            paths.tilde(std::path::Path::new(store))
        ),
    ));
    rows
}

fn gateway(snapshot: &Snapshot, report: &Report) -> String {
    let gateway = &snapshot.config.gateway;
    if report.misconfigured {
        return "misconfigured (remote.url missing)".into();
    }
    let mode = gateway.mode.as_deref().unwrap_or("local");
    let mut text = format!("{mode} · {} ({})", report.url, report.source);
    let probe = &report.probe;
    match (&probe.error, probe.latency_ms) {
        (Some(error), _) => text.push_str(&format!(" · unreachable ({error})")),
        (None, ms) => {
            text.push_str(&format!(" · reachable {}ms", ms.unwrap_or(0)));
            let auth = gateway.auth.mode.as_deref().unwrap_or("token");
            text.push_str(&format!(" · auth {auth}"));
            if let Some(own) = probe.own() {
                text.push_str(&format!(" · {}", own_text(&own, "app")));
            }
        }
    }
    text
}

fn last_heartbeat(report: &Report) -> String {
    let Some(last) = report.heartbeat.as_ref().filter(|last| last.is_object()) else {
        return "none".into();
    };
    let ago = last["ts"]
        .as_u64()
        .map(|at| time::now_ms().saturating_sub(at));
    format!(
        "{} · {}",
        last["status"].as_str().unwrap_or("unknown"),
        age(ago)
    )
}

/// That there is a secret, and enough of it to compare two machines.
fn secret(snapshot: &Snapshot) -> String {
    let auth = &snapshot.config.gateway.auth;
    let shown = |name: &str, secret: &Option<crate::base::secret::Secret>| {
        secret.as_ref().map(|secret| {
            let text = secret.expose();
            format!(
                "{name} sha256:{} · len {}",
                &hex::sha256(text.as_bytes())[..8],
                text.len()
            )
        })
    };
    let parts = [
        shown("token", &auth.token),
        shown("password", &auth.password),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "no secret in the config file".into(),
        false => parts.join(" · "),
    }
}

fn system() -> String {
    format!("{} {} ({})", std::env::consts::OS, release(), arch())
}

/// Node's names.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_string())
        .unwrap_or_default()
}
