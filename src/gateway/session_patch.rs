//! What `sessions.patch` does to an entry: each field checked, its synonyms folded, the whole patch
//! refused for the first that does not fit.

use super::models;
use crate::agent::{inbound, levels};
use crate::config::Snapshot;
use crate::model::name::{self, Ref};
use crate::session::{Entry, key};
use serde_json::{Map, Value};

/// The params of `sessions.patch` for one session. Their shape has been checked: each field is
/// absent, null or a text.
pub struct Patch<'a> {
    pub config: &'a Snapshot,
    pub agent_id: &'a str,
    /// Canonical.
    pub key: &'a str,
    pub params: &'a Map<String, Value>,
}

impl Patch<'_> {
    /// Changes `entry`; on an error, in the original's words, it is half changed and of no use.
    pub fn apply(&self, entry: &mut Entry) -> Result<(), String> {
        self.spawned_by(entry)?;
        self.label(entry)?;
        // Before the thinking level, which depends on it.
        self.model(entry)?;
        self.thinking(entry)?;
        self.level("verboseLevel", &mut entry.verbose_level, |word| {
            levels::verbose(word).ok_or("invalid verboseLevel (use \"on\"|\"off\")")
        })?;
        self.level("reasoningLevel", &mut entry.reasoning_level, |word| {
            levels::reasoning(word).ok_or("invalid reasoningLevel (use \"on\"|\"off\"|\"stream\")")
        })?;
        unset_when(&mut entry.reasoning_level, "off");
        self.level("responseUsage", &mut entry.response_usage, |word| {
            Ok(match word {
                "full" => "full",
                "off" => "off",
                _ => "tokens",
            })
        })?;
        unset_when(&mut entry.response_usage, "off");
        self.level("elevatedLevel", &mut entry.elevated_level, |word| {
            levels::elevated(word)
                .ok_or("invalid elevatedLevel (use \"on\"|\"off\"|\"ask\"|\"full\")")
        })?;
        let (host, security, ask) = (
            ["sandbox", "gateway", "node"],
            ["deny", "allowlist", "full"],
            ["off", "on-miss", "always"],
        );
        self.level("execHost", &mut entry.exec_host, |word| {
            one_of(word, host).ok_or("invalid execHost (use \"sandbox\"|\"gateway\"|\"node\")")
        })?;
        self.level("execSecurity", &mut entry.exec_security, |word| {
            one_of(word, security)
                .ok_or("invalid execSecurity (use \"deny\"|\"allowlist\"|\"full\")")
        })?;
        self.level("execAsk", &mut entry.exec_ask, |word| {
            one_of(word, ask).ok_or("invalid execAsk (use \"off\"|\"on-miss\"|\"always\")")
        })?;
        match self.field("execNode") {
            None => {}
            Some(None) => entry.exec_node = None,
            Some(Some(text)) => entry.exec_node = Some(filled("execNode", text)?),
        }
        self.level("sendPolicy", &mut entry.send_policy, |word| {
            Ok(if word == "deny" { "deny" } else { "allow" })
        })?;
        self.level("groupActivation", &mut entry.group_activation, |word| {
            Ok(if word == "always" {
                "always"
            } else {
                "mention"
            })
        })
    }

    /// `None` when the field is absent, `Some(None)` when it is null.
    fn field(&self, name: &str) -> Option<Option<&str>> {
        self.params.get(name).map(Value::as_str)
    }

    fn level(
        &self,
        name: &str,
        field: &mut Option<String>,
        read: impl Fn(&str) -> Result<&'static str, &'static str>,
    ) -> Result<(), String> {
        match self.field(name) {
            None => {}
            Some(None) => *field = None,
            Some(Some(text)) => *field = Some(read(text)?.into()),
        }
        Ok(())
    }

    fn spawned_by(&self, entry: &mut Entry) -> Result<(), String> {
        match self.field("spawnedBy") {
            None => {}
            Some(None) if entry.spawned_by.is_some() => {
                return Err("spawnedBy cannot be cleared once set".into());
            }
            Some(None) => {}
            Some(Some(text)) => {
                let parent = filled("spawnedBy", text)?;
                if !key::is_subagent(self.key) {
                    return Err("spawnedBy is only supported for subagent:* sessions".into());
                }
                if entry.spawned_by.as_ref().is_some_and(|old| *old != parent) {
                    return Err("spawnedBy cannot be changed once set".into());
                }
                entry.spawned_by = Some(parent);
            }
        }
        Ok(())
    }

    /// Whether another session has the label already is the caller's question.
    fn label(&self, entry: &mut Entry) -> Result<(), String> {
        match self.field("label") {
            None => {}
            Some(None) => entry.label = None,
            Some(Some(text)) => entry.label = Some(filled("label", text)?),
        }
        Ok(())
    }

    fn model(&self, entry: &mut Entry) -> Result<(), String> {
        let chosen = match self.field("model") {
            None => return Ok(()),
            Some(None) => None,
            Some(Some(text)) => self.reference(text)?,
        };
        entry.provider_override = chosen.as_ref().map(|model| model.provider.clone());
        entry.model_override = chosen.map(|model| model.model);
        // A pinned key belongs to the model it was pinned for.
        entry.auth_profile_override = None;
        entry.auth_profile_override_source = None;
        entry.auth_profile_override_compaction_count = None;
        Ok(())
    }

    /// The model a text names; `None` for the default one.
    fn reference(&self, text: &str) -> Result<Option<Ref>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("invalid model: empty".into());
        }
        let config = &self.config.config;
        let default = models::reference(self.config, self.agent_id);
        let is_alias = name::aliases(config)
            .iter()
            .any(|(alias, _)| alias.eq_ignore_ascii_case(text));
        let model = match text.split_once('/') {
            _ if is_alias => Ref::parse(config, text),
            Some((provider, model)) if provider.trim().is_empty() || model.trim().is_empty() => {
                return Err(format!("invalid model: {text}"));
            }
            Some((provider, model)) => Ref::new(provider, model.trim()),
            // A bare name is a model of the default's provider.
            None => Ref::new(&default.provider, text),
        };
        if model == default {
            return Ok(None);
        }
        if !name::is_allowed(config, &model) {
            return Err(format!("model not allowed: {model}"));
        }
        Ok(Some(model))
    }

    fn thinking(&self, entry: &mut Entry) -> Result<(), String> {
        let model = next_model(self.config, self.agent_id, entry);
        match self.field("thinkingLevel") {
            None => {
                // Chosen for a model that could; this one cannot.
                let stored = entry.thinking_level.as_deref();
                if stored == Some("xhigh") && !levels::knows_xhigh(&model.provider, &model.model) {
                    entry.thinking_level = Some("high".into());
                }
            }
            Some(None) => entry.thinking_level = None,
            Some(Some(text)) => {
                let Some(level) = inbound::thinking_level(text) else {
                    let choices = levels::thinking_choices(&model.provider, &model.model);
                    return Err(format!("invalid thinkingLevel (use {choices})"));
                };
                if level == "xhigh" && !levels::knows_xhigh(&model.provider, &model.model) {
                    return Err(format!(
                        "thinkingLevel \"xhigh\" is only supported for {}",
                        levels::XHIGH_ONLY
                    ));
                }
                entry.thinking_level = (level != "off").then(|| level.into());
            }
        }
        Ok(())
    }
}

/// What the session's next turn asks first: its own choice where that is allowed, else the agent's.
pub fn next_model(config: &Snapshot, agent_id: &str, entry: &Entry) -> Ref {
    match (&entry.provider_override, &entry.model_override) {
        (Some(provider), Some(model)) => Some(Ref::new(provider, model)),
        _ => None,
    }
    .filter(|model| name::is_allowed(&config.config, model))
    .unwrap_or_else(|| models::reference(config, agent_id))
}

fn filled(name: &str, text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err(format!("invalid {name}: empty")),
        text => Ok(text.into()),
    }
}

fn one_of(word: &str, known: [&'static str; 3]) -> Option<&'static str> {
    let word = word.trim();
    known.into_iter().find(|k| k.eq_ignore_ascii_case(word))
}

fn unset_when(field: &mut Option<String>, value: &str) {
    if field.as_deref() == Some(value) {
        *field = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Snapshot {
        Snapshot {
            config: serde_json::from_value(json!({
                "agents": {"defaults": {"model": {"primary": "fake/one"}}},
            }))
            .unwrap(),
            ..Snapshot::default()
        }
    }

    fn patch(entry: &mut Entry, key: &str, params: Value) -> Result<(), String> {
        Patch {
            config: &config(),
            agent_id: "main",
            key,
            params: params.as_object().unwrap(),
        }
        .apply(entry)
    }

    #[test]
    fn synonyms_are_folded_and_null_clears() {
        let mut entry = Entry::default();
        let params = json!({
            "thinkingLevel": "ultrathink", "verboseLevel": "all", "reasoningLevel": "draft",
            "elevatedLevel": "prompt", "responseUsage": "on", "execHost": " Gateway ",
            "execSecurity": "FULL", "execAsk": "On-Miss", "execNode": " pi ", "label": " Hi ",
            "sendPolicy": "deny", "groupActivation": "always"
        });
        patch(&mut entry, "agent:main:main", params.clone()).unwrap();
        let stored = serde_json::to_value(&entry).unwrap();
        assert_eq!(
            stored,
            json!({
                "thinkingLevel": "high", "verboseLevel": "full", "reasoningLevel": "stream",
                "elevatedLevel": "ask", "responseUsage": "tokens", "execHost": "gateway",
                "execSecurity": "full", "execAsk": "on-miss", "execNode": "pi", "label": "Hi",
                "sendPolicy": "deny", "groupActivation": "always"
            })
        );
        let cleared = params.as_object().unwrap().keys();
        let cleared: Map<String, Value> = cleared.map(|k| (k.clone(), Value::Null)).collect();
        patch(&mut entry, "agent:main:main", cleared.into()).unwrap();
        assert_eq!(entry, Entry::default());
    }

    #[test]
    fn off_is_stored_where_it_differs_from_the_default() {
        let mut entry = Entry::default();
        let off = json!({"thinkingLevel": "off", "reasoningLevel": "hide", "responseUsage": "off",
            "verboseLevel": "no", "elevatedLevel": "0"});
        patch(&mut entry, "agent:main:main", off).unwrap();
        assert_eq!(
            serde_json::to_value(&entry).unwrap(),
            json!({"verboseLevel": "off", "elevatedLevel": "off"})
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_originals_words() {
        let said =
            |params: Value| patch(&mut Entry::default(), "agent:main:main", params).unwrap_err();
        for (params, error) in [
            (
                json!({"thinkingLevel": "bogus"}),
                "invalid thinkingLevel (use off|minimal|low|medium|high)",
            ),
            (
                json!({"thinkingLevel": "xhigh"}),
                "thinkingLevel \"xhigh\" is only supported for openai/gpt-5.2, \
                 openai-codex/gpt-5.2-codex or openai-codex/gpt-5.1-codex",
            ),
            (
                json!({"verboseLevel": "x"}),
                "invalid verboseLevel (use \"on\"|\"off\")",
            ),
            (json!({"execNode": " "}), "invalid execNode: empty"),
            (json!({"label": " "}), "invalid label: empty"),
            (json!({"model": " "}), "invalid model: empty"),
            (json!({"model": "fake/"}), "invalid model: fake/"),
            (
                json!({"spawnedBy": "agent:main:x"}),
                "spawnedBy is only supported for subagent:* sessions",
            ),
        ] {
            assert_eq!(said(params), error);
        }
    }

    #[test]
    fn a_parent_stays_once_set() {
        let key = "agent:main:subagent:1";
        let mut entry = Entry::default();
        patch(&mut entry, key, json!({"spawnedBy": "agent:main:main"})).unwrap();
        patch(&mut entry, key, json!({"spawnedBy": "agent:main:main"})).unwrap();
        for (params, error) in [
            (
                json!({"spawnedBy": "other"}),
                "spawnedBy cannot be changed once set",
            ),
            (
                json!({"spawnedBy": null}),
                "spawnedBy cannot be cleared once set",
            ),
        ] {
            assert_eq!(patch(&mut entry, key, params).unwrap_err(), error);
        }
    }

    #[test]
    fn the_default_model_is_no_choice_and_a_level_it_lacks_is_lowered() {
        let mut entry = Entry::default();
        let set = |entry: &mut Entry, params| patch(entry, "agent:main:main", params).unwrap();
        set(
            &mut entry,
            json!({"model": "openai/gpt-5.2", "thinkingLevel": "xhigh"}),
        );
        assert_eq!(entry.model_override.as_deref(), Some("gpt-5.2"));
        assert_eq!(entry.thinking_level.as_deref(), Some("xhigh"));
        set(&mut entry, json!({"model": "Fake/one"}));
        assert_eq!(entry.model_override, None);
        assert_eq!(entry.thinking_level.as_deref(), Some("high"));
        set(&mut entry, json!({"model": "bare"}));
        assert_eq!(entry.provider_override.as_deref(), Some("fake"));
    }
}
