//! `POST /tools/invoke`: one call of one tool, without a model.
//!
//! Offered is what the gateway itself can do for an agent; tools that read and write files or run
//! commands are not, whoever asks. The whole policy of the agent and session applies.

use super::{Exchange, gate};
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::gateway::inside::Inside;
use crate::gateway::models;
use crate::tool::approve::Stand;
use crate::tool::{self, Finished, Tool, policy};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const PATH: &str = "/tools/invoke";
/// The original's.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// Tools of the agent's own workspace and commands.
const NOT_OFFERED: [&str; 6] = ["read", "write", "edit", "apply_patch", "exec", "process"];

pub fn serve(core: &Arc<Core>, exchange: Exchange) -> Option<Exchange> {
    if exchange.path() != PATH {
        return Some(exchange);
    }
    let mut exchange = gate::admit(core, exchange, "POST")?;
    let Some(_place) = core.plane.rooms.tools.take() else {
        let error = json!({"type": "rate_limited", "message": gate::BUSY});
        gate::busy(exchange, &json!({"ok": false, "error": error}));
        return None;
    };
    let bad = |message: &str| (400, invalid(message));
    let (status, answer) = match gate::json(&mut exchange, MAX_BODY) {
        Ok(body) => invoke(core, &body, &exchange.gone, offered),
        Err(gate::Bad::TooLarge) => bad("payload too large"),
        Err(gate::Bad::NotJson(why)) => bad(&why),
        Err(gate::Bad::Gone) => return None,
    };
    exchange.json(status, &answer);
    None
}

fn invalid(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error"}})
}

/// The tools a caller may name, by row of the table.
fn offered(config: &Snapshot, caller: &policy::Caller) -> Vec<&'static Tool> {
    let mut tools = policy::allowed(config, caller);
    tools.retain(|tool| !NOT_OFFERED.contains(&tool.name));
    tools
}

type Offered = fn(&Snapshot, &policy::Caller) -> Vec<&'static Tool>;

fn invoke(core: &Arc<Core>, body: &Value, gone: &Cancel, offered: Offered) -> (u16, Value) {
    let name = body["tool"].as_str().map(str::trim).unwrap_or_default();
    if name.is_empty() {
        return (400, invalid("tools.invoke requires body.tool"));
    }
    let config = core.config.current();
    let sessions = &core.agents.sessions;
    let asked = body["sessionKey"].as_str().map(str::trim);
    let key = match asked.filter(|key| !key.is_empty() && *key != "main") {
        Some(key) => sessions.canonical(key),
        None => sessions.defaults().main_key(),
    };
    let agent = sessions.agent_of(&key);
    let model = models::reference(&config, &agent);
    let tools = offered(
        &config,
        &policy::Caller {
            agent_id: &agent,
            session_key: &key,
            provider: &model.provider,
            model: &model.model,
        },
    );
    let known = policy::normal_name(name);
    let Some(tool) = tools.iter().find(|tool| tool.name == known) else {
        let message = format!("Tool not available: {name}");
        return (
            404,
            json!({"ok": false, "error": {"type": "not_found", "message": message}}),
        );
    };
    let arguments = arguments(body, tool);
    let id = id::uuid();
    let done = tool::run(
        tool.name,
        &tool::Call {
            id: &id,
            arguments: &arguments,
        },
        &tool::Context {
            agent_id: &agent,
            session_key: &key,
            run_id: &id,
            workspace: config.config.workspace(&agent, core.config.paths()),
            config: config.clone(),
            cancel: gone,
            update: &|_| {},
            tools: &tools,
            processes: &core.agents.processes,
            memory: &core.agents.memory,
            gateway: &Inside(core.clone()),
            // No command runs here.
            approve: Stand::default(),
            variables: &std::collections::BTreeMap::new(),
            skills: &[],
        },
    );
    match thrown(&done) {
        Some(message) => (
            400,
            json!({"ok": false, "error": {"type": "tool_error", "message": message}}),
        ),
        None => {
            let mut result = json!({"content": done.content});
            if let Some(details) = done.details {
                result["details"] = details;
            }
            (200, json!({"ok": true, "result": result}))
        }
    }
}

/// `args`, and `action` among them where the tool knows one.
fn arguments(body: &Value, tool: &Tool) -> Map<String, Value> {
    let mut arguments = body["args"].as_object().cloned().unwrap_or_default();
    let schema: Value = serde_json::from_str(tool.parameters).unwrap_or_default();
    let knows = schema["properties"].get("action").is_some();
    if let (true, Some(action)) = (knows, body["action"].as_str()) {
        let given = arguments.entry("action");
        given.or_insert_with(|| action.into());
    }
    arguments
}

/// Why the call failed, when it did not get to a result of its own.
fn thrown(done: &Finished) -> Option<String> {
    let text = || crate::wire::message::text_of(&done.content);
    if done.is_error {
        return Some(text());
    }
    let details = done.details.as_ref()?;
    let failed = details["status"] == "error" && details.get("tool").is_some();
    failed.then(|| details["error"].as_str().map_or_else(text, str::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::core::tests::core;
    use crate::tool::Output;

    static ECHO: Tool = Tool {
        name: "echo",
        summary: "Repeats.",
        description: "Repeats what it is told.",
        parameters: r#"{"type":"object","properties":{"action":{"type":"string"},
            "text":{"type":"string"}},"required":["text"]}"#,
        run: |call, _| match call.str("text") {
            Some("bad") => Err("too bad".into()),
            text => Ok(Output::json(
                json!({"said": text, "action": call.str("action")}),
            )),
        },
    };

    fn ask(body: Value) -> (u16, Value) {
        let (core, dir) = core("{}");
        let answer = invoke(&core, &body, &Cancel::new(), |_, _| vec![&ECHO]);
        std::fs::remove_dir_all(dir).unwrap();
        answer
    }

    #[test]
    fn a_call_has_a_result_or_an_error_of_its_own() {
        let (status, answer) = ask(json!({"tool": "Echo", "action": "a", "args": {"text": "x"}}));
        assert_eq!((status, &answer["ok"]), (200, &json!(true)));
        assert_eq!(
            answer["result"]["details"],
            json!({"said": "x", "action": "a"})
        );
        assert_eq!(answer["result"]["content"][0]["type"], "text");
        let kept =
            ask(json!({"tool": "echo", "action": "a", "args": {"text": "x", "action": "b"}}));
        assert_eq!(kept.1["result"]["details"]["action"], "b");
        let (status, answer) = ask(json!({"tool": "echo", "args": {"text": "bad"}}));
        assert_eq!(status, 400);
        assert_eq!(
            answer["error"],
            json!({"type": "tool_error", "message": "too bad"})
        );
        let (status, answer) = ask(json!({"tool": "echo"}));
        assert_eq!(
            (status, &answer["error"]["type"]),
            (400, &json!("tool_error"))
        );
    }

    #[test]
    fn what_is_not_offered_is_not_there() {
        let (status, answer) = ask(json!({"tool": "exec", "args": {"command": "id"}}));
        assert_eq!(status, 404);
        assert_eq!(answer["error"]["message"], "Tool not available: exec");
        assert_eq!(ask(json!({"tool": " "})).0, 400);
        let (core, dir) = core("{}");
        let snapshot = core.config.current();
        let caller = policy::Caller {
            agent_id: "main",
            session_key: "agent:main:main",
            ..policy::Caller::default()
        };
        for tool in offered(&snapshot, &caller) {
            assert!(!NOT_OFFERED.contains(&tool.name));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
