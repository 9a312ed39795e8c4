//! `auth-profiles.json` as it is read: the agent's own profiles over the main agent's, which of
//! them may be used, and in which order.

use super::{file, same};
use crate::base::secret::Secret;
use crate::config::{Paths, Snapshot};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Kinds of profiles; anything else in the file is passed over.
const KINDS: [&str; 3] = ["api_key", "token", "oauth"];

/// `auth-profiles.json` of one agent, the main agent's below it.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    own: Value,
    main: Value,
    own_dir: PathBuf,
    main_dir: PathBuf,
}

/// Why a profile is left in peace, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Milliseconds since 1970.
    pub until: u64,
    /// Set for a profile that is disabled and not merely cooling down.
    pub disabled: Option<String>,
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
            own_dir: agent_dir.to_path_buf(),
            main_dir: paths.agent_dir.clone(),
        }
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let follow = |root| path.iter().try_fold(root, |v: &Value, key| v.get(key));
        follow(&self.own).or_else(|| follow(&self.main))
    }

    fn text(&self, id: &str, key: &str) -> Option<&str> {
        let text = self.at(&["profiles", id, key])?.as_str()?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn stat(&self, id: &str, key: &str) -> Option<u64> {
        // Whichever program wrote it, a time may be a fraction.
        let number = self.at(&["usageStats", id, key])?.as_f64()?;
        Some(number.max(0.0) as u64)
    }

    /// Every profile, in the order of the files.
    pub fn all(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        for store in [&self.main, &self.own] {
            let profiles = store.get("profiles").and_then(Value::as_object);
            for (id, profile) in profiles.into_iter().flatten() {
                let kind = profile["type"].as_str().unwrap_or_default();
                let sound = KINDS.contains(&kind) && profile["provider"].is_string();
                if sound && !ids.contains(&id.as_str()) {
                    ids.push(id.as_str());
                }
            }
        }
        ids
    }

    /// Every profile of the provider.
    pub fn ids(&self, provider: &str) -> Vec<&str> {
        let mut ids = self.all();
        ids.retain(|id| self.provider(id).is_some_and(|p| same(p, provider)));
        ids
    }

    /// Providers that have a profile.
    pub fn providers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .all()
            .iter()
            .filter_map(|id| self.provider(id))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub fn provider(&self, id: &str) -> Option<&str> {
        self.text(id, "provider")
    }

    /// `api_key`, `token`, `oauth`.
    pub fn kind(&self, id: &str) -> &str {
        self.text(id, "type").unwrap_or_default()
    }

    /// The folder of the agent whose file the profile stands in.
    pub fn home(&self, id: &str) -> &Path {
        let own = self.own["profiles"].get(id).is_some() || self.main.is_null();
        if own { &self.own_dir } else { &self.main_dir }
    }

    /// Whose it is, as people know it.
    pub fn email<'p>(&'p self, snapshot: &'p Snapshot, id: &str) -> Option<&'p str> {
        let configured = snapshot.value["auth"]["profiles"][id]["email"].as_str();
        let configured = configured.map(str::trim).filter(|text| !text.is_empty());
        configured.or_else(|| self.text(id, "email"))
    }

    /// When a token ends. Milliseconds since 1970.
    pub fn expires(&self, id: &str) -> Option<u64> {
        let at = self.at(&["profiles", id, "expires"])?.as_f64()?;
        (at > 0.0).then_some(at as u64)
    }

    /// Can be exchanged for a fresh token when it has ended.
    pub fn is_renewable(&self, id: &str) -> bool {
        self.kind(id) == "oauth" && self.text(id, "refresh").is_some()
    }

    /// Until when and why the profile may not be used, if that is in the future.
    pub fn rest(&self, id: &str, now: u64) -> Option<Rest> {
        let disabled = self.stat(id, "disabledUntil").unwrap_or(0);
        let until = disabled.max(self.stat(id, "cooldownUntil").unwrap_or(0));
        let reason = self.at(&["usageStats", id, "disabledReason"]);
        let reason = reason.and_then(Value::as_str).unwrap_or_default();
        (until > now).then(|| Rest {
            until,
            disabled: (disabled > now).then(|| reason.to_string()),
        })
    }

    pub fn rests_until(&self, id: &str, now: u64) -> Option<u64> {
        self.rest(id, now).map(|rest| rest.until)
    }

    fn last_used(&self, id: &str) -> u64 {
        self.stat(id, "lastUsed").unwrap_or(0)
    }

    /// The key itself, whether or not it has ended.
    pub fn shown_secret(&self, id: &str) -> Secret {
        let key = match self.kind(id) {
            "api_key" => "key",
            "token" => "token",
            _ => "access",
        };
        Secret::new(self.text(id, key).unwrap_or_default())
    }

    /// What a call can be made with; for a login that has ended, what it was.
    pub(super) fn secret(&self, id: &str, now: u64) -> Option<Secret> {
        let secret = self.shown_secret(id);
        let ended = self.expires(id).is_some_and(|at| at <= now);
        let good = match self.is_renewable(id) {
            true => true,
            false => !ended && !secret.is_empty(),
        };
        good.then_some(secret)
    }

    /// The order somebody set for this agent.
    pub fn set_order(&self, provider: &str) -> Vec<String> {
        let orders = |store: &Value| -> Option<Vec<String>> {
            let mut all = store.get("order")?.as_object()?.iter();
            listed(Some(all.find(|(name, _)| same(name, provider))?.1))
        };
        let order = orders(&self.own).or_else(|| orders(&self.main));
        order.unwrap_or_default()
    }

    /// That, or the configuration's; empty when there is none.
    pub fn explicit_order(&self, snapshot: &Snapshot, provider: &str) -> Vec<String> {
        let own = self.set_order(provider);
        if !own.is_empty() {
            return own;
        }
        let configured = snapshot.value["auth"]["order"].as_object();
        let mut all = configured.into_iter().flatten();
        let found = all.find(|(name, _)| same(name, provider));
        listed(found.map(|(_, ids)| ids)).unwrap_or_default()
    }

    /// Usable profiles of `provider` in the order they should be tried; resting ones come last.
    pub fn order(&self, snapshot: &Snapshot, provider: &str, now: u64) -> Vec<String> {
        let explicit = self.explicit_order(snapshot, provider);
        let in_order = !explicit.is_empty();
        let configured = snapshot.value["auth"]["profiles"].as_object();
        let named: Vec<String> = configured
            .into_iter()
            .flatten()
            .filter(|(_, p)| same(p["provider"].as_str().unwrap_or_default(), provider))
            .map(|(id, _)| id.clone())
            .collect();
        let mut ids = match (in_order, named.is_empty()) {
            (true, _) => explicit,
            (_, false) => named,
            _ => self.ids(provider).into_iter().map(String::from).collect(),
        };
        let mut seen = Vec::new();
        ids.retain(|id| {
            let mode = configured.and_then(|all| all.get(id)?["mode"].as_str());
            let fits = match mode {
                None => true,
                Some("oauth") => ["oauth", "token"].contains(&self.kind(id)),
                Some(mode) => mode == self.kind(id),
            };
            let again = seen.contains(id);
            seen.push(id.clone());
            let of_it = self.provider(id).is_some_and(|p| same(p, provider));
            !again && fits && of_it && self.secret(id, now).is_some()
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

fn listed(list: Option<&Value>) -> Option<Vec<String>> {
    let ids = list?.as_array()?.iter();
    let ids: Vec<String> = ids.filter_map(|id| id.as_str().map(String::from)).collect();
    (!ids.is_empty()).then_some(ids)
}
