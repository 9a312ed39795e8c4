//! Keys of the program's earlier versions. They make a file invalid, and the message says where
//! the setting lives now; `doctor --fix` moves them.

use super::Issue;
use serde_json::Value;

struct Rule {
    old: &'static str,
    new: &'static str,
}

const fn moved(old: &'static str, new: &'static str) -> Rule {
    Rule { old, new }
}

/// In the order in which they are told.
const RULES: &[Rule] = &[
    moved("whatsapp", "channels.whatsapp"),
    moved("telegram", "channels.telegram"),
    moved("discord", "channels.discord"),
    moved("slack", "channels.slack"),
    moved("signal", "channels.signal"),
    moved("imessage", "channels.imessage"),
    moved("msteams", "channels.msteams"),
    moved("routing.allowFrom", "channels.whatsapp.allowFrom"),
    moved("routing.bindings", "top-level bindings"),
    moved("routing.agents", "agents.list"),
    moved("routing.defaultAgentId", "agents.list[].default"),
    moved("routing.agentToAgent", "tools.agentToAgent"),
    moved(
        "routing.groupChat.requireMention",
        "channels.<whatsapp, telegram, imessage>.groups.\"*\".requireMention",
    ),
    moved(
        "routing.groupChat.mentionPatterns",
        "messages.groupChat.mentionPatterns",
    ),
    moved("routing.queue", "messages.queue"),
    moved("routing.transcribeAudio", "tools.media.audio.models"),
    moved("identity", "agents.list[].identity"),
    moved(
        "agent",
        "agents.defaults (and tools.* for tools, elevated and exec)",
    ),
    moved("tools.bash", "tools.exec"),
    moved("agent.model", "agents.defaults.model.primary"),
    moved("agent.imageModel", "agents.defaults.imageModel.primary"),
    moved("agent.allowedModels", "agents.defaults.models"),
    moved("agent.modelAliases", "agents.defaults.models.*.alias"),
    moved("agent.modelFallbacks", "agents.defaults.model.fallbacks"),
    moved(
        "agent.imageModelFallbacks",
        "agents.defaults.imageModel.fallbacks",
    ),
    moved("messages.tts.enabled", "messages.tts.auto"),
    moved("gateway.token", "gateway.auth.token"),
];

pub fn issues(value: &Value) -> Vec<Issue> {
    RULES.iter().filter_map(|rule| rule.issue(value)).collect()
}

impl Rule {
    fn issue(&self, value: &Value) -> Option<Issue> {
        self.old
            .split('.')
            .try_fold(value, |value, key| value.get(key))?;
        let path = self.old.to_string();
        // Three forms that the original is known to use; clients show them as they are.
        let message = match self.old {
            "gateway.token" => format!("{path} is ignored; use {} instead", self.new),
            "routing.allowFrom" => format!("{path} was removed; use {} instead", self.new),
            "agent" => format!("agent.* was moved; use {} instead", self.new),
            _ => format!("{path} was moved; use {} instead", self.new),
        };
        Some(Issue {
            path,
            message: format!("{message} (auto-migrated on load)."),
            hint: Some("run `openclaw doctor --fix`".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_keys_are_named_with_their_new_place() {
        let found = issues(&json!({
            "gateway": {"token": "x"}, "routing": {"allowFrom": []}, "slack": {},
            "agents": {"defaults": {"model": "a/b"}}, "tools": {"exec": {}},
        }));
        let told: Vec<&str> = found.iter().map(|issue| issue.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "slack was moved; use channels.slack instead (auto-migrated on load).",
                "routing.allowFrom was removed; use channels.whatsapp.allowFrom instead (auto-migrated on load).",
                "gateway.token is ignored; use gateway.auth.token instead (auto-migrated on load).",
            ]
        );
    }
}
