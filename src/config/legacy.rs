//! Keys of the program's earlier versions. They make a file invalid, and the message says where
//! the setting lives now; `doctor --fix` moves them.

use super::Issue;
use serde_json::Value;

struct Rule {
    /// `*` stands for every element or key.
    old: &'static str,
    new: &'static str,
    only: Only,
}

#[derive(PartialEq)]
enum Only {
    Present,
    /// A string where an object is now.
    Text,
}

const fn moved(old: &'static str, new: &'static str) -> Rule {
    Rule {
        old,
        new,
        only: Only::Present,
    }
}

const fn was_text(old: &'static str, new: &'static str) -> Rule {
    Rule {
        old,
        new,
        only: Only::Text,
    }
}

/// In the order in which they are told.
const RULES: &[Rule] = &[
    moved("bindings.*.match.provider", "bindings[].match.channel"),
    moved("bindings.*.match.accountID", "bindings[].match.accountId"),
    moved(
        "session.sendPolicy.rules.*.match.provider",
        "session.sendPolicy.rules[].match.channel",
    ),
    moved("messages.queue.byProvider", "messages.queue.byChannel"),
    moved("whatsapp", "channels.whatsapp"),
    moved("telegram", "channels.telegram"),
    moved("discord", "channels.discord"),
    moved("slack", "channels.slack"),
    moved("signal", "channels.signal"),
    moved("imessage", "channels.imessage"),
    moved("msteams", "channels.msteams"),
    moved("routing.allowFrom", "channels.whatsapp.allowFrom"),
    moved(
        "routing.groupChat.requireMention",
        "channels.whatsapp/telegram/imessage groups (e.g. channels.whatsapp.groups.\"*\".requireMention)",
    ),
    moved(
        "routing.groupChat.historyLimit",
        "messages.groupChat.historyLimit",
    ),
    moved(
        "routing.groupChat.mentionPatterns",
        "messages.groupChat.mentionPatterns",
    ),
    moved("routing.agents", "agents.list"),
    moved("routing.defaultAgentId", "agents.list[].default"),
    moved("routing.bindings", "top-level bindings"),
    moved("routing.agentToAgent", "tools.agentToAgent"),
    moved("routing.queue", "messages.queue"),
    moved("routing.transcribeAudio", "tools.media.audio.models"),
    moved("gateway.token", "gateway.auth.token"),
    moved(
        "channels.telegram.requireMention",
        "channels.telegram.groups.\"*\".requireMention",
    ),
    moved("identity", "agents.list[].identity"),
    moved(
        "agent",
        "agents.defaults (and tools.* for tools, elevated and exec)",
    ),
    was_text("agents.defaults.model", "agents.defaults.model.primary"),
    was_text(
        "agents.defaults.imageModel",
        "agents.defaults.imageModel.primary",
    ),
    moved(
        "agents.defaults.modelFallbacks",
        "agents.defaults.model.fallbacks",
    ),
    moved(
        "agents.defaults.imageModelFallbacks",
        "agents.defaults.imageModel.fallbacks",
    ),
    moved("agents.defaults.allowedModels", "agents.defaults.models"),
    moved(
        "agents.defaults.modelAliases",
        "agents.defaults.models.*.alias",
    ),
    moved("tools.bash", "tools.exec"),
];

pub fn issues(value: &Value) -> Vec<Issue> {
    RULES.iter().filter_map(|rule| rule.issue(value)).collect()
}

impl Rule {
    fn issue(&self, value: &Value) -> Option<Issue> {
        let parts: Vec<&str> = self.old.split('.').collect();
        let found = find(value, &parts)?;
        if self.only == Only::Text && !found.is_string() {
            return None;
        }
        let path = self.old.replace(".*", "[]");
        // Three forms that the original is known to use; clients show them as they are.
        let message = match (self.old, self.only == Only::Text) {
            ("gateway.token", _) => format!("{path} is ignored; use {} instead", self.new),
            ("routing.allowFrom", _) => format!("{path} was removed; use {} instead", self.new),
            ("agent", _) => format!("agent.* was moved; use {} instead", self.new),
            (_, true) => format!("{path} as text was replaced; use {} instead", self.new),
            (_, false) => format!("{path} was moved; use {} instead", self.new),
        };
        Some(Issue {
            path,
            message: format!("{message} (auto-migrated on load)."),
            hint: Some("run `openclaw doctor --fix`".into()),
        })
    }
}

fn find<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(value);
    };
    match (*first, value) {
        ("*", Value::Array(list)) => list.iter().find_map(|item| find(item, rest)),
        ("*", Value::Object(map)) => map.values().find_map(|item| find(item, rest)),
        (key, value) => find(value.get(key)?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_keys_are_named_with_their_new_place() {
        let found = issues(&json!({
            "gateway": {"token": "x"}, "routing": {"allowFrom": []},
            "bindings": [{"match": {"provider": "telegram"}}],
            "agents": {"defaults": {"model": "a/b", "imageModel": {"primary": "a/b"}}},
        }));
        let told: Vec<&str> = found.iter().map(|issue| issue.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "bindings[].match.provider was moved; use bindings[].match.channel instead (auto-migrated on load).",
                "routing.allowFrom was removed; use channels.whatsapp.allowFrom instead (auto-migrated on load).",
                "gateway.token is ignored; use gateway.auth.token instead (auto-migrated on load).",
                "agents.defaults.model as text was replaced; use agents.defaults.model.primary instead (auto-migrated on load).",
            ]
        );
    }
}
