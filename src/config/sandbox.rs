//! `agents.*.sandbox`: which sessions are sandboxed, where each then works, and what its commands
//! may use. An agent's own keys win over the defaults, one by one; with a scope shared by all agents
//! the agent's own container settings count for nothing.

use super::schema::Sandbox as Block;
use super::{Config, Paths};
use crate::base::hex;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Letters of a scope that its folder's name shows.
const SLUG: usize = 32;
/// What the original keeps a container for.
const IDLE_HOURS: u64 = 24;
const MAX_AGE_DAYS: u64 = 7;
/// Digits of the hash that makes the name nobody else's.
const SLUG_HASH: usize = 8;

/// Container settings that mean nothing without a container.
const CONTAINER_ONLY: [&str; 13] = [
    "image",
    "setupCommand",
    "binds",
    "workdir",
    "user",
    "readOnlyRoot",
    "tmpfs",
    "capDrop",
    "seccompProfile",
    "apparmorProfile",
    "dns",
    "extraHosts",
    "containerPrefix",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    /// Every session but the agent's main one.
    NonMain,
    All,
}

/// Who works in one folder together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Session,
    Agent,
    Shared,
}

/// What a sandboxed session may do with the agent's workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not even see it: it works in a folder of its own.
    None,
    /// See it; it works in a folder of its own.
    Read,
    /// Work in it.
    Write,
}

/// The settings of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub mode: Mode,
    pub scope: Scope,
    pub access: Access,
    /// Where the folders of sandboxed sessions are.
    pub root: PathBuf,
    /// `docker.*`, merged.
    pub docker: Map<String, Value>,
    /// When a container goes that nobody used so long, or that is so old; zero is never.
    pub idle_hours: u64,
    pub max_age_days: u64,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::NonMain => "non-main",
            Mode::All => "all",
        }
    }
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Scope::Session => "session",
            Scope::Agent => "agent",
            Scope::Shared => "shared",
        }
    }
}

impl Access {
    pub fn name(self) -> &'static str {
        match self {
            Access::None => "none",
            Access::Read => "ro",
            Access::Write => "rw",
        }
    }
}

impl Settings {
    pub fn of(config: &Config, paths: &Paths, agent_id: &str) -> Settings {
        let mut settings = Settings {
            mode: mode(config, agent_id),
            scope: scope(config, agent_id),
            access: access(config, agent_id),
            root: paths.sandboxes(),
            docker: Map::new(),
            idle_hours: IDLE_HOURS,
            max_age_days: MAX_AGE_DAYS,
        };
        let root = pick(config, agent_id, |block| block.workspace_root.as_deref());
        if let Some(root) = root {
            settings.root = super::paths::expand(root, &paths.home);
        }
        let prune = |block: &'_ Block| block.prune.clone();
        let blocks = [own(config, agent_id), Some(&config.agents.defaults.sandbox)];
        let own_counts = settings.scope != Scope::Shared;
        let blocks = blocks.into_iter().skip(usize::from(!own_counts)).flatten();
        let prunes: Vec<_> = blocks.filter_map(prune).collect();
        if let Some(hours) = prunes.iter().find_map(|prune| prune.idle_hours) {
            settings.idle_hours = hours;
        }
        if let Some(days) = prunes.iter().find_map(|prune| prune.max_age_days) {
            settings.max_age_days = days;
        }
        let shared = config.agents.defaults.sandbox.docker.clone();
        settings.docker = shared.unwrap_or_default();
        if !settings.docker.contains_key("env") {
            let default = serde_json::json!({"LANG": "C.UTF-8"});
            settings.docker.insert("env".into(), default);
        }
        let own = own(config, agent_id).and_then(|block| block.docker.as_ref());
        for (key, value) in own.into_iter().flatten() {
            if settings.scope == Scope::Shared {
                break;
            }
            let merged = match (settings.docker.get(key), value) {
                (Some(Value::Object(all)), Value::Object(own)) => {
                    let mut all = all.clone();
                    all.extend(own.clone());
                    Value::Object(all)
                }
                (Some(Value::Array(all)), Value::Array(own)) if key == "binds" => {
                    Value::Array(all.iter().chain(own).cloned().collect())
                }
                (_, value) => value.clone(),
            };
            settings.docker.insert(key.clone(), merged);
        }
        settings
    }

    /// Who shares a sandbox with the session, in one word.
    pub fn scope_key(&self, agent_id: &str, session_key: &str) -> String {
        match self.scope {
            Scope::Session => session_key.to_string(),
            Scope::Agent => format!("agent:{agent_id}"),
            Scope::Shared => Scope::Shared.name().to_string(),
        }
    }

    /// The folder a sandboxed session works in, unless it works in the workspace.
    pub fn folder(&self, agent_id: &str, session_key: &str) -> PathBuf {
        match self.scope {
            Scope::Shared => self.root.clone(),
            _ => self.root.join(slug(&self.scope_key(agent_id, session_key))),
        }
    }

    /// What `docker.env` gives commands.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        let env = self.docker.get("env").and_then(Value::as_object);
        let env = env.into_iter().flatten();
        env.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The first container setting that a sandbox of the kernel's cannot give; `None`: it will do.
    pub fn needs_container(&self) -> Option<&str> {
        let set = |key: &&str| self.docker.get(*key).is_some_and(|value| !value.is_null());
        CONTAINER_ONLY.iter().copied().find(set)
    }

    /// Whether commands may use the network (`docker.network`).
    pub fn network(&self) -> bool {
        let named = self.docker.get("network").and_then(Value::as_str);
        !matches!(named.map(str::trim), None | Some("" | "none"))
    }
}

/// `None`: the session is not sandboxed.
pub fn of_session(config: &Config, agent_id: &str, session_key: &str) -> Option<Access> {
    let sandboxed = match mode(config, agent_id) {
        Mode::Off => false,
        Mode::NonMain => !is_main(config, agent_id, session_key),
        Mode::All => true,
    };
    sandboxed.then(|| access(config, agent_id))
}

/// Whether some session of the agent is sandboxed, and so what is in its workspace may come from
/// one.
pub fn is_used(config: &Config, agent_id: &str) -> bool {
    mode(config, agent_id) != Mode::Off
}

fn mode(config: &Config, agent_id: &str) -> Mode {
    match pick(config, agent_id, |block| block.mode.as_deref()) {
        Some("all") => Mode::All,
        Some("non-main") => Mode::NonMain,
        _ => Mode::Off,
    }
}

fn access(config: &Config, agent_id: &str) -> Access {
    match pick(config, agent_id, |block| block.workspace_access.as_deref()) {
        Some("rw") => Access::Write,
        Some("ro") => Access::Read,
        _ => Access::None,
    }
}

fn scope(config: &Config, agent_id: &str) -> Scope {
    let named = pick(config, agent_id, |block| block.scope.as_deref());
    let older = pick(config, agent_id, |block| block.per_session);
    match (named, older) {
        (Some("session"), _) | (None, Some(true)) => Scope::Session,
        (Some("shared"), _) | (None, Some(false)) => Scope::Shared,
        _ => Scope::Agent,
    }
}

fn is_main(config: &Config, agent_id: &str, session_key: &str) -> bool {
    session_key == format!("agent:{agent_id}:main")
        || (session_key == "global" && config.session_scope() == "global")
}

fn own<'a>(config: &'a Config, agent_id: &str) -> Option<&'a Block> {
    config.agent(agent_id)?.sandbox.as_ref()
}

/// The agent's own value, else the default's.
fn pick<'a, T>(
    config: &'a Config,
    agent_id: &str,
    get: impl Fn(&'a Block) -> Option<T>,
) -> Option<T> {
    own(config, agent_id)
        .and_then(&get)
        .or_else(|| get(&config.agents.defaults.sandbox))
}

/// A folder name that is readable and, by its hash, nobody else's: the original's.
pub fn slug(scope: &str) -> String {
    let scope = Some(scope.trim()).filter(|s| !s.is_empty());
    let scope = scope.unwrap_or("session");
    let mut readable = String::new();
    for c in scope.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            readable.push(c);
        } else if !readable.ends_with('-') {
            readable.push('-');
        }
    }
    let readable: String = readable.trim_matches('-').chars().take(SLUG).collect();
    let readable = Some(readable).filter(|text| !text.is_empty());
    let hash = hex::sha1(scope.as_bytes());
    let readable = readable.unwrap_or_else(|| "session".into());
    format!("{readable}-{}", &hash[..SLUG_HASH])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(agents: Value) -> Config {
        serde_json::from_value(json!({ "agents": agents })).unwrap()
    }

    #[test]
    fn the_agents_own_setting_wins_and_main_is_spared_by_non_main() {
        let config = config(json!({
            "defaults": {"sandbox": {"mode": "non-main", "workspaceAccess": "rw"}},
            "list": [{"id": "ops", "sandbox": {"mode": "all"}}, {"id": "main"}]}));
        assert_eq!(of_session(&config, "main", "agent:main:main"), None);
        let access = |agent: &str, key: &str| of_session(&config, agent, key);
        assert_eq!(access("main", "agent:main:x"), Some(Access::Write));
        assert_eq!(access("ops", "agent:ops:main"), Some(Access::Write));
    }

    #[test]
    fn folders_are_named_as_the_original_names_them() {
        // printf agent:main | sha1sum
        assert_eq!(slug("agent:main"), "agent-main-0d71ad7a");
        assert_ne!(slug("agent:a/b"), slug("agent:a.b"));
        assert!(slug(" ").starts_with("session-"));
        assert!(slug("a:::b:").starts_with("a-b-"));
    }

    #[test]
    fn container_settings_are_merged_unless_all_agents_share_one() {
        let mut agents = json!({
            "defaults": {"sandbox": {"docker": {"network": "none", "ulimits": {"nofile": 9},
                "binds": ["/a:/a"]}}},
            "list": [{"id": "ops", "sandbox": {"docker": {"network": "bridge",
                "ulimits": {"nproc": 5}, "binds": ["/b:/b"]}}}]});
        let settings =
            |agents: &Value| Settings::of(&config(agents.clone()), &Paths::default(), "ops");
        let own = settings(&agents);
        assert!(own.network());
        assert_eq!(own.docker["ulimits"], json!({"nofile": 9, "nproc": 5}));
        assert_eq!(own.docker["binds"], json!(["/a:/a", "/b:/b"]));
        agents["list"][0]["sandbox"]["scope"] = json!("shared");
        let shared = settings(&agents);
        assert!(!shared.network());
        assert_eq!(shared.folder("ops", "agent:ops:x"), shared.root);
    }
}
