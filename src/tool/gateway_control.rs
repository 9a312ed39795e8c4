//! `gateway`: the agent restarts the gateway, reads and changes its configuration, updates it.
//!
//! Secrets of the configuration never reach the model: they read `***`, and a text that would
//! write that back is refused.

use super::{Call, Context, Error, Output, Tool};
use crate::config::secrets::{REDACTED, redact};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// An update may download and build: the original's limit.
const UPDATE_PATIENCE: Duration = Duration::from_secs(20 * 60);
/// Bytes of the schema a model gets at once; the whole is larger than most contexts.
const MAX_SCHEMA: usize = 48 * 1024;

pub const TOOL: Tool = Tool {
    name: "gateway",
    summary: "Restart the gateway, read or change its configuration, update it",
    description: "restart (when commands.restart is on); config.get (secrets read ***); \
        config.schema (path: only that part); config.patch (raw: JSON5 of only what changes, null \
        removes a key); config.apply (raw: a whole new configuration); update.run. Changing the \
        configuration restarts the gateway; note comes back to you afterwards. Prefer config.patch.",
    parameters: r#"{"type":"object","required":["action"],"properties":{
        "action":{"type":"string","enum":["restart","config.get","config.schema","config.apply","config.patch","update.run"]},
        "path":{"description":"For config.schema: a dotted path such as agents.defaults","type":"string"},
        "delayMs":{"type":"number","minimum":0},
        "reason":{"type":"string"},
        "timeoutMs":{"type":"number","minimum":1},
        "raw":{"type":"string"},
        "baseHash":{"type":"string"},
        "sessionKey":{"type":"string"},
        "note":{"type":"string"},
        "restartDelayMs":{"type":"number","minimum":0}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let action = call.str("action").unwrap_or_default();
    let result = match action {
        "restart" => return restart(call, ctx),
        "config.get" => shown(ctx.call("config.get", json!({}))?),
        "config.schema" => schema(call, ctx)?,
        "config.apply" | "config.patch" => write(action, call, ctx)?,
        "update.run" => {
            let mut params = about(call, ctx);
            if let Some(ms) = call.number("timeoutMs") {
                params.insert("timeoutMs".into(), (ms as u64).max(1).into());
            }
            ctx.call_for(action, params.into(), UPDATE_PATIENCE)?
        }
        other => return Err(format!("Unknown action: {other}").into()),
    };
    Ok(Output::json(json!({"ok": true, "result": result})))
}

fn restart(call: &Call, ctx: &Context) -> Result<Output, Error> {
    if ctx.config.value.pointer("/commands/restart") != Some(&Value::Bool(true)) {
        return Err("Gateway restart is disabled. Set commands.restart=true to enable.".into());
    }
    let mut params = about(call, ctx);
    params.shift_remove("restartDelayMs");
    if let Some(ms) = call.number("delayMs") {
        params.insert("delayMs".into(), ms.max(0.0).floor().into());
    }
    if let Some(reason) = call.first_of(&["reason"]) {
        params.insert("reason".into(), reason.trim().into());
    }
    Ok(Output::json(ctx.call("gateway.restart", params.into())?))
}

/// Whom to tell after the restart, and what.
fn about(call: &Call, ctx: &Context) -> Map<String, Value> {
    let key = call.first_of(&["sessionKey"]).unwrap_or(ctx.session_key);
    let mut params = Map::from_iter([("sessionKey".to_string(), Value::from(key.trim()))]);
    if let Some(note) = call.first_of(&["note"]) {
        params.insert("note".into(), note.trim().into());
    }
    if let Some(ms) = call.number("restartDelayMs") {
        params.insert("restartDelayMs".into(), (ms.max(0.0) as u64).into());
    }
    params
}

fn write(action: &str, call: &Call, ctx: &Context) -> Result<Value, Error> {
    let raw = call.first_of(&["raw"]).ok_or("raw required")?;
    let given: Value = json5::from_str(raw).map_err(|err| Error(format!("raw: {err}")))?;
    if holds_redacted(&given) {
        return Err(format!(
            "raw holds {REDACTED} in the place of a secret, which would be written as it is. Use \
             config.patch with only what changes."
        )
        .into());
    }
    let mut params = about(call, ctx);
    params.insert("raw".into(), raw.into());
    let base = match call.first_of(&["baseHash"]) {
        Some(hash) => hash.trim().into(),
        None => ctx.call("config.get", json!({}))?["hash"].take(),
    };
    if !base.is_null() {
        params.insert("baseHash".into(), base);
    }
    Ok(shown(ctx.call(action, params.into())?))
}

fn holds_redacted(value: &Value) -> bool {
    match value {
        Value::String(text) => text == REDACTED,
        Value::Array(items) => items.iter().any(holds_redacted),
        Value::Object(map) => map.values().any(holds_redacted),
        _ => false,
    }
}

/// An answer about the configuration without its secrets.
fn shown(mut answer: Value) -> Value {
    if let Some(map) = answer.as_object_mut() {
        // The same once more, as text, with the secrets.
        map.shift_remove("raw");
        for part in ["config", "parsed"] {
            if let Some(value) = map.get_mut(part) {
                *value = redact(value);
            }
        }
    }
    answer
}

/// The part of the schema at `path`; of one that is too large, what lies below it.
fn schema(call: &Call, ctx: &Context) -> Result<Value, Error> {
    let answer = ctx.call("config.schema", json!({}))?;
    let path = call.first_of(&["path"]).unwrap_or_default().trim();
    let mut part = &answer["schema"];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let below = [
            &part["properties"][step],
            &part["items"]["properties"][step],
        ];
        let below = below.into_iter().find(|value| !value.is_null());
        part = below
            .or_else(|| {
                part["additionalProperties"]
                    .is_object()
                    .then(|| &part["additionalProperties"])
            })
            .ok_or_else(|| Error(format!("there is no {path:?} in the configuration")))?;
    }
    if part.to_string().len() <= MAX_SCHEMA {
        return Ok(json!({"path": path, "schema": part}));
    }
    let keys: Vec<&String> = part["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    Ok(
        json!({"path": path, "keys": keys, "hint": "too large at once: name one of the keys as path"}),
    )
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::{Scripted, call};
    use super::*;

    fn gateway() -> Scripted {
        let config = json!({"gateway": {"auth": {"token": "s3cret"}}, "agents": {}});
        Scripted {
            answers: vec![
                (
                    "config.get",
                    json!({"hash": "h", "raw": "s3cret", "parsed": config, "config": config}),
                ),
                ("config.patch", json!({"ok": true, "config": config})),
                (
                    "config.schema",
                    json!({"schema": {"properties": {
                    "agents": {"properties": {"list": {"type": "array"}}},
                    "big": {"enum": ["x".repeat(MAX_SCHEMA)]}}}}),
                ),
                ("gateway.restart", json!({"ok": true})),
            ],
            ..Scripted::default()
        }
    }

    fn ask(gateway: &Scripted, config: Value, arguments: Value) -> Value {
        let done = call(&TOOL, gateway, config, "agent:main:main", arguments);
        assert!(!format!("{done:?}").contains("s3cret"));
        done.details.unwrap_or(Value::Null)
    }

    #[test]
    fn no_secret_reaches_the_model_and_none_is_overwritten() {
        let gateway = gateway();
        let seen = ask(&gateway, json!({}), json!({"action": "config.get"}));
        assert_eq!(
            seen["result"]["config"]["gateway"]["auth"]["token"],
            REDACTED
        );
        let back = json!({"action": "config.apply", "raw": "{gateway:{auth:{token:'***'}}}"});
        let refused = ask(&gateway, json!({}), back);
        assert!(refused["error"].as_str().unwrap().contains("config.patch"));
        let patch = json!({"action": "config.patch", "raw": "{ui:{}}", "note": "n"});
        assert_eq!(ask(&gateway, json!({}), patch)["result"]["ok"], true);
        let asked = gateway.asked.lock().unwrap();
        assert_eq!(
            asked.last().unwrap().1,
            json!({"sessionKey": "agent:main:main", "note": "n", "raw": "{ui:{}}", "baseHash": "h"})
        );
    }

    #[test]
    fn a_restart_must_be_allowed_and_the_schema_comes_in_parts() {
        let gateway = gateway();
        let restart = json!({"action": "restart", "delayMs": 5.5, "reason": "why"});
        let refused = ask(&gateway, json!({}), restart.clone());
        assert!(
            refused["error"]
                .as_str()
                .unwrap()
                .contains("commands.restart=true")
        );
        let on = json!({"commands": {"restart": true}});
        assert_eq!(ask(&gateway, on, restart), json!({"ok": true}));
        let schema = |path: &str| {
            ask(
                &gateway,
                json!({}),
                json!({"action": "config.schema", "path": path}),
            )
        };
        assert_eq!(schema("")["result"]["keys"], json!(["agents", "big"]));
        assert_eq!(schema("agents.list")["result"]["schema"]["type"], "array");
        assert!(schema("no.such")["error"].is_string());
    }
}
