//! Which key opens a provider: `auth-profiles.json` of the agent, then the environment, then the
//! configuration. Also the book of which profile failed when, so that a refused key rests.
//!
//! The file holds secrets in plain text (0600 is its protection, as in the original); unknown
//! fields survive a rewrite.

use crate::base::secret::Secret;
use crate::base::{atomic, lock, time};
use crate::config::{Paths, Snapshot};
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// An access token about to expire is not worth a try.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Credential {
    pub key: Secret,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An id in `auth-profiles.json`.
    Profile(String),
    /// A name in the environment.
    Env(String),
    /// `models.providers.<id>.apiKey`.
    Config,
}

/// `auth-profiles.json` of one agent, the main agent's below it.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    own: Value,
    main: Value,
}

impl Profiles {
    /// `agent_dir` is `<state>/agents/<id>/agent`.
    pub fn read(paths: &Paths, agent_dir: &Path) -> Profiles {
        let read = |dir: &Path| {
            let text = std::fs::read(file(dir)).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        Profiles {
            own: read(agent_dir),
            main: match agent_dir == paths.agent_dir {
                true => Value::Null,
                false => read(&paths.agent_dir),
            },
        }
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let follow = |root| path.iter().try_fold(root, |v: &Value, key| v.get(key));
        follow(&self.own).or_else(|| follow(&self.main))
    }

    /// Every profile of the provider.
    pub fn ids(&self, provider: &str) -> Vec<&str> {
        let mut ids: Vec<&str> = [&self.own, &self.main]
            .into_iter()
            .filter_map(|store| store.get("profiles")?.as_object())
            .flatten()
            .filter(|(_, p)| same(p["provider"].as_str().unwrap_or_default(), provider))
            .map(|(id, _)| id.as_str())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Providers that have a profile.
    pub fn providers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = [&self.own, &self.main]
            .into_iter()
            .filter_map(|store| store.get("profiles")?.as_object())
            .flatten()
            .filter_map(|(_, p)| p["provider"].as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// `api_key`, `token`, `oauth`.
    pub fn kind(&self, id: &str) -> &str {
        let kind = self.at(&["profiles", id, "type"]);
        kind.and_then(Value::as_str).unwrap_or_default()
    }

    /// When the profile may be used again, if that is in the future.
    pub fn rests_until(&self, id: &str, now: u64) -> Option<u64> {
        let at = |key| self.at(&["usageStats", id, key]).and_then(Value::as_u64);
        let until = at("cooldownUntil").max(at("disabledUntil"))?;
        (until > now).then_some(until)
    }

    fn last_used(&self, id: &str) -> u64 {
        let at = self.at(&["usageStats", id, "lastUsed"]);
        at.and_then(Value::as_u64).unwrap_or(0)
    }

    fn secret(&self, id: &str, now: u64) -> Option<Secret> {
        let text = |key| self.at(&["profiles", id, key]).and_then(Value::as_str);
        let secret = match self.kind(id) {
            "api_key" => text("key"),
            "token" => text("token"),
            "oauth" => text("access"),
            _ => None,
        }?;
        let expires = self
            .at(&["profiles", id, "expires"])
            .and_then(Value::as_u64);
        let good = expires.is_none_or(|at| at == 0 || at > now);
        (good && !secret.trim().is_empty()).then(|| Secret::new(secret.trim()))
    }

    /// Usable profiles of `provider` in the order they should be tried; resting ones come last.
    fn order(&self, snapshot: &Snapshot, provider: &str, now: u64) -> Vec<String> {
        let auth = &snapshot.value["auth"];
        let listed = |list: Option<&Value>| -> Option<Vec<String>> {
            let ids = list?.as_array()?.iter();
            Some(ids.filter_map(|id| id.as_str().map(String::from)).collect())
        };
        let explicit = listed(self.at(&["order", provider]))
            .or_else(|| listed(auth["order"].get(provider)))
            .filter(|ids| !ids.is_empty());
        let configured = auth["profiles"].as_object();
        let named: Vec<String> = configured
            .into_iter()
            .flatten()
            .filter(|(_, p)| same(p["provider"].as_str().unwrap_or_default(), provider))
            .map(|(id, _)| id.clone())
            .collect();
        let in_order = explicit.is_some();
        let mut ids = explicit
            .or(Some(named).filter(|ids| !ids.is_empty()))
            .unwrap_or_else(|| self.ids(provider).into_iter().map(String::from).collect());
        ids.retain(|id| {
            let mode = configured.and_then(|all| all.get(id)?["mode"].as_str());
            let fits = match mode {
                None => true,
                Some("oauth") => ["oauth", "token"].contains(&self.kind(id)),
                Some(mode) => mode == self.kind(id),
            };
            fits && self.secret(id, now).is_some()
        });
        let kind = |id: &str| match self.kind(id) {
            "oauth" => 0,
            "token" => 1,
            _ => 2,
        };
        ids.sort_by_key(|id| {
            let rests = self.rests_until(id, now).unwrap_or(0);
            match in_order {
                true => (rests, 0, 0),
                false => (rests, kind(id), self.last_used(id)),
            }
        });
        ids
    }
}

/// Everything that may open `provider`, in the order it should be tried.
pub fn find(snapshot: &Snapshot, profiles: &Profiles, provider: &str) -> Vec<Credential> {
    let now = time::now_ms();
    let mut found: Vec<Credential> = profiles
        .order(snapshot, provider, now)
        .into_iter()
        .filter_map(|id| {
            Some(Credential {
                key: profiles.secret(&id, now)?,
                source: Source::Profile(id),
            })
        })
        .collect();
    found.extend(in_env(snapshot, provider));
    found.extend(in_config(snapshot, provider));
    found
}

/// The first of the provider's variables that is set.
pub fn in_env(snapshot: &Snapshot, provider: &str) -> Option<Credential> {
    let mut known = super::catalogue::providers().filter(|p| p.id == provider);
    let name = known.find_map(|p| p.env().find(|name| snapshot.env.get(name).is_some()))?;
    Some(Credential {
        key: Secret::new(snapshot.env.get(name)?),
        source: Source::Env(name.to_string()),
    })
}

/// The configured key, which may also be the name of a variable.
pub fn in_config(snapshot: &Snapshot, provider: &str) -> Option<Credential> {
    let configured = super::name::configured(&snapshot.config, provider)?;
    let text = configured.api_key.as_ref()?.expose().trim();
    let bare = text
        .strip_prefix("${")
        .and_then(|t| t.strip_suffix('}'))
        .unwrap_or(text);
    let (key, source) = match snapshot.env.get(bare) {
        Some(value) => (value, Source::Env(bare.to_string())),
        None => (text, Source::Config),
    };
    (!key.is_empty()).then(|| Credential {
        key: Secret::new(key),
        source,
    })
}

/// Keeps a key as the provider's default profile, in place of the one before; the profile's id.
/// What was booked against the old key is forgotten.
pub fn keep(agent_dir: &Path, provider: &str, key: &Secret) -> io::Result<String> {
    let path = file(agent_dir);
    atomic::create_private_dir(agent_dir)?;
    let lock = path.with_extension("json.rs-lock");
    let _lock = lock::take(&lock, "auth profiles", PATIENCE).ok();
    let mut root: Value = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => json!({"version": 1}),
        Err(err) => return Err(err),
    };
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let object = root.as_object_mut().ok_or_else(damaged)?;
    let id = format!("{provider}:default");
    let profiles = object.entry("profiles").or_insert_with(|| json!({}));
    let profiles = profiles.as_object_mut().ok_or_else(damaged)?;
    profiles.insert(
        id.clone(),
        json!({"type": "api_key", "provider": provider, "key": key.expose()}),
    );
    if let Some(stats) = object.get_mut("usageStats").and_then(Value::as_object_mut) {
        stats.shift_remove(&id);
    }
    let text = format!("{root:#}\n");
    atomic::write(&path, text.as_bytes())?;
    Ok(id)
}

/// Notes a failure of a profile: it rests, longer each time. `reason` is the failover name of the
/// class.
pub fn failed(snapshot: &Snapshot, agent_dir: &Path, id: &str, reason: &str) -> io::Result<()> {
    let now = time::now_ms();
    let cooldowns = &snapshot.value["auth"]["cooldowns"];
    let hours = |key: &str, default: u64| {
        let given = cooldowns[key].as_f64();
        given.map_or(default * HOUR, |h| (h * HOUR as f64) as u64)
    };
    let provider = id.split(':').next().unwrap_or_default();
    let billing = cooldowns["billingBackoffHoursByProvider"][provider].as_f64();
    let billing = billing.map_or(hours("billingBackoffHours", 5), |h| {
        (h * HOUR as f64) as u64
    });
    let window = hours("failureWindowHours", 24);
    let longest = hours("billingMaxHours", 24);
    book(agent_dir, id, |stats| {
        let number = |stats: &Map<String, Value>, key: &str| stats.get(key)?.as_u64();
        let last = number(stats, "lastFailureAt").unwrap_or(0);
        if now.saturating_sub(last) > window {
            stats.remove("errorCount");
            stats.remove("failureCounts");
        }
        let n = number(stats, "errorCount").unwrap_or(0) + 1;
        stats.insert("errorCount".into(), json!(n));
        let counts = stats.entry("failureCounts").or_insert_with(|| json!({}));
        let kind = counts[reason].as_u64().unwrap_or(0) + 1;
        if let Some(counts) = counts.as_object_mut() {
            counts.insert(reason.into(), json!(kind));
        }
        stats.insert("lastFailureAt".into(), json!(now));
        if reason == "billing" {
            let rest = (billing << (kind - 1).min(10)).min(longest);
            stats.insert("disabledUntil".into(), json!(now + rest));
            stats.insert("disabledReason".into(), json!("billing"));
        } else {
            let rest = (MINUTE * 5u64.pow((n - 1).min(3) as u32)).min(HOUR);
            stats.insert("cooldownUntil".into(), json!(now + rest));
        }
    })
}

/// Notes that a profile worked.
pub fn worked(agent_dir: &Path, id: &str) -> io::Result<()> {
    book(agent_dir, id, |stats| {
        for key in [
            "cooldownUntil",
            "disabledUntil",
            "disabledReason",
            "failureCounts",
        ] {
            stats.remove(key);
        }
        stats.insert("errorCount".into(), json!(0));
        stats.insert("lastUsed".into(), json!(time::now_ms()));
    })
}

/// Changes the statistics of one profile. A lock that somebody keeps too long is passed over, as
/// the figures are worth less than the run.
fn book(agent_dir: &Path, id: &str, edit: impl FnOnce(&mut Map<String, Value>)) -> io::Result<()> {
    let path = file(agent_dir);
    let _lock = lock::take(
        &path.with_extension("json.rs-lock"),
        "auth profiles",
        PATIENCE,
    )
    .ok();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        // Inherited from the main agent: its book is kept there.
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
    };
    let mut root: Value = serde_json::from_slice(&text)?;
    let Some(object) = root.as_object_mut() else {
        return Ok(());
    };
    let all = object.entry("usageStats").or_insert_with(|| json!({}));
    let Some(all) = all.as_object_mut() else {
        return Ok(());
    };
    let stats = all.entry(id).or_insert_with(|| json!({}));
    if let Some(stats) = stats.as_object_mut() {
        edit(stats);
    }
    let mut text = serde_json::to_string_pretty(&root)?;
    text.push('\n');
    atomic::write(&path, text.as_bytes())
}

fn file(agent_dir: &Path) -> PathBuf {
    agent_dir.join("auth-profiles.json")
}

fn same(a: &str, b: &str) -> bool {
    super::name::provider_id(a) == super::name::provider_id(b)
}

/// A key as it may be shown: enough to recognise it, too little to use it.
pub fn masked(key: &Secret) -> String {
    let chars: Vec<char> = key.expose().chars().collect();
    let part = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    match chars.len() {
        0 => "missing".into(),
        // Placeholders for servers that want no key.
        n if n <= 8 => part(0, n),
        n if n <= 16 => format!("{}...{}", part(0, 2), part(n - 2, n)),
        n => format!("{}...{}", part(0, 8), part(n - 4, n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    fn state(profiles: &str, config: &str, env: &[(&str, &str)]) -> (Snapshot, PathBuf) {
        let dir = id::temp_dir("credential");
        let mut pairs = vec![
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
        ];
        pairs.extend(env);
        let env = Env::from_pairs(&pairs);
        let paths = Paths::resolve(&env, None);
        std::fs::write(&paths.config, config).unwrap();
        std::fs::create_dir_all(&paths.agent_dir).unwrap();
        std::fs::write(file(&paths.agent_dir), profiles).unwrap();
        (load::load(&paths, &env), dir)
    }

    fn sources(snapshot: &Snapshot) -> Vec<Source> {
        let profiles = Profiles::read(&snapshot.paths, &snapshot.paths.agent_dir);
        let found = find(snapshot, &profiles, "anthropic");
        found.into_iter().map(|c| c.source).collect()
    }

    const TWO: &str = r#"{"version":1,"profiles":{
        "anthropic:a":{"type":"api_key","provider":"anthropic","key":"k1"},
        "anthropic:b":{"type":"token","provider":"anthropic","token":"k2"},
        "anthropic:old":{"type":"token","provider":"anthropic","token":"k3","expires":1},
        "other:x":{"type":"api_key","provider":"other","key":"k4"}}}"#;

    #[test]
    fn profiles_come_before_the_environment_and_that_before_the_configuration() {
        let config = r#"{"models":{"providers":{"anthropic":{"baseUrl":"http://x","apiKey":"K","models":[]}}}}"#;
        let (snapshot, dir) = state(TWO, config, &[("ANTHROPIC_API_KEY", "e")]);
        let profile = |id: &str| Source::Profile(id.into());
        assert_eq!(
            sources(&snapshot),
            [
                profile("anthropic:b"),
                profile("anthropic:a"),
                Source::Env("ANTHROPIC_API_KEY".into()),
                Source::Config
            ]
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_profile_that_failed_rests_and_one_that_worked_does_not() {
        let (snapshot, dir) = state(TWO, "{}", &[]);
        let agent = &snapshot.paths.agent_dir;
        failed(&snapshot, agent, "anthropic:b", "auth").unwrap();
        let profile = |id: &str| Source::Profile(id.into());
        assert_eq!(sources(&snapshot)[0], profile("anthropic:a"));
        let profiles = Profiles::read(&snapshot.paths, agent);
        let now = time::now_ms();
        let rests = profiles.rests_until("anthropic:b", now).unwrap() - now;
        assert!((55_000..=60_000).contains(&rests), "{rests}");
        worked(agent, "anthropic:b").unwrap();
        assert_eq!(sources(&snapshot)[0], profile("anthropic:b"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_shown_key_cannot_be_used() {
        assert_eq!(masked(&Secret::new("sk-fake")), "sk-fake");
        assert_eq!(
            masked(&Secret::new("sk-ant-api03-abcdefgh")),
            "sk-ant-a...efgh"
        );
    }
}
