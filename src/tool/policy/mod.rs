//! Which tools an agent may call. Every level of the configuration is a filter, and a tool must pass
//! all of them; within a level `deny` wins, and an empty `allow` allows everything.
//!
//! Reads the effective configuration as JSON: the levels are alike, and most exist twice.

mod names;

use super::Tool;
use super::confine;
use crate::config::{Snapshot, agents};
use names::{PROFILES, expand, known, names};
use serde_json::Value;

pub use names::{matches, normal_name};

/// Who is asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    pub agent_id: &'a str,
    pub session_key: &'a str,
    /// Of the model that will call: there may be rules for it. Empty when not known.
    pub provider: &'a str,
    pub model: &'a str,
}

const SANDBOX_ALLOW: &[&str] = &[
    "exec",
    "process",
    "read",
    "write",
    "edit",
    "apply_patch",
    "image",
    "sessions_list",
    "sessions_history",
    "sessions_send",
    "sessions_spawn",
    "session_status",
];

/// The names of channels are tools where channels bring some.
const SANDBOX_DENY: &[&str] = &[
    "browser",
    "canvas",
    "nodes",
    "cron",
    "gateway",
    "telegram",
    "whatsapp",
    "discord",
    "googlechat",
    "slack",
    "signal",
    "imessage",
];

const SUBAGENT_DENY: &[&str] = &[
    "sessions_list",
    "sessions_history",
    "sessions_send",
    "sessions_spawn",
    "gateway",
    "agents_list",
    "whatsapp_login",
    "session_status",
    "cron",
    "memory_search",
    "memory_get",
];

/// Models are told of these only where a list of the configuration asks for them: the original does
/// not send them.
const ON_REQUEST: &[&str] = &["grep", "find", "ls"];

/// One level; `None` says nothing.
#[derive(Clone, Debug, Default)]
struct Level {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

/// The rules for sandboxed sessions, and where each list is from.
pub struct SandboxRules {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub allow_from: Origin,
    pub deny_from: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Agent,
    Global,
    Default,
}

/// The tools `caller` may call, in the table's order.
pub fn allowed(config: &Snapshot, caller: &Caller) -> Vec<&'static Tool> {
    let levels = levels(&config.value, caller, &config.config);
    let read_only = confine::mode(&config.config, caller.agent_id, caller.session_key)
        .is_some_and(|access| access == confine::Access::Read);
    super::table()
        .iter()
        .filter(|tool| levels.iter().all(|level| level.passes(tool.name)))
        .filter(|tool| {
            let is_memory = matches!(tool.name, "memory_search" | "memory_get");
            !is_memory || super::memory::settings::is_on(config, caller.agent_id)
        })
        .filter(|tool| !(read_only && matches!(tool.name, "write" | "edit" | "apply_patch")))
        .filter(|tool| match tool.name {
            "apply_patch" => takes_patches(&config.value, caller),
            "web_search" => is_on(&config.value, "search"),
            "web_fetch" => is_on(&config.value, "fetch"),
            name => !ON_REQUEST.contains(&name) || asked_for(&config.value, caller, name),
        })
        .collect()
}

/// What sandboxed sessions of an agent may call, besides all other rules.
pub fn sandbox_rules(config: &Snapshot, agent_id: &str) -> SandboxRules {
    let global = config.value.get("tools").unwrap_or(&Value::Null);
    SandboxRules::of(agent_tools(&config.value, agent_id), global)
}

/// Web tools are there unless they are switched off.
fn is_on(config: &Value, tool: &str) -> bool {
    let web = config.pointer("/tools/web").and_then(|web| web.get(tool));
    web.and_then(|tool| tool.get("enabled")) != Some(&Value::Bool(false))
}

/// Only OpenAI's models know the form, and only where the operator wants it.
fn takes_patches(config: &Value, caller: &Caller) -> bool {
    let agent = agent_tools(config, caller.agent_id);
    let setting = |key: &str| {
        [agent, config.get("tools").unwrap_or(&Value::Null)]
            .into_iter()
            .find_map(|tools| tools.pointer("/exec/applyPatch")?.get(key))
    };
    let provider = caller.provider.to_lowercase();
    let models = setting("allowModels").and_then(Value::as_array);
    let models = models.filter(|models| !models.is_empty());
    setting("enabled").and_then(Value::as_bool) == Some(true)
        && matches!(provider.as_str(), "openai" | "openai-codex")
        && models.is_none_or(|models| {
            let model = caller.model.trim().to_lowercase();
            let full = match model.contains('/') {
                true => model.clone(),
                false => format!("{provider}/{model}"),
            };
            models.iter().filter_map(Value::as_str).any(|allowed| {
                let allowed = allowed.trim().to_lowercase();
                allowed == model || allowed == full
            })
        })
}

/// Whether any list that applies names the tool, other than by a mere `*`.
fn asked_for(config: &Value, caller: &Caller, name: &str) -> bool {
    let global = config.get("tools").unwrap_or(&Value::Null);
    let agent = agent_tools(config, caller.agent_id);
    let providers = [global, agent].map(|tools| by_provider(tools, caller));
    let places = [global, agent, &providers[0], &providers[1]];
    places.iter().any(|tools| {
        ["allow", "alsoAllow"].iter().any(|key| {
            names(tools, key)
                .unwrap_or_default()
                .iter()
                .any(|pattern| pattern != "*" && matches(pattern, name))
        })
    })
}

/// The rules for the caller's model, else for its provider.
fn by_provider(tools: &Value, caller: &Caller) -> Value {
    let by = tools.get("byProvider");
    let full = format!("{}/{}", caller.provider, caller.model);
    by.and_then(|by| by.get(&full).or_else(|| by.get(caller.provider)))
        .cloned()
        .unwrap_or(Value::Null)
}

fn levels(value: &Value, caller: &Caller, config: &crate::config::Config) -> Vec<Level> {
    let global = value.get("tools").unwrap_or(&Value::Null);
    let agent = agent_tools(value, caller.agent_id);
    let (global_provider, agent_provider) =
        (by_provider(global, caller), by_provider(agent, caller));
    let mut levels = vec![
        Level::profile(agent, global),
        Level::profile(&agent_provider, &global_provider),
        Level::plain(global),
        Level::plain(&global_provider),
        Level::plain(agent),
        Level::plain(&agent_provider),
    ];
    if confine::mode(config, caller.agent_id, caller.session_key).is_some() {
        levels.push(Level::sandbox(agent, global));
    }
    if caller.session_key.contains(":subagent:") {
        levels.push(Level::subagent(global));
    }
    levels
}

fn agent_tools<'a>(value: &'a Value, agent_id: &str) -> &'a Value {
    let list = value.pointer("/agents/list").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .find(|agent| {
            agent
                .get("id")
                .and_then(Value::as_str)
                .is_some_and(|id| agents::agent_id(id) == agent_id)
        })
        .and_then(|agent| agent.get("tools"))
        .unwrap_or(&Value::Null)
}

impl SandboxRules {
    fn of(own: &Value, shared: &Value) -> SandboxRules {
        let get = |key: &str| {
            [(own, Origin::Agent), (shared, Origin::Global)]
                .into_iter()
                .find_map(|(tools, from)| {
                    Some((names(tools.pointer("/sandbox/tools")?, key)?, from))
                })
        };
        let default = |list: &[&'static str]| (expand(list.iter().copied()), Origin::Default);
        let (deny, deny_from) = get("deny").unwrap_or_else(|| default(SANDBOX_DENY));
        let (mut allow, allow_from) = get("allow").unwrap_or_else(|| default(SANDBOX_ALLOW));
        if !allow.is_empty() {
            allow.extend(get("alsoAllow").map(|(also, _)| also).unwrap_or_default());
            if ![&allow, &deny]
                .iter()
                .any(|list| list.iter().any(|name| name == "image"))
            {
                allow.push("image".into());
            }
        }
        SandboxRules {
            allow,
            deny,
            allow_from,
            deny_from,
        }
    }
}

impl Level {
    /// `allow`, `deny`; `alsoAllow` without an `allow` keeps everything.
    fn plain(tools: &Value) -> Level {
        let mut allow = names(tools, "allow").unwrap_or_default();
        if !allow.is_empty() {
            allow.extend(names(tools, "alsoAllow").unwrap_or_default());
        }
        // A list that names nothing known is a slip (or means plug-ins alone): it must not take
        // away the core tools.
        if !allow.is_empty() && !allow.iter().any(|name| known(name)) {
            log::warn!("tools: an allow list names only unknown tools and is ignored");
            allow.clear();
        }
        Level {
            allow: Some(allow).filter(|allow| !allow.is_empty()),
            deny: names(tools, "deny").unwrap_or_default(),
        }
    }

    fn profile(own: &Value, shared: &Value) -> Level {
        let text = |tools: &Value| {
            tools
                .get("profile")
                .and_then(Value::as_str)
                .map(str::to_string)
        };
        let from = if text(own).is_some() { own } else { shared };
        let profile = text(from).unwrap_or_default();
        let Some((_, members)) = PROFILES.iter().find(|(name, _)| *name == profile) else {
            return Level::default();
        };
        let mut allow = expand(members.iter().copied());
        let also = names(own, "alsoAllow").or_else(|| names(shared, "alsoAllow"));
        allow.extend(also.unwrap_or_default());
        Level {
            allow: Some(allow),
            deny: Vec::new(),
        }
    }

    fn sandbox(own: &Value, shared: &Value) -> Level {
        let rules = SandboxRules::of(own, shared);
        Level {
            allow: Some(rules.allow).filter(|allow| !allow.is_empty()),
            deny: rules.deny,
        }
    }

    fn subagent(shared: &Value) -> Level {
        let own = shared.pointer("/subagents/tools").unwrap_or(&Value::Null);
        let mut level = Level::plain(own);
        level.deny.extend(expand(SUBAGENT_DENY.iter().copied()));
        level
    }

    fn passes(&self, name: &str) -> bool {
        if self.deny.iter().any(|pattern| matches(pattern, name)) {
            return false;
        }
        self.allow.as_ref().is_none_or(|allow| {
            allow.iter().any(|pattern| {
                matches(pattern, name) || (name == "apply_patch" && matches(pattern, "exec"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: Value) -> Snapshot {
        Snapshot {
            config: serde_json::from_value(value.clone()).unwrap(),
            value,
            ..Snapshot::default()
        }
    }

    fn given(value: Value, session_key: &str) -> Vec<&'static str> {
        let caller = Caller {
            agent_id: "main",
            session_key,
            provider: "fake",
            model: "m1",
        };
        let tools = allowed(&config(value), &caller);
        tools.iter().map(|tool| tool.name).collect()
    }

    const KEY: &str = "agent:main:main";

    #[test]
    fn without_rules_everything_is_allowed_that_the_original_sends() {
        let mut all: Vec<&str> = super::super::table().iter().map(|t| t.name).collect();
        all.retain(|name| !["apply_patch", "grep", "find", "ls"].contains(name));
        assert_eq!(given(json!({}), KEY), all);
        assert_eq!(given(json!({"tools": {"allow": ["*"]}}), KEY), all);
    }

    #[test]
    fn searching_tools_are_there_for_who_asks_for_them() {
        let also = json!({"tools": {"alsoAllow": ["grep"]}});
        let tools = given(also, KEY);
        assert!(tools.contains(&"grep") && tools.contains(&"exec") && !tools.contains(&"find"));
        let tools = json!({"tools": {"allow": ["group:fs", "find", "ls"], "deny": ["ls"]}});
        assert_eq!(given(tools, KEY), ["read", "edit", "write", "find"]);
    }

    #[test]
    fn patches_are_for_openai_models_where_they_are_switched_on() {
        let has = |value: &Value, provider, model| {
            let caller = Caller {
                agent_id: "main",
                session_key: KEY,
                provider,
                model,
            };
            let tools = allowed(&config(value.clone()), &caller);
            tools.iter().any(|tool| tool.name == "apply_patch")
        };
        let on = json!({"tools": {"exec": {"applyPatch": {"enabled": true}}}});
        assert!(has(&on, "openai", "gpt-5") && has(&on, "openai-codex", "gpt-5"));
        assert!(!has(&on, "anthropic", "claude") && !has(&json!({}), "openai", "gpt-5"));
        let some = json!({"tools": {"allow": ["exec"], "exec": {"applyPatch":
            {"enabled": true, "allowModels": ["openai/GPT-5", "o3"]}}}});
        assert!(has(&some, "openai", "gpt-5") && has(&some, "openai", "o3"));
        assert!(!has(&some, "openai", "gpt-4"));
    }

    #[test]
    fn deny_wins_over_allow_and_groups_and_old_names_are_understood() {
        let tools = json!({"tools": {"allow": ["group:fs"], "deny": ["WRITE"]}});
        assert_eq!(given(tools, KEY), ["read", "edit"]);
        let tools = json!({"tools": {"allow": ["bash", "re*"]}});
        assert!(given(tools.clone(), KEY).contains(&"read"));
        assert!(!given(tools, KEY).contains(&"write"));
    }

    #[test]
    fn a_tool_must_pass_every_level() {
        let value = json!({
            "tools": {"profile": "minimal", "alsoAllow": ["read", "write", "edit"],
                      "byProvider": {"fake": {"deny": ["edit"]}}},
            "agents": {"list": [{"id": "main", "tools": {"deny": ["write"]}}]},
        });
        assert_eq!(given(value, KEY), ["read", "session_status"]);
    }

    /// What the original's evaluation gives, level by level: a configuration, a session, tools
    /// that are there and tools that are not.
    #[test]
    fn every_level_filters_as_in_the_original() {
        const CHILD: &str = "agent:main:subagent:1";
        let agent = |tools: Value| json!({"agents": {"list": [{"id": "Main", "tools": tools}]}});
        let boxed = |tools: Value| {
            json!({"agents": {"defaults": {"sandbox": {"mode": "all", "workspaceAccess": "rw"}}},
                "tools": {"sandbox": {"tools": tools}}})
        };
        for (value, key, there, gone) in [
            (
                json!({"tools": {"profile": "coding"}}),
                KEY,
                &["read", "exec", "sessions_send", "memory_get"][..],
                &["cron", "gateway", "agents_list"][..],
            ),
            (
                json!({"tools": {"profile": "messaging", "alsoAllow": ["cron"]}}),
                KEY,
                &["sessions_list", "sessions_history", "sessions_send", "cron"],
                &["read", "exec", "sessions_spawn"],
            ),
            (
                json!({"tools": {"profile": "full"}}),
                KEY,
                &["read", "gateway"],
                &[],
            ),
            // The agent's profile instead of everybody's.
            (
                json!({"tools": {"profile": "minimal"},
                    "agents": {"list": [{"id": "main", "tools": {"profile": "coding"}}]}}),
                KEY,
                &["read", "write"],
                &["cron"],
            ),
            // The model's rule instead of its provider's.
            (
                json!({"tools": {"byProvider": {"fake": {"deny": ["read"]},
                    "fake/m1": {"deny": ["write"]}}}}),
                KEY,
                &["read"],
                &["write"],
            ),
            (
                json!({"tools": {"byProvider": {"other": {"deny": ["*"]}}}}),
                KEY,
                &["read"],
                &[],
            ),
            (
                agent(json!({"allow": ["group:fs"]})),
                KEY,
                &["read", "edit"],
                &["exec"],
            ),
            (
                agent(
                    json!({"byProvider": {"fake": {"profile": "minimal", "alsoAllow": ["read"]}}}),
                ),
                KEY,
                &["read"],
                &["write"],
            ),
            // Without a list of its own it keeps everything.
            (
                agent(json!({"alsoAllow": ["lobster"]})),
                KEY,
                &["read", "cron"],
                &[],
            ),
            (
                agent(json!({"allow": [], "deny": ["*_history"]})),
                KEY,
                &["cron"],
                &["sessions_history"],
            ),
            (
                boxed(json!({})),
                KEY,
                &["exec", "sessions_spawn"],
                &["cron", "gateway", "agents_list"],
            ),
            (
                boxed(json!({"allow": ["cron", "read"]})),
                KEY,
                &["read"],
                &["cron", "exec"],
            ),
            (
                boxed(json!({"deny": ["exec"]})),
                KEY,
                &["read"],
                &["exec", "cron"],
            ),
            (
                boxed(json!({"allow": ["cron"], "deny": ["exec"]})),
                KEY,
                &["cron"],
                &["exec", "read"],
            ),
            (
                json!({}),
                CHILD,
                &["read", "exec"],
                &[
                    "sessions_list",
                    "sessions_spawn",
                    "gateway",
                    "agents_list",
                    "cron",
                    "memory_search",
                ],
            ),
            (
                json!({"tools": {"subagents": {"tools": {"deny": ["exec"]}}}}),
                CHILD,
                &["read"],
                &["exec", "cron"],
            ),
            (
                json!({"tools": {"subagents": {"tools": {"allow": ["read", "cron"]}}}}),
                CHILD,
                &["read"],
                &["write", "cron"],
            ),
        ] {
            let given = given(value.clone(), key);
            let missing = there.iter().find(|name| !given.contains(name));
            let extra = gone.iter().find(|name| given.contains(name));
            assert_eq!((missing, extra), (None, None), "{value}");
        }
    }

    #[test]
    fn a_list_of_unknown_names_is_ignored() {
        let value = json!({"tools": {"allow": ["my_plugin"]}});
        assert!(given(value, KEY).contains(&"read"));
    }

    #[test]
    fn a_read_only_sandbox_has_no_writing_tools() {
        let value = json!({"agents": {"defaults": {"sandbox":
            {"mode": "non-main", "workspaceAccess": "ro"}}}});
        assert!(given(value.clone(), KEY).contains(&"write"));
        let group = given(value, "agent:main:telegram:group:1");
        assert!(group.contains(&"read") && !group.contains(&"write"));
    }

    #[test]
    fn stars_match_any_run_of_characters() {
        assert!(matches("*", "read") && matches("sessions_*", "sessions_list"));
        assert!(matches("*s*n_s*", "session_status") && !matches("a*b", "acd"));
    }
}
