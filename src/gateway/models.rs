//! Which models a run asks, from the configuration and the session's own choice.

use crate::config::Snapshot;
use crate::model::Target;
use crate::session::Entry;
use serde_json::Value;

/// The model of an installation that names none.
const BUILT_IN: &str = "anthropic/claude-opus-4-5";

/// The chosen model, then its fallbacks.
pub fn candidates(config: &Snapshot, agent_id: &str, entry: &Entry) -> Result<Vec<Target>, String> {
    let chosen = match (&entry.provider_override, &entry.model_override) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => default_reference(config, agent_id),
    };
    let mut names = vec![chosen];
    for fallback in fallbacks(config, agent_id) {
        if !names.contains(&fallback) {
            names.push(fallback);
        }
    }
    names.iter().map(|name| resolve(config, name)).collect()
}

/// `provider/model` of an agent's sessions that choose nothing.
pub fn default_reference(config: &Snapshot, agent_id: &str) -> String {
    let own = config.config.agent(agent_id).and_then(|a| a.model.as_ref());
    let own = own.and_then(|m| m.as_str().or_else(|| m["primary"].as_str()));
    own.or(config.config.agents.defaults.model.primary.as_deref())
        .unwrap_or(BUILT_IN)
        .to_string()
}

/// What a session without a choice of its own uses.
pub struct Default {
    pub provider: String,
    pub model: String,
    pub context_tokens: u64,
    pub reasoning: bool,
}

pub fn default(config: &Snapshot, agent_id: &str) -> Default {
    let name = default_reference(config, agent_id);
    let target = resolve(config, &name).ok();
    let (provider, model) = name.split_once('/').unwrap_or(("anthropic", &name));
    Default {
        provider: provider.into(),
        model: model.into(),
        reasoning: target.as_ref().is_some_and(|t| t.reasoning),
        context_tokens: target.map_or(200_000, |t| t.context_window),
    }
}

/// `(alias, provider/model)` pairs.
pub fn aliases(config: &Snapshot) -> Vec<(String, String)> {
    config
        .config
        .agents
        .defaults
        .models
        .iter()
        .filter_map(|(name, settings)| Some((settings["alias"].as_str()?.into(), name.clone())))
        .collect()
}

fn fallbacks(config: &Snapshot, agent_id: &str) -> Vec<String> {
    let own = config
        .config
        .agent(agent_id)
        .and_then(|a| a.model.as_ref())
        .and_then(|m| m["fallbacks"].as_array());
    match own {
        Some(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_string)
            .collect(),
        None => config.config.agents.defaults.model.fallbacks.clone(),
    }
}

fn resolve(config: &Snapshot, name: &str) -> Result<Target, String> {
    let (provider_id, model_id) = name
        .split_once('/')
        .ok_or_else(|| format!("Unknown model: {name}"))?;
    let provider = config
        .config
        .models
        .providers
        .get(provider_id)
        .ok_or_else(|| format!("Unknown model: {name}"))?;
    let model = provider.models.iter().find(|m| m.id == model_id);
    Ok(Target {
        provider: provider_id.into(),
        model: model_id.into(),
        name: model_id.into(),
        api: model
            .and_then(|m| m.api.clone())
            .or_else(|| provider.api.clone())
            .unwrap_or_else(|| "openai-responses".into()),
        base_url: provider.base_url.clone().unwrap_or_default(),
        key: provider.api_key.clone(),
        headers: Vec::new(),
        reasoning: model.is_some_and(|m| m.reasoning),
        images: model.is_some_and(|m| m.input.iter().any(|i| i == "image")),
        tools: true,
        context_window: model.and_then(|m| m.context_window).unwrap_or(200_000),
        max_tokens: model.and_then(|m| m.max_tokens).unwrap_or(8192),
        cost: [0.0; 4],
        compat: Value::Null,
        params: Value::Null,
    })
}
