//! `sessions_list`: the sessions there are, as far as the requester may see them.

use super::{Requester, count, spoken, texts};
use crate::session::key;
use crate::tool::{Call, Context, Error, Output, Tool};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Messages shown of each session at most.
const MAX_MESSAGES: u64 = 20;
/// Sessions listed when the model names no limit: a list is for choosing, and each row costs it a
/// few hundred characters.
const DEFAULT_LIMIT: u64 = 100;

const KINDS: &[&str] = &["main", "group", "cron", "hook", "node", "other"];

pub const TOOL: Tool = Tool {
    name: "sessions_list",
    summary: "List other sessions (incl. sub-agents), optionally with their last messages",
    description: "Lists sessions, newest first, filtered by kind and activity. messageLimit adds \
        the last messages of each.",
    parameters: r#"{"type":"object","properties":{
        "kinds":{"description":"main, group, cron, hook, node, other; all when left out","type":"array","items":{"type":"string"}},
        "limit":{"type":"number","minimum":1},
        "activeMinutes":{"description":"Only sessions used in the last so many minutes","type":"number","minimum":1},
        "messageLimit":{"description":"Messages to show of each, at most 20","type":"number","minimum":0}}}"#,
    run,
};

/// Copied as they are.
const FIELDS: &[&str] = &[
    "label",
    "displayName",
    "deliveryContext",
    "updatedAt",
    "sessionId",
    "model",
    "contextTokens",
    "totalTokens",
    "thinkingLevel",
    "verboseLevel",
    "systemSent",
    "abortedLastRun",
    "sendPolicy",
    "lastChannel",
    "lastTo",
    "lastAccountId",
];

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let requester = Requester::of(ctx);
    let kinds: Vec<String> = texts(call.arguments.get("kinds").unwrap_or(&Value::Null))
        .iter()
        .map(|kind| kind.to_lowercase())
        .filter(|kind| KINDS.contains(&kind.as_str()))
        .collect();
    let messages = call.number("messageLimit").unwrap_or(0.0).max(0.0) as u64;
    let messages = messages.min(MAX_MESSAGES);
    let limit = count(call.arguments, "limit").unwrap_or(DEFAULT_LIMIT);
    let mut params = json!({
        "includeGlobal": !requester.confined,
        "includeUnknown": !requester.confined,
    });
    if let Some(minutes) = count(call.arguments, "activeMinutes") {
        params["activeMinutes"] = minutes.into();
    }
    if requester.confined {
        params["spawnedBy"] = ctx.session_key.into();
    }
    let mut found = ctx.call("sessions.list", params)?;
    let store = found["path"].as_str().unwrap_or_default().to_string();
    let Value::Array(rows) = found["sessions"].take() else {
        return Err("the gateway sent no list of sessions".into());
    };
    let mut sessions = Vec::new();
    for row in rows {
        if sessions.len() as u64 >= limit {
            break;
        }
        let key = row["key"].as_str().unwrap_or_default().to_string();
        let owner = key::agent_of(&key).unwrap_or(ctx.agent_id);
        let kind = kind(&key, row["kind"].as_str());
        let unseen = key.is_empty()
            || key == key::UNKNOWN
            || requester.may_reach(owner, "history").is_err()
            || !(kinds.is_empty() || kinds.iter().any(|wanted| wanted == kind));
        if unseen {
            continue;
        }
        let mut shown = Map::new();
        shown.insert("key".into(), key.as_str().into());
        shown.insert("kind".into(), kind.into());
        shown.insert("channel".into(), channel(&key, kind, &row).into());
        for field in FIELDS {
            match &row[field] {
                Value::Null => {}
                value => drop(shown.insert((*field).into(), value.clone())),
            }
        }
        if let Some(id) = row["sessionId"].as_str() {
            shown.insert(
                "transcriptPath".into(),
                transcript(ctx, &store, owner, id).into(),
            );
        }
        if messages > 0 {
            let mut said = spoken(ctx, &key, messages)?;
            let surplus = said.len().saturating_sub(messages as usize);
            said.drain(..surplus);
            shown.insert("messages".into(), super::history::bounded(said).0.into());
        }
        sessions.push(Value::Object(shown));
    }
    Ok(Output::json(
        json!({"count": sessions.len(), "sessions": sessions}),
    ))
}

fn kind(key: &str, told: Option<&str>) -> &'static str {
    let rest = key::split(key).map_or(key, |(_, rest)| rest);
    let starts = |word: &str| rest.starts_with(word);
    if rest == key::MAIN || rest == key::GLOBAL {
        "main"
    } else if starts("cron:") {
        "cron"
    } else if starts("hook:") {
        "hook"
    } else if starts("node-") || starts("node:") {
        "node"
    } else if told == Some("group") || key::kind(key) == key::Kind::Group {
        "group"
    } else {
        "other"
    }
}

fn channel<'a>(key: &'a str, kind: &str, row: &'a Value) -> &'a str {
    if matches!(kind, "cron" | "hook" | "node") {
        return "internal";
    }
    let own = ["channel", "lastChannel"]
        .iter()
        .find_map(|name| row[name].as_str());
    let rest = key::split(key).map_or(key, |(_, rest)| rest);
    let named = match rest.split(':').collect::<Vec<_>>()[..] {
        [channel, "group" | "channel", _, ..] => Some(channel),
        _ => None,
    };
    own.or(named).unwrap_or("unknown")
}

/// Beside the store that the gateway named; where it has many, in the agent's own folder.
fn transcript(ctx: &Context, store: &str, agent: &str, id: &str) -> String {
    let own = || {
        let state = &ctx.processes.paths().state;
        state.join("agents").join(agent).join("sessions")
    };
    let folder = match Path::new(store).parent() {
        Some(folder) if store.starts_with('/') => folder.to_path_buf(),
        _ => own(),
    };
    folder.join(format!("{id}.jsonl")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scripted, call};
    use super::*;

    #[test]
    fn rows_have_the_originals_fields_and_other_agents_are_left_out() {
        let rows = json!([
            {"key": "agent:main:main", "kind": "direct", "sessionId": "a", "updatedAt": 3,
             "model": "m", "totalTokens": 5, "lastChannel": "webchat"},
            {"key": "agent:main:telegram:group:1", "kind": "group", "updatedAt": 2},
            {"key": "agent:main:cron:j", "kind": "direct", "channel": "telegram"},
            {"key": "agent:work:main", "kind": "direct"},
        ]);
        let messages = json!([{"role": "user", "content": "hi"},
            {"role": "toolResult", "content": []}]);
        let gateway = Scripted {
            answers: vec![
                (
                    "sessions.list",
                    json!({"path": "/s/sessions.json", "sessions": rows}),
                ),
                ("chat.history", json!({"messages": messages})),
            ],
            ..Scripted::default()
        };
        let ask = |arguments: Value| {
            let done = call(&TOOL, &gateway, json!({}), "agent:main:main", arguments);
            done.details.unwrap()
        };
        let all = ask(json!({"messageLimit": 50}));
        assert_eq!(all["count"], 3);
        assert_eq!(
            all["sessions"][0],
            json!({"key": "agent:main:main", "kind": "main", "channel": "webchat",
                "updatedAt": 3, "sessionId": "a", "model": "m", "totalTokens": 5,
                "lastChannel": "webchat", "transcriptPath": "/s/a.jsonl",
                "messages": [{"role": "user", "content": "hi"}]})
        );
        assert_eq!(all["sessions"][1]["channel"], "telegram");
        assert_eq!(all["sessions"][2]["channel"], "internal");
        assert_eq!(ask(json!({"kinds": ["Group"]}))["count"], 1);
        assert_eq!(ask(json!({"limit": "1"}))["count"], 1);
    }
}
