//! What `models status` shows: which model answers, what opens each provider, which keys end or
//! rest. Keys are masked.

use super::catalogue;
use super::choose;
use super::credential::{self, Profiles, Source, masked};
use super::name::{self, Ref};
use crate::base::time;
use crate::config::Snapshot;
use serde::Serialize;
use std::path::PathBuf;

/// How long before its end a token counts as expiring; the original's day.
pub const WARN_AFTER_MS: u64 = 86_400_000;

#[derive(Clone, Debug)]
pub struct Status {
    pub config: PathBuf,
    /// The agent that was asked about by name.
    pub agent: Option<Named>,
    pub agent_dir: PathBuf,
    pub auth_store: PathBuf,
    /// As configured: an alias stays one.
    pub asked: String,
    pub default: Ref,
    pub fallbacks: Vec<String>,
    pub image_model: Option<String>,
    pub image_fallbacks: Vec<String>,
    pub aliases: Vec<(String, Ref)>,
    /// Keys of `agents.defaults.models`; none means all are allowed.
    pub allowed: Vec<String>,
    /// Whatever somebody configured, used or has a key for, sorted.
    pub providers: Vec<String>,
    pub auth: Vec<Auth>,
    /// Providers of the models in use that nothing opens.
    pub missing: Vec<String>,
    pub resting: Vec<Resting>,
    pub health: Vec<Health>,
}

#[derive(Clone, Debug)]
pub struct Named {
    pub id: String,
    pub own_model: bool,
    pub own_fallbacks: bool,
}

/// What opens one provider.
#[derive(Clone, Debug)]
pub struct Auth {
    pub provider: String,
    /// Its profiles: kind and what people see.
    pub profiles: Vec<(String, String)>,
    /// Variable and masked value.
    pub env: Option<(String, String)>,
    /// Masked `models.providers.<id>.apiKey`.
    pub config: Option<String>,
}

/// A profile that may not be used for a while.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resting {
    pub profile_id: String,
    pub provider: String,
    /// `cooldown` or `disabled`.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub until: u64,
    pub remaining_ms: u64,
}

/// Whether a profile's secret still holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    pub profile_id: String,
    pub provider: String,
    /// `api_key`, `token`, `oauth`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ok`, `expiring`, `expired`, `static` for what never ends.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<i64>,
    pub source: &'static str,
    pub label: String,
}

impl Auth {
    /// What a call uses first, and what people see of it; `store` is the file of profiles.
    pub fn effective(&self, store: &str) -> (&'static str, String) {
        match (&self.profiles[..], &self.env, &self.config) {
            ([_, ..], _, _) => ("profiles", store.to_string()),
            (_, Some((_, value)), _) => ("env", value.clone()),
            (_, _, Some(value)) => ("models.json", value.clone()),
            _ => ("missing", "missing".into()),
        }
    }

    pub fn count(&self, kind: &str) -> usize {
        self.profiles.iter().filter(|(k, _)| k == kind).count()
    }

    /// Ways in that are tokens or logins and not keys.
    pub fn tokens(&self) -> usize {
        let env = self
            .env
            .as_ref()
            .is_some_and(|(_, value)| value == OAUTH_ENV);
        self.count("oauth") + self.count("token") + usize::from(env)
    }
}

/// Shown in the place of a login's token from the environment.
const OAUTH_ENV: &str = "OAuth (env)";

/// `agent`: one that was named and exists.
pub fn status(snapshot: &Snapshot, agent: Option<&str>) -> Status {
    let config = &snapshot.config;
    let id = agent.map_or_else(|| config.default_agent_id(), str::to_string);
    let agent_dir = name::agent_dir(&snapshot.paths, &id);
    let defaults = &config.agents.defaults;
    let own = agent.and_then(|id| config.agent(id)?.model.as_ref());
    let own_model = own.and_then(|m| m.as_str().or_else(|| m["primary"].as_str()));
    let own_fallbacks = own.and_then(|m| m["fallbacks"].as_array()).map(|list| {
        let names = list.iter().filter_map(|name| name.as_str());
        names.map(String::from).collect::<Vec<_>>()
    });
    let configured = own_model.or(defaults.model.primary.as_deref());
    let asked = configured.unwrap_or(name::DEFAULT).trim().to_string();
    let named = agent.map(|id| Named {
        id: id.to_string(),
        own_model: own_model.is_some(),
        own_fallbacks: own_fallbacks.is_some(),
    });
    let fallbacks = own_fallbacks.unwrap_or_else(|| defaults.model.fallbacks.clone());
    let image = &defaults.image_model;
    let profiles = Profiles::read(&snapshot.paths, &agent_dir);
    let allowed = name::listed(snapshot);
    let used: Vec<Ref> = std::iter::once(&asked)
        .chain(&fallbacks)
        .chain(&image.primary)
        .chain(&image.fallbacks)
        .map(|text| Ref::parse(config, text))
        .collect();
    let mut providers: Vec<String> = profiles.providers().into_iter().map(String::from).collect();
    providers.extend(
        config
            .models
            .providers
            .keys()
            .map(|id| name::provider_id(id)),
    );
    providers.extend(used.iter().map(|model| model.provider.clone()));
    let split = allowed.iter().filter_map(|name| name.split_once('/'));
    providers.extend(split.map(|(provider, _)| name::provider_id(provider)));
    let in_env = |p: &catalogue::Provider| credential::in_env(snapshot, p.id).is_some();
    let keyed = catalogue::providers().filter(in_env);
    providers.extend(keyed.map(|p| p.id.to_string()));
    providers.sort_unstable();
    providers.dedup();
    let mut missing: Vec<String> = used
        .iter()
        .filter(
            |model| match choose::targets_with(snapshot, &profiles, &agent_dir, model) {
                Ok(_) => false,
                Err(_) => !is_open(snapshot, &profiles, &model.provider),
            },
        )
        .map(|model| model.provider.clone())
        .collect();
    missing.sort_unstable();
    missing.dedup();
    Status {
        config: snapshot.paths.config.clone(),
        agent: named,
        auth_store: agent_dir.join("auth-profiles.json"),
        agent_dir,
        default: Ref::parse(config, &asked),
        asked,
        fallbacks,
        image_model: image.primary.clone(),
        image_fallbacks: image.fallbacks.clone(),
        aliases: name::aliases(config),
        allowed,
        auth: providers
            .iter()
            .map(|id| auth(snapshot, &profiles, id))
            .filter(|auth| !auth.profiles.is_empty() || auth.env.is_some() || auth.config.is_some())
            .collect(),
        providers,
        missing,
        resting: resting(&profiles),
        health: health(snapshot, &profiles),
    }
}

/// A key is there, whatever the model is.
fn is_open(snapshot: &Snapshot, profiles: &Profiles, provider: &str) -> bool {
    !profiles.ids(provider).is_empty()
        || credential::in_env(snapshot, provider).is_some()
        || credential::in_config(snapshot, provider).is_some()
}

fn auth(snapshot: &Snapshot, profiles: &Profiles, provider: &str) -> Auth {
    let now = time::now_ms();
    let shown = |id: &str| {
        let kind = profiles.kind(id);
        let secret = masked(&profiles.shown_secret(id));
        let what = match (kind, profiles.email(snapshot, id)) {
            ("oauth", Some(email)) => format!("OAuth ({email})"),
            ("oauth", None) => "OAuth".into(),
            ("token", _) => format!("token:{secret}"),
            _ => secret,
        };
        let rest = profiles.rest(id, now).map_or(String::new(), |rest| {
            let left = remaining(rest.until as i64 - now as i64);
            match rest.disabled.as_deref() {
                None => format!(" [cooldown {left}]"),
                Some("") => format!(" [disabled {left}]"),
                Some(why) => format!(" [disabled:{why} {left}]"),
            }
        });
        (kind.to_string(), format!("{id}={what}{rest}"))
    };
    let env = credential::in_env(snapshot, provider).and_then(|found| match found.source {
        Source::Env(name) if name.contains("OAUTH") => Some((name, OAUTH_ENV.into())),
        Source::Env(name) => Some((name, masked(&found.key))),
        _ => None,
    });
    Auth {
        profiles: profiles.ids(provider).into_iter().map(shown).collect(),
        env,
        config: credential::in_config(snapshot, provider).map(|c| masked(&c.key)),
        provider: provider.to_string(),
    }
}

fn resting(profiles: &Profiles) -> Vec<Resting> {
    let now = time::now_ms();
    let mut resting: Vec<Resting> = profiles
        .all()
        .into_iter()
        .filter_map(|id| {
            let rest = profiles.rest(id, now)?;
            Some(Resting {
                profile_id: id.to_string(),
                provider: profiles.provider(id)?.to_string(),
                kind: match rest.disabled {
                    Some(_) => "disabled",
                    None => "cooldown",
                },
                reason: rest.disabled.filter(|why| !why.is_empty()),
                until: rest.until,
                remaining_ms: rest.until - now,
            })
        })
        .collect();
    resting.sort_by_key(|rest| rest.remaining_ms);
    resting
}

fn health(snapshot: &Snapshot, profiles: &Profiles) -> Vec<Health> {
    let now = time::now_ms();
    let one = |id: &str| {
        let kind = profiles.kind(id);
        let expires = profiles.expires(id).filter(|_| kind != "api_key");
        let left = expires.map(|at| at as i64 - now as i64);
        let status = match left {
            _ if profiles.is_renewable(id) => "ok",
            None if kind == "oauth" && profiles.shown_secret(id).is_empty() => "missing",
            None => "static",
            Some(left) if left <= 0 => "expired",
            Some(left) if left <= WARN_AFTER_MS as i64 => "expiring",
            Some(_) => "ok",
        };
        Some(Health {
            profile_id: id.to_string(),
            provider: profiles.provider(id)?.to_string(),
            kind: kind.to_string(),
            status,
            expires_at: expires,
            remaining_ms: left,
            source: "store",
            label: match profiles.email(snapshot, id) {
                Some(email) => format!("{id} ({email})"),
                None => id.to_string(),
            },
        })
    };
    let mut found: Vec<Health> = profiles.all().into_iter().filter_map(one).collect();
    found.sort_by(|a, b| a.provider.cmp(&b.provider));
    found
}

/// `25m`, `4h`, `3d`: a rest of time in its largest unit.
pub fn remaining(ms: i64) -> String {
    let minutes = (ms.max(0) + 30_000) / 60_000;
    let hours = (minutes + 30) / 60;
    match (minutes, hours) {
        (0..60, _) => format!("{minutes}m"),
        (_, 0..48) => format!("{hours}h"),
        _ => format!("{}d", (hours + 12) / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_of_time_is_short() {
        let minute = 60_000;
        for (ms, text) in [
            (-5, "0m"),
            (1_474_809, "25m"),
            (3_574_810, "1h"),
            (250 * minute, "4h"),
            (3 * 24 * 60 * minute, "3d"),
        ] {
            assert_eq!(remaining(ms), text);
        }
    }
}
