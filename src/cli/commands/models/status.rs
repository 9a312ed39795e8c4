//! `openclaw models status`: which model answers and what opens its provider. No gateway is asked.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Column;
use crate::base::cmdline::{Command, Flag};
use crate::model::status::{self, Auth, Health, Status, WARN_AFTER_MS, remaining};
use crate::ops::model_probe::{self, Options, Report};
use serde_json::{Map, Value, json};

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show the model in use and the keys that open it",
    about: "With --probe every key is tried with one small call, which may cost something.",
    flags: &[
        Flag::switch(
            "check",
            "Exit with 1 when a key is missing or has ended, 2 when one ends within a day",
        ),
        Flag::switch("plain", "Only the default model"),
        Flag::switch("probe", "Try every key with a real call"),
        Flag::value("probe-concurrency", "n", "Calls at the same time").default("2"),
        Flag::value("probe-max-tokens", "n", "Tokens of each answer").default("8"),
        Flag::value(
            "probe-profile",
            "id",
            "Try only this profile; commas separate several",
        )
        .repeatable(),
        Flag::value("probe-provider", "name", "Try only this provider's keys"),
        Flag::value("probe-timeout", "ms", "Limit of each call").default("8000"),
    ],
    ..Command::NEW
};

/// What is wanted of it.
struct Wanted {
    json: bool,
    plain: bool,
    check: bool,
    probe: Option<Options>,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let has = |flag| context.matches.has(flag);
    super::one_form(context)?;
    let plain = has("plain");
    if plain && has("probe") {
        return Err(Failure::said(
            "Error: --probe cannot be used with --plain output.",
        ));
    }
    let wanted = Wanted {
        json: context.json(),
        plain,
        check: has("check"),
        probe: match has("probe") {
            true => Some(options(context)?),
            false => None,
        },
    };
    show(context, wanted)
}

/// `openclaw models` alone.
pub fn bare(context: &mut Context) -> Result<(), Failure> {
    let wanted = Wanted {
        json: context.json() || context.matches.has("status-json"),
        plain: context.matches.has("status-plain"),
        check: false,
        probe: None,
    };
    show(context, wanted)
}

fn show(context: &mut Context, wanted: Wanted) -> Result<(), Failure> {
    let agent = super::agent(context)?;
    let snapshot = &context.local.snapshot;
    let status = status::status(snapshot, agent.as_deref());
    let probe = |options| model_probe::run(snapshot, &status, options);
    let report = wanted.probe.map(probe);
    if wanted.json {
        let record = record(&status, report.as_ref());
        context.out.json(&record)?;
    } else if wanted.plain {
        context.out.line(status.default.to_string())?;
    } else {
        print(context, &status)?;
        if let Some(report) = &report {
            print_probes(context, report)?;
        }
    }
    match wanted.check {
        true => verdict(&status),
        false => Ok(()),
    }
}

fn options(context: &Context) -> Result<Options, Failure> {
    let number = |flag, default, rule| super::positive(context, flag, default, rule);
    let profiles = context.matches.all("probe-profile");
    let ids = profiles.flat_map(|ids| ids.split(',')).map(str::trim);
    let timeout_ms = number("probe-timeout", 8000.0, "a positive number (ms).")?;
    Ok(Options {
        provider: context.matches.text("probe-provider").map(str::to_string),
        profile_ids: ids.filter(|id| !id.is_empty()).map(String::from).collect(),
        timeout_ms: timeout_ms as u64,
        concurrency: number("probe-concurrency", 2.0, "> 0.")?.max(1.0) as usize,
        max_tokens: number("probe-max-tokens", 8.0, "> 0.")?.max(1.0) as u64,
    })
}

fn verdict(status: &Status) -> Result<(), Failure> {
    let is = |wanted: &str| tokens(status).any(|health| health.status == wanted);
    if !status.missing.is_empty() || is("expired") || is("missing") {
        return Err(Failure::Silent);
    }
    match is("expiring") {
        true => Err(Failure::Warned),
        false => Ok(()),
    }
}

/// What can end: not keys.
fn tokens(status: &Status) -> impl Iterator<Item = &Health> {
    status
        .health
        .iter()
        .filter(|health| health.kind != "api_key")
}

fn print(context: &mut Context, status: &Status) -> Result<(), Failure> {
    let paths = context.local.paths().clone();
    let list = |names: &[String], none: &str| match names.is_empty() {
        true => none.to_string(),
        false => names.join(", "),
    };
    let aliases: Vec<String> = status
        .aliases
        .iter()
        .map(|(alias, model)| format!("{alias} -> {model}"))
        .collect();
    let default = status.default.to_string();
    let default = match status.asked == default {
        true => default,
        false => format!("{default} (from {})", status.asked),
    };
    // Of a named agent it is said where each setting comes from.
    let from = |own: bool| match &status.agent {
        Some(_) if own => " (agent)",
        Some(_) => " (defaults)",
        None => "",
    };
    let named = status.agent.as_ref();
    let own_model = from(named.is_some_and(|agent| agent.own_model));
    let own_fallbacks = from(named.is_some_and(|agent| agent.own_fallbacks));
    let image_model = status.image_model.as_deref().unwrap_or("-").to_string();
    let lines = [
        ("Config".to_string(), paths.tilde(&status.config)),
        ("Agent dir".into(), paths.tilde(&status.agent_dir)),
        (format!("Default{own_model}"), default),
        (
            format!("Fallbacks ({}){own_fallbacks}", status.fallbacks.len()),
            list(&status.fallbacks, "-"),
        ),
        (format!("Image model{}", from(false)), image_model),
        (
            format!(
                "Image fallbacks ({}){}",
                status.image_fallbacks.len(),
                from(false)
            ),
            list(&status.image_fallbacks, "-"),
        ),
        (format!("Aliases ({})", aliases.len()), list(&aliases, "-")),
        (
            format!("Configured models ({})", status.allowed.len()),
            list(&status.allowed, "all"),
        ),
    ];
    let out = &mut context.out;
    for (name, text) in lines {
        out.line(format!("{name:<14}: {text}"))?;
    }
    let store = paths.tilde(&status.auth_store);
    out.line("")?;
    out.line("Auth overview")?;
    out.line(format!("{:<14}: {store}", "Auth store"))?;
    out.line(format!("{:<14}: off", "Shell env"))?;
    let opened = with_tokens(status);
    out.line(format!(
        "Providers w/ OAuth/tokens ({}): {}",
        opened.len(),
        list(&opened, "-")
    ))?;
    for auth in &status.auth {
        out.line(format!("- {} {}", auth.provider, overview(auth, &store)))?;
    }
    if !status.missing.is_empty() {
        out.line("")?;
        out.line("Missing auth")?;
        for provider in &status.missing {
            out.line(format!("- {provider} {}", fix(provider)))?;
        }
    }
    out.line("")?;
    out.line("OAuth/token status")?;
    let mut last = "";
    for health in tokens(status) {
        if last != health.provider {
            out.line(format!("- {}", health.provider))?;
            last = &health.provider;
        }
        let ends = match health.remaining_ms {
            Some(ms) => format!(" expires in {}", remaining(ms)),
            None => String::new(),
        };
        out.line(format!("  - {} {}{ends}", health.label, health.status))?;
    }
    if last.is_empty() {
        out.line("- none")?;
    }
    Ok(())
}

fn overview(auth: &Auth, store: &str) -> String {
    let (kind, detail) = auth.effective(store);
    let mut parts = vec![format!("effective={kind}:{detail}")];
    if !auth.profiles.is_empty() {
        parts.push(format!(
            "profiles={} (oauth={}, token={}, api_key={})",
            auth.profiles.len(),
            auth.count("oauth"),
            auth.count("token"),
            auth.count("api_key"),
        ));
        let labels: Vec<&str> = auth
            .profiles
            .iter()
            .map(|(_, label)| label.as_str())
            .collect();
        parts.push(labels.join(", "));
    }
    if let Some((name, value)) = &auth.env {
        parts.push(format!("env={value} | source=env: {name}"));
    }
    if let Some(value) = &auth.config {
        parts.push(format!("models.json={value} | source=models.providers"));
    }
    parts.join(" | ")
}

fn fix(provider: &str) -> String {
    match provider {
        "anthropic" => "Run `claude setup-token`, then `openclaw models auth setup-token`, or set ANTHROPIC_API_KEY in the environment.".into(),
        "github-copilot" => "Run `openclaw models auth login-github-copilot`.".into(),
        provider => format!(
            "Set its API key in the environment, or run `openclaw models auth paste-token --provider {provider}`."
        ),
    }
}

fn print_probes(context: &mut Context, report: &Report) -> Result<(), Failure> {
    let out = &mut context.out;
    out.line("")?;
    out.line("Auth probes")?;
    if report.results.is_empty() {
        return Ok(out.line("- none")?);
    }
    let rows: Vec<Vec<String>> = report
        .results
        .iter()
        .map(|probed| {
            let model = probed.model.clone();
            let error = probed.error.as_ref().map(|why| format!(" ↳ {why}"));
            vec![
                model.unwrap_or_else(|| format!("{}/-", probed.provider)),
                format!("{} ({})", probed.label, probed.mode),
                format!(
                    "{} · {}{}",
                    probed.status,
                    milliseconds(probed.latency_ms),
                    error.unwrap_or_default()
                ),
            ]
        })
        .collect();
    let columns = [
        Column::new("Model", 18),
        Column::new("Profile", 24),
        Column::flexible("Status", 12),
    ];
    out.table(&columns, &rows)?;
    let s = if report.total_targets == 1 { "" } else { "s" };
    Ok(out.line(match report.total_targets {
        0 => "No probe targets.".into(),
        n => format!(
            "Probed {n} target{s} in {}",
            milliseconds(Some(report.duration_ms))
        ),
    })?)
}

/// `640ms`, `1.2s`.
pub fn milliseconds(ms: Option<u64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms @ 0..1000) => format!("{ms}ms"),
        Some(ms) => format!("{:.1}s", ms as f64 / 1000.0),
    }
}

/// Providers opened by a token or a login rather than a key, and by how many.
fn with_tokens(status: &Status) -> Vec<String> {
    let opened = status.auth.iter().filter(|auth| auth.tokens() > 0);
    opened
        .map(|auth| format!("{} ({})", auth.provider, auth.tokens()))
        .collect()
}

fn record(status: &Status, report: Option<&Report>) -> Value {
    let aliases: Map<String, Value> = status
        .aliases
        .iter()
        .map(|(alias, model)| (alias.clone(), json!(model.to_string())))
        .collect();
    let mut record = Map::new();
    let mut put = |key: &str, value: Value| drop(record.insert(key.into(), value));
    put("configPath", json!(status.config));
    if let Some(agent) = &status.agent {
        put("agentId", json!(agent.id));
    }
    put("agentDir", json!(status.agent_dir));
    put("defaultModel", json!(status.asked));
    put("resolvedDefault", json!(status.default.to_string()));
    put("fallbacks", json!(status.fallbacks));
    put("imageModel", json!(status.image_model));
    put("imageFallbacks", json!(status.image_fallbacks));
    if let Some(agent) = &status.agent {
        let source = |own: bool| if own { "agent" } else { "defaults" };
        let sources = json!({
            "defaultSource": source(agent.own_model),
            "fallbacksSource": source(agent.own_fallbacks),
        });
        put("modelConfig", sources);
    }
    put("aliases", Value::Object(aliases));
    put("allowed", json!(status.allowed));
    let mut auth = json!({
        "storePath": status.auth_store,
        "shellEnvFallback": {"enabled": false, "appliedKeys": []},
        "providersWithOAuth": with_tokens(status),
        "missingProvidersInUse": status.missing,
        "providers": status.auth.iter().map(|auth| opened(status, auth)).collect::<Vec<_>>(),
        "unusableProfiles": status.resting,
        "oauth": {
            "warnAfterMs": WARN_AFTER_MS,
            "profiles": status.health,
            "providers": status.providers.iter().map(|id| lasting(status, id)).collect::<Vec<_>>(),
        },
    });
    if let Some(report) = report {
        auth["probes"] = json!(report);
    }
    put("auth", auth);
    Value::Object(record)
}

fn opened(status: &Status, auth: &Auth) -> Value {
    let store = status.auth_store.display().to_string();
    let (kind, detail) = auth.effective(&store);
    let labels: Vec<&str> = auth
        .profiles
        .iter()
        .map(|(_, label)| label.as_str())
        .collect();
    let mut record = json!({
        "provider": auth.provider,
        "effective": {"kind": kind, "detail": detail},
        "profiles": {
            "count": auth.profiles.len(),
            "oauth": auth.count("oauth"),
            "token": auth.count("token"),
            "apiKey": auth.count("api_key"),
            "labels": labels,
        },
    });
    if let Some((name, value)) = &auth.env {
        record["env"] = json!({"value": value, "source": format!("env: {name}")});
    }
    if let Some(value) = &auth.config {
        record["modelsJson"] = json!({"value": value, "source": "models.providers"});
    }
    record
}

/// How long what opens a provider still holds: as long as the shortest-lived of its tokens.
fn lasting(status: &Status, provider: &str) -> Value {
    let own: Vec<&Health> = status
        .health
        .iter()
        .filter(|health| crate::model::name::provider_id(&health.provider) == provider)
        .collect();
    let ending = own.iter().filter(|health| health.expires_at.is_some());
    let first = ending.min_by_key(|health| health.expires_at);
    let worst = ["expired", "expiring", "ok"];
    let found = worst
        .iter()
        .find(|status| own.iter().any(|h| h.status == **status));
    let verdict = match own.is_empty() {
        true => "missing",
        false => found.copied().unwrap_or("static"),
    };
    let mut record = json!({"provider": provider, "status": verdict, "profiles": own});
    if let Some(first) = first {
        record["expiresAt"] = json!(first.expires_at);
        record["remainingMs"] = json!(first.remaining_ms);
    }
    record
}
