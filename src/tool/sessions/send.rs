//! `sessions_send`: a message to another session's agent, and its answer. What the two say to each
//! other afterwards goes on without this call (see the gateway's `talk`).

use super::{Refused, Requester};
use crate::base::id;
use crate::session::key;
use crate::tool::{Call, Context, Error, Output, Tool};
use crate::wire::message::text_in;
use serde_json::json;
use std::time::Duration;

/// Seconds to wait for the answer when the model does not say.
const DEFAULT_SECONDS: f64 = 30.0;
/// A run lasts no longer by itself.
const MAX_SECONDS: f64 = 3_600.0;
/// The gateway answers a wait within it; a little more for the way.
const SLACK: Duration = Duration::from_secs(2);
/// Messages among which the answer stands.
const LAST: u64 = 50;

pub const TOOL: Tool = Tool {
    name: "sessions_send",
    summary: "Send a message to another session or sub-agent",
    description: "Sends a message to the agent of another session and waits for its answer; \
        timeoutSeconds 0 does not wait. Name the session by sessionKey or by label (agentId: whose). \
        You may be asked to answer back a few times: then you hear from that agent in turns of \
        their own.",
    parameters: r#"{"type":"object","required":["message"],"properties":{
        "sessionKey":{"type":"string"},
        "label":{"type":"string"},
        "agentId":{"type":"string"},
        "message":{"type":"string"},
        "timeoutSeconds":{"type":"number","minimum":0}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let message = call.first_of(&["message"]).ok_or("message required")?;
    let run_id = id::uuid();
    let refuse = |(status, error): Refused| {
        Output::json(json!({"runId": run_id, "status": status, "error": error}))
    };
    let target = match target(call, ctx) {
        Ok(target) => target,
        Err(refused) => return Ok(refuse(refused)),
    };
    let seconds = call.number("timeoutSeconds").unwrap_or(DEFAULT_SECONDS);
    let patience = Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS));
    if target == ctx.session_key && !patience.is_zero() {
        let why = "This is your own session: its next turn begins when this one has ended. Send \
            with timeoutSeconds 0, or do not send.";
        return Ok(refuse(("error", why.into())));
    }
    let sent = ctx.call(
        "agent",
        json!({
            "message": message,
            "sessionKey": target,
            "idempotencyKey": run_id,
            "deliver": false,
            "channel": "webchat",
            "lane": "nested",
            "extraSystemPrompt": format!(
                "This message is from another agent, not from a person.\n\
                 Asking session: {}\nAsked session: {target}",
                ctx.session_key
            ),
        }),
    );
    if let Err(Error(why)) = sent {
        return Ok(refuse(("error", why)));
    }
    let mut answer = json!({"runId": run_id, "status": "accepted", "sessionKey": target});
    let mut reply = None;
    if !patience.is_zero() {
        let wait = json!({"runId": run_id, "timeoutMs": patience.as_millis() as u64});
        let ended = ctx.call_for("agent.wait", wait, patience + SLACK)?;
        match ended["status"].as_str() {
            Some("ok") => {}
            Some("error") => {
                let why = ended["error"].as_str().unwrap_or("the agent failed");
                answer["status"] = "error".into();
                answer["error"] = why.into();
                return Ok(Output::json(answer));
            }
            _ => {
                answer["status"] = "timeout".into();
                answer["error"] = "no answer in time; the message stays with that agent".into();
                return Ok(Output::json(answer));
            }
        }
        reply = Some(last_reply(ctx, &target)?);
        answer["status"] = "ok".into();
        answer["reply"] = reply.clone().into();
    }
    let goes_on = ctx.call(
        "sessions.talk",
        json!({"requester": ctx.session_key, "target": target, "message": message,
            "reply": reply, "runId": run_id}),
    );
    let status = if goes_on.is_ok() {
        "pending"
    } else {
        "skipped"
    };
    answer["delivery"] = json!({"status": status, "mode": "announce"});
    Ok(Output::json(answer))
}

/// The session that the call means.
fn target(call: &Call, ctx: &Context) -> Result<String, Refused> {
    let requester = Requester::of(ctx);
    let label = match (call.first_of(&["sessionKey"]), call.first_of(&["label"])) {
        (Some(_), Some(_)) => {
            let why = "Provide either sessionKey or label (not both).";
            return Err(("error", why.into()));
        }
        (None, None) => return Err(("error", "Either sessionKey or label is required".into())),
        (Some(named), None) => return Ok(requester.reach(named.trim(), "send")?.key),
        (None, Some(label)) => label.trim(),
    };
    let agent = call.first_of(&["agentId"]).map(key::sanitize_id);
    if let Some(agent) = &agent {
        requester.may_reach(agent, "send")?;
    }
    let mut params = json!({"label": label});
    if let Some(agent) = agent {
        params["agentId"] = agent.into();
    }
    if requester.confined {
        params["spawnedBy"] = ctx.session_key.into();
    }
    let found = ctx.call("sessions.resolve", params);
    let found = found.map_err(|Error(why)| {
        let status = if requester.confined {
            "forbidden"
        } else {
            "error"
        };
        (status, why)
    })?;
    Ok(requester
        .reach(found["key"].as_str().unwrap_or_default(), "send")?
        .key)
}

/// What the asked agent said to the message; `None` when nothing in words.
fn last_reply(ctx: &Context, key: &str) -> Result<Option<String>, Error> {
    let said = super::messages(ctx, key, LAST)?;
    let answers = said.iter().rev().take_while(|m| m["role"] != "user");
    let mut texts = answers
        .filter(|message| message["role"] == "assistant")
        .map(|message| text_in(&message["content"], "\n").trim().to_string());
    Ok(texts.find(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scripted, call};
    use super::*;
    use serde_json::Value;

    const MAIN: &str = "agent:main:main";

    fn gateway(status: &'static str) -> Scripted {
        let said = json!([
            {"role": "assistant", "content": [{"type": "text", "text": "old"}]},
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}]}]);
        Scripted {
            answers: vec![
                ("agent", json!({"status": "accepted"})),
                ("agent.wait", json!({"status": status, "error": "why"})),
                ("chat.history", json!({"messages": said})),
                ("sessions.resolve", json!({"key": "agent:main:other"})),
                ("sessions.talk", json!({"ok": true})),
            ],
            ..Scripted::default()
        }
    }

    fn send(gateway: &Scripted, arguments: Value) -> Value {
        call(&TOOL, gateway, json!({}), MAIN, arguments)
            .details
            .unwrap()
    }

    #[test]
    fn the_answer_comes_back_and_the_talk_goes_on() {
        let gateway = gateway("ok");
        let done = send(&gateway, json!({"label": "other", "message": "q"}));
        assert_eq!(
            (&done["status"], &done["reply"]),
            (&json!("ok"), &json!("a"))
        );
        assert_eq!(done["sessionKey"], "agent:main:other");
        assert_eq!(
            done["delivery"],
            json!({"status": "pending", "mode": "announce"})
        );
        let asked = gateway.asked.lock().unwrap();
        let run = asked.iter().find(|(method, _)| method == "agent").unwrap();
        assert_eq!(run.1["lane"], "nested");
        let (method, talk) = asked.last().unwrap();
        assert_eq!(
            (method.as_str(), &talk["reply"]),
            ("sessions.talk", &json!("a"))
        );
    }

    #[test]
    fn nobody_waits_who_does_not_want_to_and_what_fails_says_so() {
        let quick = gateway("ok");
        let order = json!({"sessionKey": "other", "message": "q", "timeoutSeconds": 0});
        assert_eq!(send(&quick, order.clone())["status"], "accepted");
        let asked = quick.asked.lock().unwrap();
        assert!(asked.iter().all(|(method, _)| method != "agent.wait"));
        let order = json!({"sessionKey": "other", "message": "q"});
        assert_eq!(
            send(&gateway("timeout"), order.clone())["status"],
            "timeout"
        );
        assert_eq!(send(&gateway("error"), order)["error"], "why");
        for (arguments, status) in [
            (json!({"message": "q"}), "error"),
            (
                json!({"message": "q", "label": "a", "sessionKey": "b"}),
                "error",
            ),
            (json!({"message": "q", "sessionKey": "main"}), "error"),
            (
                json!({"message": "q", "sessionKey": "agent:art:main"}),
                "forbidden",
            ),
            (
                json!({"message": "q", "label": "x", "agentId": "art"}),
                "forbidden",
            ),
        ] {
            assert_eq!(send(&gateway("ok"), arguments)["status"], status);
        }
    }
}
