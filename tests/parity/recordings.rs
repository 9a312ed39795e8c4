//! Real frames between the official client and its gateway, replayed to ours: the same requests
//! must get answers of the same shape.

use super::shape;
use crate::harness::{self, Gateway, Ws, model::Reply};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// The recordings whose requests this gateway serves.
const FILES: &[&str] = &[
    // Before anything is said.
    "call-chat-history-empty",
    "health",
    "health-json",
    "status",
    "status-deep",
    "call-status",
    "call-system-presence",
    "system-presence",
    "call-models-list",
    "call-agent-identity",
    "channels-status-probe-json",
    "gateway-probe",
    "gateway-status-json",
    "agent-message-json",
    "call-agent-expect-final",
    "call-agent-wait",
    "call-chat-send",
    "call-sessions-list",
    "call-sessions-resolve",
    "call-unknown-method",
    "logs",
    "system-event-next",
    "system-heartbeat-enable",
    "system-heartbeat-last",
];

/// Places where the recorded value depends on what else that gateway had done or is built with.
const ELSEWHERE: &[&str] = &[
    // Present while a canvas host is on.
    "$.payload.canvasHostUrl",
    // The original's catalogue of plugins and methods grows with what is installed.
    "$.payload.features",
    // Which optional fields a presence row has depends on who was connected.
    "$.payload[",
    "$.payload.snapshot.presence[",
    // Configuration values follow the configuration.
    "$.payload.config.",
    "$.payload.parsed.",
    "$.payload.warnings",
    // A session row's optional fields follow the session's history.
    "$.payload.sessions[",
    "$.payload.sessions.recent[",
    "$.payload.sessions.byAgent[",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recordings")
}

#[test]
fn recorded_requests_get_answers_of_the_recorded_shape() {
    if !folder().exists() {
        return harness::skip(
            "recorded_requests_get_answers_of_the_recorded_shape",
            "no ../shared/data/recordings here",
        );
    }
    let gateway = Gateway::with_fake_model();
    // The recorded gateway had a session of that name and label.
    gateway.set_session("agent:main:scratch", json!({"label": "Scratch"}));
    let mut found = Vec::new();
    for name in FILES {
        let text = std::fs::read(folder().join(format!("{name}.json"))).expect("a recording");
        let recording: Value = serde_json::from_slice(&text).expect("JSON");
        replay(&gateway, name, &recording, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn replay(gateway: &Gateway, name: &str, recording: &Value, found: &mut Vec<String>) {
    let frames = recording["frames"].as_array().expect("frames");
    let mut ws: Option<(i64, Ws)> = None;
    for at in 0..frames.len() {
        let (frame, conn) = (
            &frames[at]["frame"],
            frames[at]["conn"].as_i64().unwrap_or(0),
        );
        if frames[at]["dir"] != "c2s" || frame["type"] != "req" {
            continue;
        }
        let recorded: Vec<&Value> = frames[at..]
            .iter()
            .filter(|f| f["dir"] == "s2c" && f["conn"] == frames[at]["conn"])
            .map(|f| &f["frame"])
            .filter(|f| f["type"] == "res" && f["id"] == frame["id"])
            .collect();
        if frame["method"] == "connect" {
            let (opened, hello) = connect(gateway, &frame["params"]);
            compare(name, "connect", recorded[0], &hello, found);
            ws = Some((conn, opened));
            continue;
        }
        // Frames of a connection that was open before the recording began.
        let (_, ws) = ws.get_or_insert_with(|| (conn, gateway.connect()));
        let method = frame["method"].as_str().expect("a method");
        let id = ws.send(method, frame.get("params").cloned().unwrap_or(json!({})));
        for answer in recorded {
            let ours = ws.response(&id);
            compare(name, method, answer, &ours, found);
        }
    }
}

/// Connects as the recorded client did, with a key of our own.
fn connect(gateway: &Gateway, recorded: &Value) -> (Ws, Value) {
    let mut ws = Ws::open(gateway.port());
    let mut params = recorded.clone();
    params["auth"] = json!({"token": gateway.token()});
    if params
        .as_object_mut()
        .expect("an object")
        .remove("device")
        .is_some()
    {
        params = ws.signed(params, &harness::ws::Device::new());
    }
    let id = ws.send("connect", params);
    let hello = ws.response(&id);
    (ws, hello)
}

fn compare(file: &str, method: &str, recorded: &Value, ours: &Value, found: &mut Vec<String>) {
    for difference in shape::differences(recorded, ours) {
        if !ELSEWHERE.iter().any(|place| difference.starts_with(place)) {
            found.push(format!("{file}: {method}: {difference}"));
        }
    }
}

/// The event stream of a turn, against data/agent-events.json.
#[test]
fn a_turn_with_a_tool_tells_the_recorded_events() {
    let path = folder().join("../agent-events.json");
    let Ok(text) = std::fs::read(path) else {
        return harness::skip(
            "a_turn_with_a_tool_tells_the_recorded_events",
            "no ../shared/data here",
        );
    };
    let recorded: Value = serde_json::from_slice(&text).expect("JSON");
    let recorded = recorded["text-then-tool (verbose full)"]
        .as_array()
        .expect("events");
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::TextAndTools(
        "Let me check that.".into(),
        vec![("exec".into(), json!({"command": "echo hello-from-exec"}))],
    ));
    gateway
        .model()
        .reply(Reply::Text(vec!["All done.".into()], Duration::ZERO));
    let mut ws = gateway.connect();
    let key = "agent:main:x-tool";
    // The session must exist before its level can be set in the store.
    gateway.set_session(key, json!({"verboseLevel": "full"}));
    ws.send(
        "chat.send",
        json!({"sessionKey": key, "message": "go", "idempotencyKey": "x-tool"}),
    );
    let mut ours = Vec::new();
    loop {
        let event = ws.event_any(&["agent", "chat"]);
        let last = event["payload"]["state"] == "final";
        ours.push(event);
        if last {
            break;
        }
    }
    // Partial results come as output comes: any number of updates, chat deltas by the clock.
    let names = |events: &[Value]| -> Vec<String> {
        let mut names: Vec<String> = events
            .iter()
            .filter(|e| {
                e["payload"]["data"]["phase"] != "update" && e["payload"]["state"] != "delta"
            })
            .map(|e| {
                let p = &e["payload"];
                format!(
                    "{} {} {} {}",
                    e["event"], p["stream"], p["data"]["phase"], p["state"]
                )
            })
            .collect();
        names.dedup();
        names
    };
    assert_eq!(names(&ours), names(recorded));
    for (recorded, ours) in pairs(recorded, &ours) {
        let found = shape::differences(&recorded["payload"], &ours["payload"]);
        assert!(found.is_empty(), "{found:?}\n{recorded}\n{ours}");
    }
}

/// Each recorded event with our first of the same kind.
fn pairs<'a>(recorded: &'a [Value], ours: &'a [Value]) -> Vec<(&'a Value, &'a Value)> {
    let kind = |e: &Value| {
        let p = &e["payload"];
        (
            e["event"].clone(),
            p["stream"].clone(),
            p["data"]["phase"].clone(),
            p["state"].clone(),
        )
    };
    recorded
        .iter()
        .filter_map(|r| Some((r, ours.iter().find(|o| kind(o) == kind(r))?)))
        .collect()
}
