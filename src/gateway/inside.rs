//! Methods called from within: by the tools of an agent, on its behalf.
//!
//! The call goes the way of a client's request: through the table, with its scope and its params
//! checked, on a pool thread where the row says so. The caller waits for the first answer on its
//! own thread, at most as long as it says, and not beyond the end of its run.

use super::broadcast::{Client, Heard, Line};
use super::commands;
use super::core::Core;
use super::dispatch::{self, Request};
use super::restart;
use super::subagents;
use super::talk;
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::time::now_ms;
use crate::tool::{Error, Gateway};
use crate::wire::gateway::config::SentinelPayload;
use crate::wire::gateway::frame::RpcError;
use crate::wire::version;
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Characters of a note that the next start repeats.
const MAX_NOTE_CHARS: usize = 2_000;
/// Answers of one call: `agent` gives two.
const ANSWERS: usize = 2;

/// The gateway as tools use it.
pub struct Inside(pub Arc<Core>);

/// A call under way.
pub struct Asked {
    answers: Receiver<Heard>,
    /// Heard by the one who waits when its run is stopped.
    stop: Sender<Heard>,
}

/// Begins a call; its answers come to what is returned.
pub fn ask(core: &Arc<Core>, method: &str, params: Value) -> Asked {
    let (ear, answers) = bounded(ANSWERS);
    let client = Arc::new(client(ear.clone()));
    let request = Request {
        id: RawValue::from_string("\"inside\"".into()).expect("a JSON string"),
        method: method.into(),
        params,
    };
    dispatch::run(core, &client, request);
    Asked { answers, stop: ear }
}

impl Asked {
    /// The next answer.
    pub fn answer(&self, patience: Duration, cancel: &Cancel) -> Result<Value, RpcError> {
        let stop = self.stop.clone();
        let _waiting = cancel.on_cancel(move || {
            let heard = Heard {
                payload: None,
                error: Some(RpcError::unavailable(super::turns::ABORTED)),
            };
            // Full: an answer is there already.
            let _ = stop.try_send(heard);
        });
        let heard = self.answers.recv_timeout(patience).map_err(|_| {
            RpcError::unavailable(format!("gateway timeout after {}ms", patience.as_millis()))
        })?;
        if let Some(error) = heard.error {
            return Err(error);
        }
        let text = heard.payload.as_deref().map_or("null", RawValue::get);
        serde_json::from_str(text).map_err(|err| RpcError::unavailable(err.to_string()))
    }
}

/// An operator with every right that is nobody's connection.
fn client(ear: Sender<Heard>) -> Client {
    Client {
        conn_id: id::uuid(),
        role: "operator".into(),
        scopes: vec!["operator.admin".into()],
        caps: Vec::new(),
        commands: Vec::new(),
        permissions: None,
        path_env: None,
        device_id: None,
        client_id: "gateway-client".into(),
        mode: "backend".into(),
        display_name: Some("agent".into()),
        version: version::BEHAVIOUR.into(),
        platform: std::env::consts::OS.into(),
        device_family: None,
        model_identifier: None,
        instance_id: None,
        remote_ip: None,
        confined: false,
        connected_at_ms: now_ms(),
        in_flight: AtomicUsize::new(0),
        line: Line::Inside(ear),
    }
}

type Own = fn(&Arc<Core>, &Value) -> Result<Value, String>;

/// What tools may ask for that no client has a method for.
const OWN: &[(&str, Own)] = &[
    ("gateway.restart", restart),
    ("sessions.card", card),
    ("sessions.talk", talk::begin),
    ("subagents.spawn", subagents::spawn),
];

/// A restart that an agent wants, and the note that tells it when it is done.
fn restart(core: &Arc<Core>, params: &Value) -> Result<Value, String> {
    let text = |name: &str| {
        let text = params[name].as_str().unwrap_or_default();
        let text: String = text.chars().take(MAX_NOTE_CHARS).collect();
        (!text.is_empty()).then_some(text)
    };
    let reason = text("reason");
    let payload = SentinelPayload {
        kind: "restart".into(),
        status: "ok".into(),
        ts: now_ms(),
        session_key: text("sessionKey"),
        message: text("note").or_else(|| reason.clone()),
        doctor_hint: "Run: openclaw doctor --non-interactive".into(),
        stats: json!({"mode": "gateway.restart", "reason": reason}),
    };
    restart::leave_note(core.config.paths(), payload);
    let reason = reason.as_deref().unwrap_or("gateway.restart");
    Ok(json!(restart::plan(
        core,
        params["delayMs"].as_f64(),
        reason
    )))
}

/// A session as people see it with `/status`, and the time.
fn card(core: &Arc<Core>, params: &Value) -> Result<Value, String> {
    let key = params["sessionKey"].as_str().unwrap_or_default();
    let key = core.agents.sessions.canonical(key);
    Ok(json!({"card": commands::card::of(core, &key, true)}))
}

impl Gateway for Inside {
    fn call(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Value, Error> {
        if let Some((_, run)) = OWN.iter().find(|(name, _)| *name == method) {
            return run(&self.0, &params).map_err(Error);
        }
        ask(&self.0, method, params)
            .answer(patience, cancel)
            .map_err(|error| Error(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::super::core::tests::core;
    use super::*;

    #[test]
    fn a_call_from_within_is_checked_and_answered_like_a_clients() {
        let (core, dir) = core("{}");
        let inside = Inside(core.clone());
        let never = Cancel::new();
        let call = |method: &str, params: Value| {
            inside.call(method, params, Duration::from_secs(20), &never)
        };
        let list = call("sessions.list", json!({"limit": 1})).unwrap();
        assert_eq!(list["count"], 0);
        let bad = call("sessions.list", json!({"limit": "x"})).unwrap_err();
        assert!(bad.0.starts_with("invalid sessions.list params"), "{bad}");
        assert!(
            call("no.such", json!({}))
                .unwrap_err()
                .0
                .contains("no.such")
        );
        let stopped = Cancel::new();
        stopped.cancel();
        let wait = json!({"runId": "none", "timeoutMs": 60_000});
        let asked = inside.call("agent.wait", wait, Duration::from_secs(60), &stopped);
        assert_eq!(asked.unwrap_err().0, "aborted");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
