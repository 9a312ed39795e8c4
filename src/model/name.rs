//! Model names: `provider/model` and aliases, which of them may be used, and the chain of fallbacks.

use crate::config::schema::{self, Agent, Config};
use crate::config::{Paths, Snapshot, agents};
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;

pub const DEFAULT: &str = "anthropic/claude-opus-4-5";

/// Short names that hold without being configured, for models in `agents.defaults.models`.
const ALIASES: [(&str, &str); 6] = [
    ("opus", "anthropic/claude-opus-4-5"),
    ("sonnet", "anthropic/claude-sonnet-4-5"),
    ("gpt", "openai/gpt-5.2"),
    ("gpt-mini", "openai/gpt-5-mini"),
    ("gemini", "google/gemini-3-pro-preview"),
    ("gemini-flash", "google/gemini-3-flash-preview"),
];

/// A model by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    pub provider: String,
    /// May contain slashes.
    pub model: String,
}

impl Ref {
    pub fn new(provider: &str, model: &str) -> Ref {
        let provider = provider_id(provider);
        let model = match (provider.as_str(), model) {
            ("google", "gemini-3-pro") => "gemini-3-pro-preview",
            ("google", "gemini-3-flash") => "gemini-3-flash-preview",
            (_, model) => model,
        };
        Ref {
            provider,
            model: model.to_string(),
        }
    }

    /// `provider/model`, an alias, or a bare model of Anthropic's.
    pub fn parse(config: &Config, text: &str) -> Ref {
        let text = text.trim();
        if let Some(named) = alias(config, text) {
            return named;
        }
        match text.split_once('/') {
            Some((provider, model)) => Ref::new(provider, model),
            None => Ref::new("anthropic", text),
        }
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// The usual spelling of a provider's name.
pub fn provider_id(name: &str) -> String {
    let name = name.trim().to_lowercase();
    match name.as_str() {
        "z.ai" | "z-ai" => "zai".into(),
        "opencode-zen" => "opencode".into(),
        "qwen" => "qwen-portal".into(),
        "kimi-code" => "kimi-coding".into(),
        _ => name,
    }
}

/// Aliases and what they stand for, sorted.
pub fn aliases(config: &Config) -> Vec<(String, Ref)> {
    let listed = config.agents.defaults.models.iter();
    let mut all: Vec<(String, Ref)> = listed
        .filter_map(|(name, options)| {
            let built_in = ALIASES.iter().find(|(_, target)| target == name);
            let alias = options.get("alias").and_then(Value::as_str);
            let alias = alias.or(built_in.map(|(alias, _)| *alias))?;
            let (provider, model) = name.split_once('/')?;
            Some((alias.to_string(), Ref::new(provider, model)))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The models `agents.defaults.models` names, in the order of the file.
pub fn listed(snapshot: &Snapshot) -> Vec<String> {
    let models = snapshot.value["agents"]["defaults"]["models"].as_object();
    models.map_or_else(Vec::new, |models| models.keys().cloned().collect())
}

fn alias(config: &Config, text: &str) -> Option<Ref> {
    let all = aliases(config);
    let named = all
        .into_iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(text));
    named.map(|(_, target)| target)
}

/// The models to try in order: what was asked for (or the agent's, or the default), then the
/// fallbacks that are allowed, then the configured primary.
pub fn chain(config: &Config, agent: Option<&Agent>, asked: Option<&str>) -> Vec<Ref> {
    let defaults = &config.agents.defaults.model;
    let own = agent.and_then(|a| a.model.as_ref());
    let own_primary = own.and_then(|m| m.as_str().or_else(|| m.get("primary")?.as_str()));
    let own_fallbacks = own.and_then(|m| m.get("fallbacks")?.as_array());
    let primary = own_primary
        .or(defaults.primary.as_deref())
        .unwrap_or(DEFAULT);
    let primary = Ref::parse(config, primary);
    let mut chain = vec![match asked {
        Some(asked) => Ref::parse(config, asked),
        None => primary.clone(),
    }];
    let fallbacks: Vec<&str> = match own_fallbacks {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => defaults.fallbacks.iter().map(String::as_str).collect(),
    };
    for fallback in fallbacks {
        let fallback = Ref::parse(config, fallback);
        if is_allowed(config, &fallback) {
            chain.push(fallback);
        }
    }
    if own_fallbacks.is_none() {
        chain.push(primary);
    }
    let mut seen = Vec::new();
    chain.retain(|r| {
        !seen.contains(r) && {
            seen.push(r.clone());
            true
        }
    });
    chain
}

/// `agents.defaults.models`, when it has entries, is the list of what may be used.
pub fn is_allowed(config: &Config, model: &Ref) -> bool {
    let listed = &config.agents.defaults.models;
    let names = |name: &String| {
        let split = name.split_once('/');
        split.is_some_and(|(provider, id)| Ref::new(provider, id) == *model)
    };
    let default = config.agents.defaults.model.primary.as_deref();
    listed.is_empty()
        || listed.keys().any(names)
        || Ref::parse(config, default.unwrap_or(DEFAULT)) == *model
}

/// The configuration of a provider, by any spelling of its name.
pub fn configured<'c>(config: &'c Config, provider: &str) -> Option<&'c schema::Provider> {
    let wanted = provider_id(provider);
    let providers = &config.models.providers;
    providers.get(&wanted).or_else(|| {
        let mut all = providers.iter();
        all.find(|(id, _)| provider_id(id) == wanted)
            .map(|(_, p)| p)
    })
}

/// The agent's folder of credentials.
pub fn agent_dir(paths: &Paths, agent: &str) -> PathBuf {
    match agent {
        agents::MAIN_AGENT => paths.agent_dir.clone(),
        agent => paths.agent(agent).join("agent"),
    }
}
