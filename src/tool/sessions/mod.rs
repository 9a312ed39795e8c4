//! What an agent may see of other sessions, and the tools that list and read them.
//!
//! Another agent's sessions need `tools.agentToAgent`; a sandboxed session sees only what it has
//! spawned itself unless `sandbox.sessionToolsVisibility` is `all`. Every tool here asks both.

pub mod history;
pub mod list;
pub mod send;
pub mod spawn;

use super::policy::matches;
use super::{Context, Error, Output, confine};
use crate::session::key::{self, Defaults};
use serde_json::{Map, Value, json};

/// Sessions among which a spawned one is looked for, as in the original.
const SPAWNED_LIMIT: u64 = 500;

/// The session a call is made from.
pub struct Requester<'a> {
    ctx: &'a Context<'a>,
    pub agent: String,
    /// Sees only sessions that it spawned.
    pub confined: bool,
}

/// A session that the requester named and may reach.
pub struct Reached {
    pub key: String,
}

/// What the tool answers instead.
pub type Refused = (&'static str, String);

impl<'a> Requester<'a> {
    pub fn of(ctx: &'a Context<'a>) -> Requester<'a> {
        let config = &ctx.config.config;
        let sandboxed = confine::mode(config, ctx.agent_id, ctx.session_key).is_some();
        Requester {
            ctx,
            agent: ctx.agent_id.to_string(),
            confined: sandboxed && visibility(ctx) != "all",
        }
    }

    /// The canonical form of a key as a model writes it.
    fn canonical(&self, key: &str) -> String {
        key::canonical(key, &Defaults::of(&self.ctx.config.config))
    }

    /// Finds the session that `named` means: a key, `main`, or a session id.
    pub fn reach(&self, named: &str, what: &str) -> Result<Reached, Refused> {
        let found = if is_uuid(named) {
            let mut params = json!({"sessionId": named, "includeGlobal": !self.confined,
                "includeUnknown": !self.confined});
            if self.confined {
                params["spawnedBy"] = self.ctx.session_key.into();
            }
            let resolved = self.ctx.call("sessions.resolve", params).ok();
            let key = resolved.and_then(|found| found["key"].as_str().map(str::to_string));
            key.ok_or_else(|| {
                let why = format!(
                    "Session not found: {named} (use the full sessionKey from sessions_list)"
                );
                ("error", why)
            })?
        } else {
            self.canonical(named)
        };
        if self.confined && !self.has_spawned(&found) {
            let why = format!("Session not visible from this sandboxed agent session: {named}");
            return Err(("forbidden", why));
        }
        self.may_reach(key::agent_of(&found).unwrap_or(&self.agent), what)?;
        Ok(Reached { key: found })
    }

    fn has_spawned(&self, key: &str) -> bool {
        let params = json!({"includeGlobal": false, "includeUnknown": false,
            "limit": SPAWNED_LIMIT, "spawnedBy": self.ctx.session_key});
        let list = self.ctx.call("sessions.list", params).unwrap_or_default();
        let rows = list["sessions"].as_array();
        rows.is_some_and(|rows| rows.iter().any(|row| row["key"] == key))
    }

    /// Whether sessions of `agent` may be reached; `what` is done to them, for the text.
    pub fn may_reach(&self, agent: &str, what: &str) -> Result<(), Refused> {
        if agent == self.agent {
            return Ok(());
        }
        let policy = self.ctx.config.value.pointer("/tools/agentToAgent");
        let policy = policy.unwrap_or(&Value::Null);
        if policy["enabled"] != true {
            let why = format!(
                "Agent-to-agent {what} is disabled. Set tools.agentToAgent.enabled=true to allow \
                 cross-agent access."
            );
            return Err(("forbidden", why));
        }
        let patterns = texts(&policy["allow"]);
        let admits = |agent: &str| {
            let agent = agent.to_lowercase();
            patterns.is_empty() || patterns.iter().any(|p| matches(&p.to_lowercase(), &agent))
        };
        match admits(&self.agent) && admits(agent) {
            true => Ok(()),
            false => Err((
                "forbidden",
                format!("Agent-to-agent {what} denied by tools.agentToAgent.allow."),
            )),
        }
    }
}

fn visibility<'a>(ctx: &'a Context) -> &'a str {
    let value = &ctx.config.value;
    let list = value.pointer("/agents/list").and_then(Value::as_array);
    let own = list
        .into_iter()
        .flatten()
        .find(|agent| agent["id"].as_str().map(key::sanitize_id).as_deref() == Some(ctx.agent_id));
    own.and_then(|agent| agent.pointer("/sandbox/sessionToolsVisibility"))
        .or_else(|| value.pointer("/agents/defaults/sandbox/sessionToolsVisibility"))
        .and_then(Value::as_str)
        .unwrap_or("spawned")
}

/// The texts of a list, trimmed, without empty ones.
pub fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(Value::as_str)
        .map(|text| text.trim().to_string())
        .filter(|text| !text.is_empty())
        .collect()
}

/// An answer that says why not; never an error of the tool.
pub fn refusal((status, error): Refused) -> Output {
    Output::json(json!({"status": status, "error": error}))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Messages of a session without the results of tools, of whatever is in it last.
fn spoken(ctx: &Context, key: &str, limit: u64) -> Result<Vec<Value>, Error> {
    let mut said = messages(ctx, key, limit)?;
    said.retain(|message| message["role"] != "toolResult");
    Ok(said)
}

fn messages(ctx: &Context, key: &str, limit: u64) -> Result<Vec<Value>, Error> {
    let params = json!({"sessionKey": key, "limit": limit});
    let mut history = ctx.call("chat.history", params)?;
    match history["messages"].take() {
        Value::Array(messages) => Ok(messages),
        _ => Ok(Vec::new()),
    }
}

/// A positive whole number of the arguments.
fn count(arguments: &Map<String, Value>, name: &str) -> Option<u64> {
    let number = arguments.get(name)?.as_f64()?;
    number.is_finite().then(|| number.max(1.0) as u64)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::config::{Paths, Snapshot};
    use crate::tool::process::Processes;
    use crate::tool::{Call, Finished, Gateway, Tool, approve::Stand};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A gateway that answers from a script and remembers what it was asked.
    #[derive(Default)]
    pub struct Scripted {
        pub answers: Vec<(&'static str, Value)>,
        pub asked: Mutex<Vec<(String, Value)>>,
    }

    impl Gateway for Scripted {
        fn call(&self, name: &str, params: Value, _: Duration, _: &Cancel) -> Result<Value, Error> {
            self.asked.lock().unwrap().push((name.into(), params));
            let answer = self.answers.iter().find(|(method, _)| *method == name);
            answer
                .map(|(_, value)| value.clone())
                .ok_or_else(|| Error(format!("no {name}")))
        }
    }

    /// Calls `tool` as session `key`.
    pub fn call(
        tool: &'static Tool,
        gateway: &Scripted,
        config: Value,
        key: &str,
        arguments: Value,
    ) -> Finished {
        let snapshot = Snapshot {
            config: serde_json::from_value(config.clone()).unwrap(),
            value: config,
            ..Snapshot::default()
        };
        let processes = Processes::new(Paths::default(), Box::new(|| {}), Box::new(|_| {}));
        let context = Context {
            agent_id: key::agent_of(key).unwrap_or("main"),
            session_key: key,
            run_id: "run",
            workspace: Default::default(),
            config: Arc::new(snapshot),
            cancel: &Cancel::new(),
            update: &|_| {},
            variables: &Default::default(),
            skills: &[],
            tools: &[tool],
            processes: &processes,
            gateway,
            memory: &Default::default(),
            approve: Stand::default(),
        };
        let call = Call {
            id: "call",
            arguments: arguments.as_object().unwrap(),
        };
        super::super::run(tool.name, &call, &context)
    }

    const MAIN: &str = "agent:main:main";

    #[test]
    fn another_agents_sessions_need_both_to_be_allowed() {
        let gateway = Scripted {
            answers: vec![("chat.history", json!({"messages": []}))],
            ..Scripted::default()
        };
        let ask = |config: Value| {
            let arguments = json!({"sessionKey": "agent:work:main"});
            call(&history::TOOL, &gateway, config, MAIN, arguments)
                .details
                .unwrap()
        };
        let policy = |policy: Value| json!({"tools": {"agentToAgent": policy}});
        assert_eq!(
            ask(json!({}))["error"],
            "Agent-to-agent history is disabled. Set tools.agentToAgent.enabled=true to allow \
             cross-agent access."
        );
        let denied = ask(policy(json!({"enabled": true, "allow": ["main"]})));
        assert_eq!(denied["status"], "forbidden");
        for allow in [json!([]), json!(["*"]), json!(["MAIN", "wo*k"])] {
            let seen = ask(policy(json!({"enabled": true, "allow": allow})));
            assert_eq!(seen["sessionKey"], "agent:work:main");
        }
    }

    #[test]
    fn a_sandboxed_session_sees_what_it_spawned() {
        let child = "agent:main:subagent:1";
        let gateway = Scripted {
            answers: vec![
                ("sessions.list", json!({"sessions": [{"key": child}]})),
                ("chat.history", json!({"messages": []})),
            ],
            ..Scripted::default()
        };
        let config = json!({"agents": {"defaults": {"sandbox": {"mode": "all"}}}});
        let ask = |config: &Value, key: &str| {
            let arguments = json!({"sessionKey": key});
            call(&history::TOOL, &gateway, config.clone(), MAIN, arguments)
                .details
                .unwrap()
        };
        assert_eq!(ask(&config, child)["sessionKey"], child);
        assert_eq!(
            ask(&config, "main")["error"],
            "Session not visible from this sandboxed agent session: main"
        );
        let open = json!({"agents": {"defaults": {"sandbox":
            {"mode": "all", "sessionToolsVisibility": "all"}}}});
        assert_eq!(ask(&open, "main")["sessionKey"], MAIN);
    }
}
