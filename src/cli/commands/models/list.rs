//! `openclaw models list`: the models in use, or all that are known.

use super::super::super::Context;
use super::super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::config::Snapshot;
use crate::model::catalogue::{self, Row};
use crate::model::choose;
use crate::model::credential::Profiles;
use crate::model::name::{self, Ref};
use serde_json::json;
use std::path::PathBuf;

pub const SPEC: Command = Command {
    name: "list",
    summary: "List the models in use, or all that are known",
    flags: &[
        Flag::switch("all", "Every model of the catalogue and the configuration"),
        Flag::switch("local", "Only models on this machine"),
        Flag::switch("plain", "Only names, one a line"),
        Flag::value("provider", "id", "Only this provider's"),
    ],
    ..Command::NEW
};

/// A model with what the list says of it.
struct Shown {
    key: String,
    row: Option<Row>,
    local: bool,
    available: bool,
    tags: Vec<String>,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    super::one_form(context)?;
    let snapshot = &context.local.snapshot;
    let all = context.matches.has("all");
    let only_local = context.matches.has("local");
    let provider = context.matches.text("provider").map(name::provider_id);
    let mut shown = match all {
        true => everything(snapshot),
        false => in_use(snapshot),
    };
    shown.retain(|model| {
        (!only_local || model.local)
            && provider
                .as_ref()
                .is_none_or(|p| provider_of(&model.key) == p)
    });
    if context.json() {
        let models: Vec<_> = shown.iter().map(record).collect();
        context
            .out
            .json(&json!({"count": models.len(), "models": models}))?;
        return Ok(());
    }
    if context.matches.has("plain") {
        for model in &shown {
            context.out.line(&model.key)?;
        }
        return Ok(());
    }
    if shown.is_empty() {
        context.out.line("No models found.")?;
        return Ok(());
    }
    context
        .out
        .line(columns(["Model", "Input", "Ctx", "Local", "Auth", "Tags"]))?;
    for model in &shown {
        let known = model.row.is_some();
        let yes = |is: bool| match is {
            _ if !known => "-",
            true => "yes",
            false => "no",
        };
        let (input, context_window) = match &model.row {
            Some(row) => (
                row.input.join("+"),
                format!("{}k", row.context_window / 1024),
            ),
            None => ("-".into(), "-".into()),
        };
        let tags = model.tags.join(",");
        let cells = [
            model.key.as_str(),
            &input,
            &context_window,
            yes(model.local),
            yes(model.available),
            &tags,
        ];
        context.out.line(columns(cells))?;
    }
    Ok(())
}

/// The original's widths: scripts cut these columns.
fn columns(cells: [&str; 6]) -> String {
    let [model, input, window, local, auth, tags] = cells;
    let line = format!("{model:<42} {input:<10} {window:<8} {local:<5} {auth:<5} {tags}");
    line.trim_end().to_string()
}

fn record(model: &Shown) -> serde_json::Value {
    let row = model.row.as_ref();
    json!({
        "key": model.key,
        "name": row.map_or(model.key.as_str(), |row| &row.name),
        "input": row.map_or("-".into(), |row| row.input.join("+")),
        "contextWindow": row.map(|row| row.context_window),
        "local": row.map(|_| model.local),
        "available": row.map(|_| model.available),
        "tags": model.tags,
        "missing": row.is_none(),
    })
}

fn everything(snapshot: &Snapshot) -> Vec<Shown> {
    let used = tagged(snapshot);
    let keys = Keys::of(snapshot);
    catalogue::list(snapshot)
        .into_iter()
        .map(|row| {
            let key = format!("{}/{}", row.provider, row.id);
            let tags = used.iter().find(|(model, _)| model.to_string() == key);
            let tags = tags.map_or(Vec::new(), |(_, t)| t.clone());
            keys.shown(key, Some(row), tags)
        })
        .collect()
}

fn in_use(snapshot: &Snapshot) -> Vec<Shown> {
    let known = catalogue::list(snapshot);
    let keys = Keys::of(snapshot);
    tagged(snapshot)
        .into_iter()
        .map(|(model, mut tags)| {
            let key = model.to_string();
            let row = known
                .iter()
                .find(|row| row.provider == model.provider && row.id == model.model)
                .cloned()
                .or_else(|| unlisted(snapshot, &model));
            if row.is_none() {
                tags.push("missing".into());
            }
            keys.shown(key, row, tags)
        })
        .collect()
}

/// A model nobody described, at a provider that is configured: it can be called all the same.
fn unlisted(snapshot: &Snapshot, model: &Ref) -> Option<Row> {
    let target = choose::target(snapshot, model).ok()?;
    Some(Row {
        id: target.model,
        name: target.name,
        provider: target.provider,
        context_window: target.context_window,
        reasoning: target.reasoning,
        input: match target.images {
            true => vec!["text", "image"],
            false => vec!["text"],
        },
    })
}

/// The default agent's keys, read once for the whole list.
struct Keys<'s> {
    snapshot: &'s Snapshot,
    agent_dir: PathBuf,
    profiles: Profiles,
}

impl Keys<'_> {
    fn of(snapshot: &Snapshot) -> Keys<'_> {
        let agent_dir = name::agent_dir(&snapshot.paths, &snapshot.config.default_agent_id());
        Keys {
            snapshot,
            profiles: Profiles::read(&snapshot.paths, &agent_dir),
            agent_dir,
        }
    }

    fn shown(&self, key: String, row: Option<Row>, tags: Vec<String>) -> Shown {
        let reference = Ref::parse(&self.snapshot.config, &key);
        let Keys {
            snapshot,
            agent_dir,
            profiles,
        } = self;
        let choices = choose::targets_with(snapshot, profiles, agent_dir, &reference);
        let target = choose::target(snapshot, &reference).ok();
        let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        Shown {
            local: target.is_some_and(|t| loopback.iter().any(|host| t.base_url.starts_with(host))),
            available: choices.is_ok(),
            key,
            row,
            tags,
        }
    }
}

/// The models the configuration names, each with why: `default`, `fallback#1`, `image`,
/// `img-fallback#1`, `configured`, `alias:fast`.
fn tagged(snapshot: &Snapshot) -> Vec<(Ref, Vec<String>)> {
    let config = &snapshot.config;
    let mut found: Vec<(Ref, Vec<String>)> = Vec::new();
    let mut add = |model: Ref, tag: String| match found.iter_mut().find(|(m, _)| *m == model) {
        Some((_, tags)) if tags.contains(&tag) => {}
        Some((_, tags)) => tags.push(tag),
        None => found.push((model, vec![tag])),
    };
    let defaults = &config.agents.defaults;
    let named = |name: &str| Ref::parse(config, name);
    let primary = defaults.model.primary.as_deref().unwrap_or(name::DEFAULT);
    add(named(primary), "default".into());
    for (i, name) in defaults.model.fallbacks.iter().enumerate() {
        add(named(name), format!("fallback#{}", i + 1));
    }
    if let Some(name) = &defaults.image_model.primary {
        add(named(name), "image".into());
    }
    for (i, name) in defaults.image_model.fallbacks.iter().enumerate() {
        add(named(name), format!("img-fallback#{}", i + 1));
    }
    for name in name::listed(snapshot) {
        add(named(&name), "configured".into());
    }
    for (alias, model) in name::aliases(config) {
        add(model, format!("alias:{alias}"));
    }
    found
}

fn provider_of(key: &str) -> &str {
    key.split_once('/').map_or(key, |(provider, _)| provider)
}
