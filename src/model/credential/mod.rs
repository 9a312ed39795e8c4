//! Which key opens a provider: `auth-profiles.json` of the agent, then the environment, then the
//! configuration. Also the book of which profile failed when, so that a refused key rests.
//!
//! The file holds secrets in plain text (0600 is its protection, as in the original); unknown
//! fields survive a rewrite.

mod ask;
pub mod device;
mod profiles;
mod renew;
mod store;

pub use profiles::{Profiles, Rest};
pub use renew::Lease;
pub use store::{Error, keep, put, set_order};

use crate::base::secret::Secret;
use crate::base::time;
use crate::config::Snapshot;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

#[derive(Clone, Debug)]
pub struct Credential {
    pub key: Secret,
    pub source: Source,
    /// The key may first have to be renewed, or exchanged.
    pub lease: Option<Lease>,
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

/// Everything that may open `provider`, in the order it should be tried.
pub fn find(snapshot: &Snapshot, profiles: &Profiles, provider: &str) -> Vec<Credential> {
    let now = time::now_ms();
    let mut found: Vec<Credential> = profiles
        .order(snapshot, provider, now)
        .into_iter()
        .filter_map(|id| {
            Some(Credential {
                key: profiles.secret(&id, now)?,
                lease: Lease::copilot(snapshot, provider)
                    .or_else(|| Lease::of(snapshot, profiles, provider, &id)),
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
        lease: Lease::copilot(snapshot, provider),
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
        lease: Lease::copilot(snapshot, provider),
    })
}

/// Notes a failure of a profile: it rests, longer each time. `reason` is the failover name of the
/// class.
pub fn failed(snapshot: &Snapshot, agent_dir: &Path, id: &str, reason: &str) -> Result<(), Error> {
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
    let profiles = Profiles::read(&snapshot.paths, agent_dir);
    store::book(profiles.home(id), id, |stats| {
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
pub fn worked(snapshot: &Snapshot, agent_dir: &Path, id: &str) -> Result<(), Error> {
    let profiles = Profiles::read(&snapshot.paths, agent_dir);
    store::book_good(profiles.home(id), id, |stats| {
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
        worked(&snapshot, agent, "anthropic:b").unwrap();
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
