//! `cron`: the agent's own jobs and reminders.

use super::{Call, Context, Error, Output, Tool};
use crate::wire::message::text_in;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A run that was asked for may take as long as the original waits for one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stands between a reminder and the words it grew from.
const CONTEXT: &str = "\n\nRecent context:\n";
const MAX_CONTEXT: u64 = 10;
const MAX_CONTEXT_LINE: usize = 220;
const MAX_CONTEXT_CHARS: usize = 700;

pub const TOOL: Tool = Tool {
    name: "cron",
    summary: "Manage cron jobs, reminders and wake events",
    description: "Manages the gateway's scheduled jobs and wakes the agent.

Actions: status; list (includeDisabled); add (job); update (jobId, patch); remove (jobId); run \
(jobId: now, due or not); runs (jobId: what past runs came to); wake (text, mode: now or \
next-heartbeat).

A job:
{\"name\": text (optional), \"schedule\": …, \"payload\": …, \"sessionTarget\": \"main\" | \
\"isolated\", \"delivery\": … (optional), \"enabled\": true}

schedule is one of
- {\"kind\": \"at\", \"at\": \"2026-11-21T18:00:00+01:00\"}: once; a time without zone is UTC
- {\"kind\": \"every\", \"everyMs\": n, \"anchorMs\": n (optional)}
- {\"kind\": \"cron\", \"expr\": \"0 9 * * 1-5\", \"tz\": \"Europe/Berlin\" (optional)}

payload is one of
- {\"kind\": \"systemEvent\", \"text\": …}: told to the main session; sessionTarget must be main
- {\"kind\": \"agentTurn\", \"message\": …, \"model\", \"thinking\", \"timeoutSeconds\" \
(optional)}: a turn of its own; sessionTarget must be isolated

delivery, for isolated jobs: {\"mode\": \"announce\" | \"none\", \"channel\", \"to\", \
\"bestEffort\"}; announce is the default.

For a reminder write the text so that it reads as one when it fires, and say that it is a \
reminder. contextMessages (0-10) adds the last messages of this session to a systemEvent.",
    parameters: r#"{"type":"object","required":["action"],"properties":{
        "action":{"type":"string","enum":["status","list","add","update","remove","run","runs","wake"]},
        "includeDisabled":{"type":"boolean"},
        "job":{"type":"object","properties":{},"additionalProperties":true},
        "jobId":{"type":"string"},
        "id":{"description":"Same as jobId","type":"string"},
        "patch":{"description":"Fields of the job to change","type":"object","properties":{},"additionalProperties":true},
        "text":{"type":"string"},
        "mode":{"type":"string","enum":["now","next-heartbeat"]},
        "contextMessages":{"type":"number","minimum":0,"maximum":10}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let object = |name: &str| {
        let found = call.arguments.get(name).and_then(Value::as_object);
        found.cloned().ok_or(Error(format!("{name} required")))
    };
    let id = || {
        call.first_of(&["jobId", "id"])
            .map(str::trim)
            .ok_or("jobId required (id accepted for backward compatibility)")
    };
    let (method, params) = match call.str("action").unwrap_or_default() {
        "status" => ("cron.status", json!({})),
        "list" => {
            let disabled = call.flag("includeDisabled").unwrap_or(false);
            ("cron.list", json!({"includeDisabled": disabled}))
        }
        "add" => ("cron.add", add(object("job")?, call, ctx)?),
        "update" => {
            let id = id()?;
            ("cron.update", json!({"id": id, "patch": object("patch")?}))
        }
        "remove" => ("cron.remove", json!({"id": id()?})),
        "run" => ("cron.run", json!({"id": id()?, "mode": "force"})),
        "runs" => ("cron.runs", json!({"id": id()?})),
        "wake" => {
            let text = call.first_of(&["text"]).ok_or("text required")?;
            let mode = call.str("mode").unwrap_or("next-heartbeat");
            ("wake", json!({"mode": mode, "text": text}))
        }
        other => return Err(format!("Unknown action: {other}").into()),
    };
    Ok(Output::json(ctx.call_for(method, params, PATIENCE)?))
}

fn add(mut job: Map<String, Value>, call: &Call, ctx: &Context) -> Result<Value, Error> {
    job.entry("agentId").or_insert_with(|| ctx.agent_id.into());
    let wanted = call.number("contextMessages").unwrap_or(0.0) as u64;
    let payload = job.get_mut("payload").and_then(Value::as_object_mut);
    if let Some(payload) = payload.filter(|_| wanted > 0) {
        let reminds = payload
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("systemEvent"));
        let text = payload.get("text").and_then(Value::as_str);
        if let Some(text) = text.filter(|text| reminds && !text.trim().is_empty()) {
            let said = context(ctx, wanted)?;
            if !said.is_empty() {
                let own = text.split(CONTEXT).next().unwrap_or(text).trim_end();
                let text = format!("{own}{CONTEXT}{}", said.join("\n"));
                payload.insert("text".into(), text.into());
            }
        }
    }
    Ok(Value::Object(job))
}

/// The last things said in this session, a line each.
fn context(ctx: &Context, wanted: u64) -> Result<Vec<String>, Error> {
    let limit = wanted.min(MAX_CONTEXT);
    let params = json!({"sessionKey": ctx.session_key, "limit": limit});
    let history = ctx.call("chat.history", params)?;
    let mut lines = Vec::new();
    let mut chars = 0;
    for message in history["messages"].as_array().into_iter().flatten() {
        let who = match message["role"].as_str() {
            Some("user") => "User",
            Some("assistant") => "Assistant",
            _ => continue,
        };
        let text = words(&message["content"]);
        if text.is_empty() {
            continue;
        }
        let line = format!("- {who}: {}", cut(&text));
        chars += line.chars().count();
        if chars > MAX_CONTEXT_CHARS {
            break;
        }
        lines.push(line);
    }
    Ok(lines)
}

/// The text of a message's content, on one line.
fn words(content: &Value) -> String {
    let text = text_in(content, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_CONTEXT_LINE {
        return text.into();
    }
    let kept: String = text.chars().take(MAX_CONTEXT_LINE - 3).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::{Scripted, call};
    use super::*;

    fn ask(gateway: &Scripted, arguments: Value) -> Value {
        let done = call(&TOOL, gateway, json!({}), "agent:main:main", arguments);
        done.details.unwrap_or(Value::Null)
    }

    #[test]
    fn a_reminder_carries_what_was_said_and_whose_it_is() {
        let said = json!([
            {"role": "user", "content": [{"type": "text", "text": "call\n  mum"}]},
            {"role": "toolResult", "content": []},
            {"role": "assistant", "content": [{"type": "text", "text": "x".repeat(300)}]},
        ]);
        let gateway = Scripted {
            answers: vec![
                ("cron.add", json!({"id": "j"})),
                ("chat.history", json!({"messages": said})),
            ],
            ..Scripted::default()
        };
        let job = json!({"payload": {"kind": "systemEvent",
            "text": "mum\n\nRecent context:\n- User: old"}});
        let done = ask(
            &gateway,
            json!({"action": "add", "contextMessages": 5, "job": job}),
        );
        assert_eq!(done, json!({"id": "j"}));
        let asked = gateway.asked.lock().unwrap();
        let (method, params) = asked.last().unwrap();
        assert_eq!(
            (method.as_str(), &params["agentId"]),
            ("cron.add", &json!("main"))
        );
        let line = format!("{}...", "x".repeat(217));
        assert_eq!(
            params["payload"]["text"],
            format!("mum{CONTEXT}- User: call mum\n- Assistant: {line}")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let gateway = Scripted::default();
        for (arguments, error) in [
            (json!({"action": "add"}), "job required"),
            (json!({"action": "update", "id": "x"}), "patch required"),
            (
                json!({"action": "run"}),
                "jobId required (id accepted for backward compatibility)",
            ),
            (json!({"action": "wake"}), "text required"),
        ] {
            assert_eq!(ask(&gateway, arguments)["error"], error);
        }
        assert!(gateway.asked.lock().unwrap().is_empty());
    }
}
