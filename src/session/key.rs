//! Session keys: which conversation a message belongs to, as one lower-case string.
//!
//! `agent:<agent id>:<rest>` or the two bare keys `global` and `unknown`. Every key that enters
//! from outside goes through `canonical` once; after that it is compared byte by byte.

use crate::config::Config;

/// The agent of an installation that configures none.
pub const DEFAULT_AGENT: &str = "main";
/// The last part of an agent's main session key; the original forces it.
pub const MAIN: &str = "main";
pub const GLOBAL: &str = "global";
pub const UNKNOWN: &str = "unknown";
/// Longest agent or account id.
const ID_CHARS: usize = 64;

/// What the configuration says about keys that do not name their agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    pub agent: String,
    /// `session.scope` is `global`: main keys mean the one global session.
    pub global: bool,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            agent: DEFAULT_AGENT.into(),
            global: false,
        }
    }
}

impl Defaults {
    /// The default agent is the one marked so, else the first, else `main`.
    pub fn of(config: &Config) -> Defaults {
        let list = &config.agents.list;
        let agent = list.iter().find(|a| a.default).or(list.first());
        Defaults {
            agent: agent.map_or_else(|| DEFAULT_AGENT.into(), |a| sanitize_id(&a.id)),
            global: config.session.scope.as_deref() == Some("global"),
        }
    }

    /// The default agent's main session.
    pub fn main_key(&self) -> String {
        self.main_of(&self.agent)
    }

    /// The main session of `agent`.
    pub fn main_of(&self, agent: &str) -> String {
        if self.global {
            GLOBAL.into()
        } else {
            main_key(agent)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Group,
    Global,
    Unknown,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Group => "group",
            Kind::Global => "global",
            Kind::Unknown => "unknown",
        }
    }
}

/// `agent:<agent>:main`, whatever the scope.
pub fn main_key(agent: &str) -> String {
    format!("agent:{agent}:{MAIN}")
}

/// The one spelling of `key`.
pub fn canonical(key: &str, defaults: &Defaults) -> String {
    let key = key.trim().to_lowercase();
    if key == GLOBAL || key == UNKNOWN {
        return key;
    }
    if key.is_empty() || key == MAIN {
        return defaults.main_key();
    }
    if let Some((agent, rest)) = split(&key) {
        let agent = sanitize_id(agent);
        return if rest.is_empty() || rest == MAIN {
            defaults.main_of(&agent)
        } else {
            format!("agent:{agent}:{rest}")
        };
    }
    format!("agent:{}:{key}", defaults.agent)
}

/// The canonical form of a key found in `agent`'s store, where older versions left other spellings.
pub(super) fn fold_stored(key: &str, agent: &str) -> String {
    let defaults = Defaults {
        agent: agent.into(),
        global: false,
    };
    let key = key.trim().to_lowercase();
    let bare = key.strip_prefix("group:").unwrap_or(&key);
    let bare = bare.strip_prefix("whatsapp:").unwrap_or(bare);
    // Before channels had their place in the key there was one channel.
    if bare.ends_with("@g.us") && !bare.contains(':') {
        return format!("agent:{agent}:whatsapp:group:{bare}");
    }
    if key.starts_with("group:") {
        return format!("agent:{agent}:{UNKNOWN}:{key}");
    }
    canonical(&key, &defaults)
}

/// Agent id and rest of an `agent:…` key with at least three parts.
pub fn split(key: &str) -> Option<(&str, &str)> {
    let (agent, rest) = key.strip_prefix("agent:")?.split_once(':')?;
    (!agent.is_empty()).then_some((agent, rest))
}

/// The agent a canonical key belongs to; `None` for `global` and `unknown`.
pub fn agent_of(key: &str) -> Option<&str> {
    split(key).map(|(agent, _)| agent)
}

/// The kind a key shows by itself; `Entry::kind` also knows the stored chat type.
pub fn kind(key: &str) -> Kind {
    match key {
        GLOBAL => Kind::Global,
        UNKNOWN => Kind::Unknown,
        _ if key.contains(":group:") || key.contains(":channel:") => Kind::Group,
        _ => Kind::Direct,
    }
}

pub fn is_subagent(key: &str) -> bool {
    split(key)
        .map_or(key, |(_, rest)| rest)
        .starts_with("subagent:")
}

/// A thread's or topic's own session, and the key of the conversation it hangs from.
pub fn thread_parent(key: &str) -> Option<&str> {
    let at = key.rfind(":thread:").max(key.rfind(":topic:"))?;
    Some(&key[..at])
}

/// An agent or account id: lower case, other characters than letters, digits, `_`, `-` become one
/// `-`, at most 64; `main` when nothing is left.
pub fn sanitize_id(text: &str) -> String {
    let mut id = String::new();
    for c in text.trim().to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '-' => id.push(c),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    let id: String = id.trim_matches('-').chars().take(ID_CHARS).collect();
    if id.is_empty() {
        DEFAULT_AGENT.into()
    } else {
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_main_session_is_one_key() {
        let defaults = Defaults {
            agent: "ops".into(),
            global: false,
        };
        for key in [
            "main",
            " MAIN ",
            "",
            "agent:ops:main",
            "agent:OPS:Main",
            "agent:ops:",
        ] {
            assert_eq!(canonical(key, &defaults), "agent:ops:main", "{key}");
        }
        assert_eq!(canonical("agent:main:main", &defaults), "agent:main:main");
    }

    #[test]
    fn keys_of_older_stores_are_read_as_the_present_ones() {
        for (old, new) in [
            ("main", "agent:a:main"),
            ("subagent:X", "agent:a:subagent:x"),
            ("group:123@g.us", "agent:a:whatsapp:group:123@g.us"),
            ("123-4@G.US", "agent:a:whatsapp:group:123-4@g.us"),
            ("whatsapp:123@g.us", "agent:a:whatsapp:group:123@g.us"),
            ("group:77", "agent:a:unknown:group:77"),
            ("+491234", "agent:a:+491234"),
            ("global", "global"),
            ("agent:b:telegram:group:7", "agent:b:telegram:group:7"),
        ] {
            assert_eq!(fold_stored(old, "a"), new, "{old}");
        }
    }

    #[test]
    fn other_keys_get_the_default_agent_and_lower_case() {
        let defaults = Defaults::default();
        assert_eq!(canonical("Notes", &defaults), "agent:main:notes");
        assert_eq!(canonical("Global", &defaults), "global");
        assert_eq!(canonical("unknown", &defaults), "unknown");
        assert_eq!(
            canonical("agent:My Bot:Telegram:DM:42", &defaults),
            "agent:my-bot:telegram:dm:42"
        );
        assert_eq!(canonical("agent:x", &defaults), "agent:main:agent:x");
    }

    #[test]
    fn under_global_scope_main_means_global() {
        let defaults = Defaults {
            agent: "main".into(),
            global: true,
        };
        assert_eq!(canonical("main", &defaults), "global");
        assert_eq!(canonical("agent:main:main", &defaults), "global");
        assert_eq!(canonical("agent:main:notes", &defaults), "agent:main:notes");
    }

    #[test]
    fn kinds_threads_and_subagents_are_read_off_the_key() {
        assert_eq!(kind("agent:main:telegram:group:-100"), Kind::Group);
        assert_eq!(kind("agent:main:main"), Kind::Direct);
        assert!(is_subagent("agent:main:subagent:1-2"));
        assert!(!is_subagent("agent:main:cron:1"));
        assert_eq!(
            thread_parent("agent:main:telegram:group:-1:topic:7"),
            Some("agent:main:telegram:group:-1")
        );
        assert_eq!(thread_parent("agent:main:main"), None);
    }
}
