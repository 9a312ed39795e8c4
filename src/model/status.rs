//! What `models status` shows: which model answers, and what opens each provider. Keys are masked.

use super::catalogue;
use super::credential::{self, Profiles, Source, masked};
use super::name::{self, Ref};
use crate::config::Snapshot;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Status {
    pub config: PathBuf,
    pub agent_dir: PathBuf,
    pub auth_store: PathBuf,
    pub default: Ref,
    pub fallbacks: Vec<String>,
    pub image_model: Option<String>,
    pub image_fallbacks: Vec<String>,
    pub aliases: Vec<(String, Ref)>,
    /// Keys of `agents.defaults.models`; none means all are allowed.
    pub allowed: Vec<String>,
    pub auth: Vec<Auth>,
}

/// What opens one provider.
#[derive(Clone, Debug)]
pub struct Auth {
    pub provider: String,
    /// What a call uses now.
    pub effective: Option<(Source, String)>,
    pub profiles: Vec<Profile>,
    /// Variable and masked value.
    pub env: Option<(String, String)>,
    /// Masked `models.providers.<id>.apiKey`.
    pub config: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Profile {
    pub id: String,
    /// `api_key`, `token`, `oauth`.
    pub kind: String,
    /// Milliseconds since 1970.
    pub rests_until: Option<u64>,
}

pub fn status(snapshot: &Snapshot, agent_dir: &Path) -> Status {
    let config = &snapshot.config;
    let defaults = &config.agents.defaults;
    let primary = defaults.model.primary.as_deref().unwrap_or(name::DEFAULT);
    let image = &snapshot.value["agents"]["defaults"]["imageModel"];
    let profiles = Profiles::read(&snapshot.paths, agent_dir);
    let mut providers: Vec<String> = profiles.providers().into_iter().map(String::from).collect();
    providers.extend(
        config
            .models
            .providers
            .keys()
            .map(|id| name::provider_id(id)),
    );
    providers.push(Ref::parse(config, primary).provider);
    providers.extend(catalogue::providers().map(|p| p.id.to_string()));
    let mut seen = Vec::new();
    providers.retain(|id| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
    Status {
        config: snapshot.paths.config.clone(),
        agent_dir: agent_dir.to_path_buf(),
        auth_store: agent_dir.join("auth-profiles.json"),
        default: Ref::parse(config, primary),
        fallbacks: defaults.model.fallbacks.clone(),
        image_model: image["primary"].as_str().map(String::from),
        image_fallbacks: serde_json::from_value(image["fallbacks"].clone()).unwrap_or_default(),
        aliases: name::aliases(config),
        allowed: defaults.models.keys().cloned().collect(),
        auth: providers
            .into_iter()
            .map(|id| auth(snapshot, &profiles, id))
            .filter(|auth| auth.effective.is_some() || !auth.profiles.is_empty())
            .collect(),
    }
}

fn auth(snapshot: &Snapshot, profiles: &Profiles, provider: String) -> Auth {
    let now = crate::base::time::now_ms();
    let found = credential::find(snapshot, profiles, &provider);
    let first = found.into_iter().next();
    let profile = |id: &str| Profile {
        id: id.to_string(),
        kind: profiles.kind(id).to_string(),
        rests_until: profiles.rests_until(id, now),
    };
    let env = credential::in_env(snapshot, &provider).and_then(|found| match found.source {
        Source::Env(name) => Some((name, masked(&found.key))),
        _ => None,
    });
    Auth {
        effective: first.map(|c| (c.source, masked(&c.key))),
        profiles: profiles.ids(&provider).into_iter().map(profile).collect(),
        env,
        config: credential::in_config(snapshot, &provider).map(|c| masked(&c.key)),
        provider,
    }
}
