//! `openclaw models status`: which model answers and what opens its provider. Local: no gateway is
//! asked.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::model::choose;
use crate::model::credential::Source;
use crate::model::name::{self, Ref};
use crate::model::status::{self, Auth, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show the model in use and the keys that open it",
    flags: &[
        Flag::switch("check", "Exit with 1 when a key is missing"),
        Flag::switch("plain", "Only the default model"),
    ],
    ..Command::NEW
};

/// How long before its end the original warns of an expiring token.
const WARN_AFTER_MS: u64 = 86_400_000;

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let agent_dir = name::agent_dir(&snapshot.paths, &snapshot.config.default_agent_id());
    let status = status::status(snapshot, &agent_dir);
    let missing = missing(context, &status);
    if context.json() {
        let record = record(&status, &missing);
        context.out.json(&record)?;
    } else if context.matches.has("plain") {
        context.out.line(status.default.to_string())?;
    } else {
        print(context, &status, &missing)?;
    }
    match context.matches.has("check") && !missing.is_empty() {
        true => Err(Failure::Silent),
        false => Ok(()),
    }
}

/// Providers of the models in use that nothing opens.
fn missing(context: &Context, status: &Status) -> Vec<String> {
    let snapshot = &context.local.snapshot;
    let mut used = vec![status.default.clone()];
    used.extend(
        status
            .fallbacks
            .iter()
            .map(|name| Ref::parse(&snapshot.config, name)),
    );
    let mut missing: Vec<String> = used
        .into_iter()
        .filter(|model| choose::targets(snapshot, &status.agent_dir, model).is_err())
        .map(|model| model.provider)
        .collect();
    missing.dedup();
    missing
}

fn print(context: &mut Context, status: &Status, missing: &[String]) -> Result<(), Failure> {
    let paths = context.local.paths().clone();
    let list = |names: Vec<String>, none: &str| match names.is_empty() {
        true => none.to_string(),
        false => names.join(", "),
    };
    let aliases: Vec<String> = status
        .aliases
        .iter()
        .map(|(alias, model)| format!("{alias} -> {model}"))
        .collect();
    let lines = [
        ("Config".to_string(), paths.tilde(&status.config)),
        ("Agent dir".into(), paths.tilde(&status.agent_dir)),
        ("Default".into(), status.default.to_string()),
        (
            format!("Fallbacks ({})", status.fallbacks.len()),
            list(status.fallbacks.clone(), "-"),
        ),
        (
            "Image model".into(),
            status.image_model.clone().unwrap_or_else(|| "-".into()),
        ),
        (
            format!("Image fallbacks ({})", status.image_fallbacks.len()),
            list(status.image_fallbacks.clone(), "-"),
        ),
        (format!("Aliases ({})", aliases.len()), list(aliases, "-")),
        (
            format!("Configured models ({})", status.allowed.len()),
            list(status.allowed.clone(), "all"),
        ),
    ];
    let out = &mut context.out;
    for (name, text) in lines {
        out.line(format!("{name:<14}: {text}"))?;
    }
    out.line("")?;
    out.line("Auth overview")?;
    out.line(format!(
        "{:<14}: {}",
        "Auth store",
        paths.tilde(&status.auth_store)
    ))?;
    out.line(format!("{:<14}: off", "Shell env"))?;
    let tokens = with_tokens(status);
    out.line(format!(
        "Providers w/ OAuth/tokens ({}): {}",
        tokens.len(),
        list(tokens, "-")
    ))?;
    for auth in &status.auth {
        if let Some((source, masked)) = &auth.effective {
            out.line(format!(
                "- {} effective={}",
                auth.provider,
                source_text(source, masked)
            ))?;
        }
    }
    if !missing.is_empty() {
        out.line("")?;
        out.line("Missing auth")?;
        for provider in missing {
            out.line(format!(
                "- {provider} Set its API key in the environment, or run `openclaw quickstart`."
            ))?;
        }
    }
    out.line("")?;
    out.line("OAuth/token status")?;
    out.line("- none")?;
    Ok(())
}

fn source_text(source: &Source, masked: &str) -> String {
    match source {
        Source::Profile(id) => format!("profiles:{masked} | profile={id}"),
        Source::Env(name) => format!("env:{masked} | source=env: {name}"),
        Source::Config => format!("models.json:{masked} | source=models.providers"),
    }
}

/// Providers opened by a token or a login rather than a key.
fn with_tokens(status: &Status) -> Vec<String> {
    status
        .auth
        .iter()
        .filter(|auth| auth.profiles.iter().any(|p| p.kind != "api_key"))
        .map(|auth| auth.provider.clone())
        .collect()
}

fn record(status: &Status, missing: &[String]) -> Value {
    let aliases: BTreeMap<&str, String> = status
        .aliases
        .iter()
        .map(|(alias, model)| (alias.as_str(), model.to_string()))
        .collect();
    let oauth: Vec<Value> = missing
        .iter()
        .map(|provider| json!({"provider": provider, "status": "missing", "profiles": []}))
        .collect();
    let resting: Vec<&str> = status
        .auth
        .iter()
        .flat_map(|auth| &auth.profiles)
        .filter(|profile| profile.rests_until.is_some())
        .map(|profile| profile.id.as_str())
        .collect();
    json!({
        "configPath": status.config,
        "agentDir": status.agent_dir,
        "defaultModel": status.default.to_string(),
        "resolvedDefault": status.default.to_string(),
        "fallbacks": status.fallbacks,
        "imageModel": status.image_model,
        "imageFallbacks": status.image_fallbacks,
        "aliases": aliases,
        "allowed": status.allowed,
        "auth": {
            "storePath": status.auth_store,
            "shellEnvFallback": {"enabled": false, "appliedKeys": []},
            "providersWithOAuth": with_tokens(status),
            "missingProvidersInUse": missing,
            "providers": status.auth.iter().filter_map(provider).collect::<Vec<_>>(),
            "unusableProfiles": resting,
            "oauth": {"warnAfterMs": WARN_AFTER_MS, "profiles": [], "providers": oauth},
        },
    })
}

fn provider(auth: &Auth) -> Option<Value> {
    let (source, masked) = auth.effective.as_ref()?;
    let (kind, detail) = match source {
        Source::Profile(id) => ("profiles", id.clone()),
        Source::Env(name) => ("env", name.clone()),
        Source::Config => ("models.json", masked.clone()),
    };
    let mut record = json!({
        "provider": auth.provider,
        "effective": {"kind": kind, "detail": detail},
        "profiles": {
            "count": auth.profiles.len(),
            "labels": auth.profiles.iter().map(|p| &p.id).collect::<Vec<_>>(),
        },
    });
    if let Some((name, masked)) = &auth.env {
        record["env"] = json!({"value": masked, "source": format!("env: {name}")});
    }
    if let Some(masked) = &auth.config {
        record["modelsJson"] = json!({"value": masked, "source": "models.providers"});
    }
    Some(record)
}
