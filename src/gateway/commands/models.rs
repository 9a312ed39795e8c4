//! `/model` and `/models`: what can be chosen, and choosing it.

use super::{Asked, patch};
use crate::config::Snapshot;
use crate::gateway::models;
use crate::gateway::session_patch::next_model;
use crate::model::catalogue;
use crate::model::name::{self, Ref};
use serde_json::{Map, Value};

/// Models on one page.
const PAGE: usize = 20;
/// Shown of the models a word may mean.
const MAX_LIKELY: usize = 5;

/// The models people choose from: those that are allowed when somebody said which, else those of
/// the configured providers, and the default.
fn choices(config: &Snapshot, agent: &str) -> Vec<String> {
    let listed = name::listed(config);
    let mut all = vec![models::reference(config, agent).to_string()];
    if listed.is_empty() {
        let configured = &config.config.models.providers;
        let rows = catalogue::list(config).into_iter();
        all.extend(
            rows.filter(|row| configured.contains_key(&row.provider))
                .map(|row| format!("{}/{}", row.provider, row.id)),
        );
    } else {
        all.extend(listed);
    }
    let mut seen = Vec::new();
    all.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    all
}

/// The model that a word means: a number of the list, an alias, a name or the part of one, with a
/// key behind an `@`. `None` is the default. The error is for people.
pub(super) fn find(asked: &Asked, word: &str) -> Result<Option<String>, String> {
    let word = word.split('@').next().unwrap_or_default();
    if word.eq_ignore_ascii_case("default") || word.is_empty() {
        return Ok(None);
    }
    let choices = choices(&asked.config, &asked.agent());
    let numbered = word
        .parse()
        .ok()
        .and_then(|n: usize| choices.get(n.checked_sub(1)?));
    if let Some(name) = numbered {
        return Ok(Some(name.clone()));
    }
    if let Some(named) = named(asked, &choices, word) {
        return named.map(Some);
    }
    let wanted = word.to_lowercase();
    let likely: Vec<&str> = choices
        .iter()
        .map(String::as_str)
        .filter(|name| name.to_lowercase().contains(&wanted))
        .collect();
    match likely.as_slice() {
        [one] => Ok(Some(one.to_string())),
        [] => Err(format!(
            "⚠️ No model is called \"{word}\". /models lists them."
        )),
        many => {
            let names = &many[..many.len().min(MAX_LIKELY)];
            Err(format!("⚠️ \"{word}\" may mean {}.", names.join(", ")))
        }
    }
}

/// The model that is called exactly so.
pub(super) fn exact(asked: &Asked, word: &str) -> Option<String> {
    let choices = choices(&asked.config, &asked.agent());
    named(asked, &choices, word)?.ok()
}

/// An alias, `provider/model`, or the model's own name; an error when it may not be used.
fn named(asked: &Asked, choices: &[String], word: &str) -> Option<Result<String, String>> {
    let config = &asked.config;
    let is_alias = |(alias, _): &(String, Ref)| alias.eq_ignore_ascii_case(word);
    if let Some((_, model)) = name::aliases(&config.config).into_iter().find(is_alias) {
        return Some(Ok(model.to_string()));
    }
    if let Some((provider, model)) = word.split_once('/') {
        let model = Ref::new(provider, model);
        let has = |row: &catalogue::Row| row.provider == model.provider;
        let known = name::configured(&config.config, provider).is_some()
            || catalogue::list(config).iter().any(has);
        if known && !model.model.is_empty() {
            return Some(match name::is_allowed(&config.config, &model) {
                true => Ok(model.to_string()),
                false => Err(format!(
                    "⚠️ {model} is not in agents.defaults.models, the models that may be used."
                )),
            });
        }
    }
    let own = |name: &&String| {
        let model = name.split_once('/').map_or("", |(_, model)| model);
        model.eq_ignore_ascii_case(word)
    };
    choices.iter().find(own).map(|name| Ok(name.clone()))
}

pub(super) fn choose(asked: &Asked, args: &str) -> String {
    let agent = asked.agent();
    let word = args.trim();
    if word.is_empty() || word.eq_ignore_ascii_case("status") {
        let entry = asked.entry();
        let model = next_model(&asked.config, &agent, &entry);
        let default = models::reference(&asked.config, &agent);
        let key = entry.auth_profile_override.as_deref();
        let key = key.map_or(String::new(), |id| format!(" with the key {id}"));
        return format!(
            "Model: {model}{key} (default: {default})\nChoose: /model <name|number>, /models lists them."
        );
    }
    if word.eq_ignore_ascii_case("list") {
        return list(asked, "");
    }
    let chosen = match find(asked, word) {
        Ok(chosen) => chosen,
        Err(why) => return why,
    };
    let params = Map::from_iter([("model".to_string(), chosen.map_or(Value::Null, Value::from))]);
    if let Err(why) = patch(asked, params) {
        return format!("⚠️ {why}");
    }
    if let Some((_, profile)) = word.split_once('@').filter(|(_, p)| !p.is_empty()) {
        let pinned = asked.core.agents.sessions.patch(asked.key, |entry| {
            entry.auth_profile_override = Some(profile.into());
            entry.auth_profile_override_source = Some("user".into());
        });
        if let Err(err) = pinned {
            return format!("⚠️ {err}");
        }
    }
    let model = next_model(&asked.config, &agent, &asked.entry());
    format!("⚙️ Model: {model}.")
}

pub(super) fn list(asked: &Asked, args: &str) -> String {
    let mut words: Vec<&str> = args.split_whitespace().collect();
    let page: usize = match words.last().and_then(|word| word.parse().ok()) {
        Some(page) => {
            words.pop();
            page
        }
        None => 1,
    };
    let wanted = words.first().map(|word| name::provider_id(word));
    let all = choices(&asked.config, &asked.agent());
    // Numbers are those of the whole list: they choose.
    let lines: Vec<String> = all
        .iter()
        .enumerate()
        .filter(|(_, name)| {
            let provider = name.split_once('/').map_or("", |(provider, _)| provider);
            wanted.as_ref().is_none_or(|wanted| provider == wanted)
        })
        .map(|(n, name)| format!("{}. {name}", n + 1))
        .collect();
    if lines.is_empty() {
        return "⚠️ No model of that provider can be chosen. /models lists all.".into();
    }
    let pages = lines.len().div_ceil(PAGE);
    let page = page.clamp(1, pages);
    let shown = &lines[(page - 1) * PAGE..lines.len().min(page * PAGE)];
    format!(
        "Models ({page}/{pages})\n{}\nChoose: /model <name|number>",
        shown.join("\n")
    )
}
