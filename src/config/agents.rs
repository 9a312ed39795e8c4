//! Which agents there are, and where each works: the questions many rooms ask of `agents.*`.

use super::schema::Agent;
use super::{Config, Paths};
use serde_json::Value;
use std::path::PathBuf;

/// The agent that answers when nobody is named and none is configured.
pub const MAIN_AGENT: &str = "main";

/// A beat's settings, defaults applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    pub enabled: bool,
    /// As written, `30m`; `disabled` for an agent that does not beat.
    pub every: String,
    /// `None` when it never beats.
    pub every_ms: Option<u64>,
    pub prompt: String,
    /// `last`, `none` or a channel.
    pub target: String,
    pub to: Option<String>,
    /// The session it speaks in; the agent's main one when there is none.
    pub session: Option<String>,
    /// `{start, end, timezone}` as written.
    pub active_hours: Option<Value>,
    pub model: Option<String>,
    pub ack_max_chars: u64,
}

const HEARTBEAT_EVERY: &str = "30m";
const HEARTBEAT_PROMPT: &str = "Read HEARTBEAT.md in the workspace if there is one and do exactly what it says. \
     Do not bring up or repeat old tasks from earlier chats. \
     When nothing needs attention, answer HEARTBEAT_OK.";
const ACK_MAX_CHARS: u64 = 300;

impl Config {
    /// The agent marked default, else the first listed, else `main`.
    pub fn default_agent_id(&self) -> String {
        let list = &self.agents.list;
        list.iter()
            .find(|agent| agent.default)
            .or_else(|| list.first())
            .map_or_else(|| MAIN_AGENT.into(), |agent| agent_id(&agent.id))
    }

    /// The configured agents in their order, or the default one alone.
    pub fn agent_ids(&self) -> Vec<String> {
        if self.agents.list.is_empty() {
            return vec![self.default_agent_id()];
        }
        self.agents
            .list
            .iter()
            .map(|agent| agent_id(&agent.id))
            .collect()
    }

    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents
            .list
            .iter()
            .find(|agent| agent_id(&agent.id) == id)
    }

    /// Where the agent's files lie: its own setting, the default agent's, or a folder below HOME.
    pub fn workspace(&self, id: &str, paths: &Paths) -> PathBuf {
        if let Some(dir) = self.agent(id).and_then(|agent| agent.workspace.as_ref()) {
            return below_home(dir, paths);
        }
        if id == self.default_agent_id() {
            if let Some(dir) = &self.agents.defaults.workspace {
                return below_home(dir, paths);
            }
            let name = match &paths.profile {
                Some(profile) => format!("workspace-{profile}"),
                None => "workspace".into(),
            };
            return paths.home.join(".openclaw").join(name);
        }
        paths.home.join(".openclaw").join(format!("workspace-{id}"))
    }

    /// `per-sender` or `global`.
    pub fn session_scope(&self) -> &str {
        match self.session.scope.as_deref() {
            Some("global") => "global",
            _ => "per-sender",
        }
    }

    pub fn heartbeat(&self, id: &str) -> Heartbeat {
        let own = self.agent(id).and_then(|agent| agent.heartbeat.as_ref());
        let shared = self.agents.defaults.heartbeat.as_ref();
        let get = |key: &str| {
            own.and_then(|block| block.get(key))
                .or_else(|| shared.and_then(|block| block.get(key)))
        };
        let text = |key: &str, default: &str| {
            get(key)
                .and_then(Value::as_str)
                .unwrap_or(default)
                .to_string()
        };
        let own_text = |key: &str| {
            let text = get(key).and_then(Value::as_str).map(str::trim);
            text.filter(|t| !t.is_empty()).map(str::to_string)
        };
        // As soon as one agent has a block of its own, only such agents beat.
        let anyone_own = self.agents.list.iter().any(|a| a.heartbeat.is_some());
        let enabled = if anyone_own {
            own.is_some()
        } else {
            id == self.default_agent_id()
        };
        let every = text("every", HEARTBEAT_EVERY);
        let every_ms = duration_ms(&every).filter(|ms| enabled && *ms > 0);
        Heartbeat {
            enabled,
            every: if enabled { every } else { "disabled".into() },
            every_ms,
            prompt: text("prompt", HEARTBEAT_PROMPT),
            target: text("target", "last"),
            to: own_text("to"),
            session: own_text("session"),
            active_hours: get("activeHours").cloned(),
            model: own_text("model"),
            ack_max_chars: get("ackMaxChars")
                .and_then(Value::as_u64)
                .unwrap_or(ACK_MAX_CHARS),
        }
    }
}

/// An agent id in the form used in keys and folders: `[a-z0-9][a-z0-9_-]{0,63}`, anything else `-`.
pub fn agent_id(text: &str) -> String {
    let id: String = text
        .trim()
        .to_lowercase()
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '_' | '-' => c,
            _ => '-',
        })
        .take(64)
        .collect();
    let id = id.trim_start_matches(['-', '_']).trim_end_matches('-');
    if id.is_empty() { MAIN_AGENT } else { id }.to_string()
}

/// `30m`, `1.5h`, `1h30m`, `45s`, `500ms`, `2d`; a bare number is minutes.
pub fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(minutes) = text.parse::<u64>() {
        return minutes.checked_mul(60_000);
    }
    if text.contains('.') {
        return fraction_ms(text);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// `1.5h`: one number, one unit.
fn fraction_ms(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit_ms = match unit {
        "" => 60_000,
        _ => duration_ms(&format!("1{unit}"))?,
    };
    let ms = number.parse::<f64>().ok()? * unit_ms as f64;
    // Longer than a thousand years is no period.
    (ms < 3.2e13).then_some(ms.round() as u64)
}

fn below_home(dir: &str, paths: &Paths) -> PathBuf {
    match dir.strip_prefix("~/") {
        Some(rest) => paths.home.join(rest),
        None if dir == "~" => paths.home.clone(),
        None => std::path::absolute(dir).unwrap_or_else(|_| PathBuf::from(dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_default_agent_is_the_marked_one_then_the_first_then_main() {
        assert_eq!(config(json!({})).default_agent_id(), "main");
        let two = json!({"agents":{"list":[{"id":"Ops"},{"id":"b"}]}});
        assert_eq!(config(two).default_agent_id(), "ops");
        let marked = json!({"agents":{"list":[{"id":"a"},{"id":"b","default":true}]}});
        assert_eq!(config(marked).default_agent_id(), "b");
    }

    #[test]
    fn only_agents_with_their_own_block_beat_once_one_has_it() {
        let c =
            config(json!({"agents":{"list":[{"id":"a"},{"id":"b","heartbeat":{"every":"5m"}}]}}));
        assert!(!c.heartbeat("a").enabled);
        assert_eq!(c.heartbeat("b").every_ms, Some(300_000));
        let plain = config(json!({})).heartbeat("main");
        assert_eq!((plain.enabled, plain.every_ms), (true, Some(1_800_000)));
        let off = config(json!({"agents":{"defaults":{"heartbeat":{"every":"0m"}}}}));
        assert_eq!(off.heartbeat("main").every_ms, None);
    }

    #[test]
    fn durations_take_units_and_bare_minutes() {
        assert_eq!(duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_ms("2"), Some(120_000));
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("1.5h"), Some(5_400_000));
        assert_eq!(duration_ms("0.5"), Some(30_000));
        assert_eq!(duration_ms("1.5x"), None);
        assert_eq!(duration_ms("soon"), None);
        assert_eq!(duration_ms(""), None);
    }

    #[test]
    fn ids_are_folded_to_the_allowed_letters() {
        assert_eq!(agent_id(" My Agent! "), "my-agent");
        assert_eq!(agent_id(""), "main");
    }
}
