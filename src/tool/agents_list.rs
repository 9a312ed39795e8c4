//! `agents_list`: whom the agent may start sub-agents as.

use super::sessions::texts;
use super::{Call, Context, Error, Output, Tool};
use crate::config::agents::agent_id;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const TOOL: Tool = Tool {
    name: "agents_list",
    summary: "List agent ids allowed for sessions_spawn",
    description: "Lists the agent ids that sessions_spawn may start (by the allowlists).",
    parameters: r#"{"type":"object","properties":{}}"#,
    run,
};

/// The agents that `requester` may spawn besides itself: any, or those named.
pub fn allowed(ctx: &Context, requester: &str) -> (bool, BTreeSet<String>) {
    let list = ctx.config.value.pointer("/agents/list");
    let own = list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|agent| agent["id"].as_str().map(agent_id).as_deref() == Some(requester))
        .and_then(|agent| agent.pointer("/subagents/allowAgents"));
    let named = texts(own.unwrap_or(&Value::Null));
    let any = named.iter().any(|name| name == "*");
    let ids = named.iter().filter(|name| *name != "*");
    (any, ids.map(|name| agent_id(name)).collect())
}

fn run(_call: &Call, ctx: &Context) -> Result<Output, Error> {
    let config = &ctx.config.config;
    let requester = ctx.agent_id;
    let known: Vec<String> = config
        .agents
        .list
        .iter()
        .map(|agent| agent_id(&agent.id))
        .collect();
    let (any, named) = allowed(ctx, requester);
    let mut others = if any {
        known.iter().cloned().collect()
    } else {
        named
    };
    others.remove(requester);
    let agents: Vec<Value> = std::iter::once(requester.to_string())
        .chain(others)
        .map(|id| {
            let mut row = json!({"id": id});
            if let Some(name) = config.agent(&id).and_then(|agent| agent.name.as_deref()) {
                row["name"] = name.into();
            }
            row["configured"] = known.contains(&id).into();
            row
        })
        .collect();
    Ok(Output::json(
        json!({"requester": requester, "allowAny": any, "agents": agents}),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::{Scripted, call};
    use super::*;

    #[test]
    fn the_requester_comes_first_and_the_allowed_follow() {
        let ask = |config: Value, key: &str| {
            let done = call(&TOOL, &Scripted::default(), config, key, json!({}));
            done.details.unwrap()
        };
        let list = |allow: Value| {
            json!({"agents": {"list": [
                {"id": "main", "subagents": {"allowAgents": allow}},
                {"id": "work", "name": "Worker"}, {"id": "art"}]}})
        };
        assert_eq!(
            ask(json!({}), "agent:main:main"),
            json!({"requester": "main", "allowAny": false,
                "agents": [{"id": "main", "configured": false}]})
        );
        let named = ask(list(json!(["Work", "gone"])), "agent:main:main");
        assert_eq!(
            named["agents"],
            json!([{"id": "main", "configured": true}, {"id": "gone", "configured": false},
                {"id": "work", "name": "Worker", "configured": true}])
        );
        let any = ask(list(json!(["*"])), "agent:main:main");
        assert_eq!(
            (&any["allowAny"], any["agents"].as_array().unwrap().len()),
            (&json!(true), 3)
        );
        assert_eq!(
            ask(list(json!(["*"])), "agent:art:main")["agents"][0]["id"],
            "art"
        );
    }
}
