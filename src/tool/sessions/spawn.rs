//! `sessions_spawn`: a sub-agent for one task. The gateway keeps the run, tells this session when
//! it ends, and puts its session away; here is decided who may ask for what.

use super::refusal;
use crate::config::agents::agent_id;
use crate::session::key;
use crate::tool::{Call, Context, Error, Output, Tool, agents_list};
use serde_json::{Value, json};
use std::time::Duration;

/// Until the child's task is written down and its run accepted.
const PATIENCE: Duration = Duration::from_secs(30);
const LEVELS: &[&str] = &["off", "minimal", "low", "medium", "high", "xhigh"];

pub const TOOL: Tool = Tool {
    name: "sessions_spawn",
    summary: "Start a sub-agent for a task; its result comes back to this chat",
    description: "Starts a sub-agent in a session of its own and returns at once. When it ends you \
        are told here what it found. agentId: one of agents_list. cleanup: keep (default; the \
        session stays an hour) or delete.",
    parameters: r#"{"type":"object","required":["task"],"properties":{
        "task":{"description":"All the sub-agent needs to know: it sees nothing of this conversation","type":"string"},
        "label":{"type":"string"},
        "agentId":{"type":"string"},
        "model":{"description":"provider/model","type":"string"},
        "thinking":{"description":"off, minimal, low, medium, high, xhigh","type":"string"},
        "runTimeoutSeconds":{"description":"0: no limit","type":"number","minimum":0},
        "timeoutSeconds":{"description":"Older name of runTimeoutSeconds","type":"number","minimum":0},
        "cleanup":{"type":"string","enum":["delete","keep"]}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let task = call.first_of(&["task"]).ok_or("task required")?;
    if key::is_subagent(ctx.session_key) {
        let why = "sessions_spawn is not allowed from sub-agent sessions";
        return Ok(refusal(("forbidden", why.into())));
    }
    let target = match call.first_of(&["agentId"]) {
        Some(named) => agent_id(named),
        None => ctx.agent_id.to_string(),
    };
    if target != ctx.agent_id {
        let (any, named) = agents_list::allowed(ctx, ctx.agent_id);
        if !any && !named.contains(&target) {
            let named: Vec<String> = named.into_iter().collect();
            let allowed = match named.is_empty() {
                true => "none".to_string(),
                false => named.join(", "),
            };
            let why = format!("agentId is not allowed for sessions_spawn (allowed: {allowed})");
            return Ok(refusal(("forbidden", why)));
        }
        if !ctx.config.config.agent_ids().contains(&target) {
            let why = format!("there is no agent {target:?} in the configuration");
            return Ok(refusal(("error", why)));
        }
    }
    let setting = |name: &str| setting(ctx, &target, name);
    let model = call.first_of(&["model"]).map(str::to_string);
    let model = model.or_else(|| setting("model"));
    let thinking = call.first_of(&["thinking"]).map(str::to_string);
    let thinking = thinking.or_else(|| setting("thinking"));
    let thinking = thinking.map(|level| level.trim().to_lowercase());
    if let Some(level) = &thinking {
        if !LEVELS.contains(&level.as_str()) {
            let why = format!(
                "Invalid thinking level {level:?}. Use one of: {}.",
                LEVELS.join(", ")
            );
            return Ok(refusal(("error", why)));
        }
    }
    let seconds = call.number("runTimeoutSeconds");
    let seconds = seconds.or_else(|| call.number("timeoutSeconds"));
    let answer = ctx.call_for(
        "subagents.spawn",
        json!({
            "sessionKey": ctx.session_key,
            "agentId": target,
            "task": task,
            "label": call.first_of(&["label"]),
            "model": model,
            "thinking": thinking,
            "timeoutSeconds": seconds.map(|s| s.max(0.0) as u64),
            "cleanup": call.str("cleanup").unwrap_or("keep"),
        }),
        PATIENCE,
    );
    Ok(match answer {
        Ok(answer) => Output::json(answer),
        Err(Error(why)) => refusal(("error", why)),
    })
}

/// What the target agent or all agents have for sub-agents: a text, or the `primary` of a model.
fn setting(ctx: &Context, agent: &str, name: &str) -> Option<String> {
    let value = &ctx.config.value;
    let list = value.pointer("/agents/list").and_then(Value::as_array);
    let own = list
        .into_iter()
        .flatten()
        .find(|found| found["id"].as_str().map(agent_id).as_deref() == Some(agent))
        .and_then(|found| found.pointer("/subagents"));
    let shared = value.pointer("/agents/defaults/subagents");
    [own, shared].into_iter().flatten().find_map(|from| {
        let found = &from[name];
        let text = found.as_str().or_else(|| found["primary"].as_str())?;
        (!text.trim().is_empty()).then(|| text.trim().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scripted, call};
    use super::*;

    fn spawn(config: Value, key: &str, arguments: Value) -> (Value, Option<Value>) {
        let gateway = Scripted {
            answers: vec![("subagents.spawn", json!({"status": "accepted"}))],
            ..Scripted::default()
        };
        let done = call(&TOOL, &gateway, config, key, arguments);
        let asked = gateway
            .asked
            .lock()
            .unwrap()
            .pop()
            .map(|(_, params)| params);
        (done.details.unwrap(), asked)
    }

    #[test]
    fn a_task_goes_to_an_agent_that_may_be_asked() {
        let config = json!({"agents": {
            "defaults": {"subagents": {"model": {"primary": "p/small"}, "thinking": "low"}},
            "list": [{"id": "main", "subagents": {"allowAgents": ["work"]}},
                {"id": "work", "subagents": {"thinking": "High"}}, {"id": "art"}]}});
        let ask = |arguments: Value| spawn(config.clone(), "agent:main:main", arguments);
        let (answer, asked) = ask(json!({"task": "t", "agentId": "Work", "timeoutSeconds": 5}));
        assert_eq!(answer["status"], "accepted");
        assert_eq!(
            asked.unwrap(),
            json!({"sessionKey": "agent:main:main", "agentId": "work", "task": "t",
                "label": null, "model": "p/small", "thinking": "high", "timeoutSeconds": 5,
                "cleanup": "keep"})
        );
        let (refused, asked) = ask(json!({"task": "t", "agentId": "art"}));
        assert_eq!(
            refused["error"],
            "agentId is not allowed for sessions_spawn (allowed: work)"
        );
        assert!(asked.is_none());
        let (bad, _) = ask(json!({"task": "t", "thinking": "deep"}));
        assert_eq!(bad["status"], "error");
        assert_eq!(ask(json!({"task": " "})).0["error"], "task required");
    }

    #[test]
    fn a_sub_agent_starts_none_of_its_own() {
        let (refused, asked) = spawn(
            json!({"tools": {"subagents": {"tools": {"alsoAllow": ["sessions_spawn"]}}}}),
            "agent:main:subagent:1",
            json!({"task": "t"}),
        );
        assert_eq!((&refused["status"], asked), (&json!("forbidden"), None));
    }
}
