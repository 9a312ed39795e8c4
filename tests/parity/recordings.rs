//! Real frames between the official client and its gateway, replayed to ours in the order they were
//! recorded: the same requests must get answers of the same shape, and refusals the same words.

use super::shape;
use crate::harness::ws::Device;
use crate::harness::{self, Gateway, Ws, model::Reply};
use crate::protocol::is_served;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// In the order in which they were recorded: later ones ask for what earlier ones made.
const FILES: &[&str] = &[
    "health",
    "health-json",
    "status",
    "status-deep",
    "gateway-probe",
    "gateway-status-json",
    "gateway-usage-cost-json",
    "call-status",
    "call-system-presence",
    "call-unknown-method",
    "call-config-get",
    "call-models-list",
    "call-agent-identity",
    "call-chat-history-empty",
    "channels-status-probe-json",
    "call-skills-status",
    "system-presence",
    "system-event-next",
    "system-heartbeat-last",
    "system-heartbeat-enable",
    "cron-status",
    "cron-add-every",
    "cron-add-cron-isolated",
    "cron-add-bad",
    "cron-list",
    "cron-run-not-due",
    "cron-run-force",
    "cron-runs",
    "cron-disable",
    "cron-rm",
    "agent-message-json",
    "agent-tool-call",
    "agent-model-fails",
    "call-agent-expect-final",
    "call-agent-wait",
    "call-chat-send",
    "call-sessions-list",
    "call-sessions-patch",
    "call-sessions-resolve",
    "call-sessions-reset",
    "call-sessions-delete",
    "logs",
    "approvals-allowlist-add",
    "devices-list",
    "security-audit-deep",
    "remote-pairing-required",
    "devices-list-pending",
    "remote-after-approval",
    "devices-rotate",
    "auth-token-mismatch",
    "acp-session",
    // One browser session.
    "ui-load-chat",
    "ui-chat-send",
    "ui-chat-slash",
    "ui-chat-new",
    "ui-tab-overview",
    "ui-tab-instances",
    "ui-tab-cron",
    "ui-tab-agents",
    "ui-tab-nodes",
    "ui-tab-debug",
    "ui-tab-chat",
    "ui-tab-config",
    "ui-reload",
    // These write the configuration.
    "ui-config-save",
    "call-config-patch",
];

/// Not replayed, and why. Starts of names.
const NOT_REPLAYED: &[(&str, &str)] = &[
    ("ch-", "needs channels"),
    ("call-send-unsupported", "needs channels"),
    ("ui-tab-channels", "needs channels"),
    ("browser-status", "needs the browser"),
    ("call-tts-status", "needs speech output"),
    ("node", "needs nodes"),
    ("agents-list", "asks no gateway"),
    ("approvals-get", "asks no gateway"),
    ("config-get-local", "asks no gateway"),
    ("message-send-no-channel", "asks no gateway"),
    ("models-status", "asks no gateway"),
    ("sessions", "asks no gateway"),
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
    // Configuration values follow the configuration, its schema what is built in.
    "$.payload.config.",
    "$.payload.parsed.",
    "$.payload.warnings",
    "$.payload.schema.",
    "$.payload.uiHints.",
    // So it is with what a session's entry keeps.
    "$.payload.entry.skillsSnapshot",
    "$.payload.entry.systemSent",
    // A session row's optional fields follow the session's history.
    "$.payload.sessions[",
    "$.payload.sessions.recent[",
    "$.payload.sessions.byAgent[",
    // Which times a device's token has, and whether it has a name, is its history.
    "$.payload.paired[",
    // A job that ran has more to say of it.
    "$.payload.state.last",
    // A skill's optional fields are what its author wrote.
    "$.payload.skills[",
];

/// The recorded answer of a command has no `api`, `provider` and `model` in the history, ours has
/// them as every message has; so it is compared with those of models.
const FULLER: &str = ".stopReason: \"injected\" where the recording has \"stop\"";

/// Answers whose values later requests repeat.
const REPEATED: &[&str] = &[
    "id",
    "requestId",
    "hash",
    "deviceToken",
    "token",
    "sessionId",
    "path",
];

/// Longest wait for what a run tells after its answer.
const EVENTS: Duration = Duration::from_secs(10);

/// Shorter texts are words, not ids.
const MIN_ID: usize = 16;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recordings")
}

fn recording(name: &str) -> Value {
    let text = std::fs::read(folder().join(format!("{name}.json"))).expect("a recording");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn recorded_requests_get_answers_of_the_recorded_shape() {
    let test = "recorded_requests_get_answers_of_the_recorded_shape";
    if !folder().exists() {
        return harness::skip(test, "no ../shared/data/recordings here");
    }
    for entry in std::fs::read_dir(folder()).expect("a folder") {
        let file = entry.expect("an entry").file_name();
        let Some(name) = file.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        let left_out = NOT_REPLAYED
            .iter()
            .any(|(start, _)| name.starts_with(start));
        assert!(
            FILES.contains(&name) != left_out,
            "{name}: replayed or not?"
        );
    }
    let gateway = Gateway::with_fake_model();
    let mut replay = Replay {
        gateway: &gateway,
        names: BTreeMap::from([("tok123".into(), gateway.token().into())]),
        devices: BTreeMap::new(),
        left_out: BTreeSet::new(),
        found: Vec::new(),
    };
    for name in FILES {
        replay.prepare(name);
        replay.file(name, &recording(name));
    }
    if !replay.left_out.is_empty() {
        let left_out: Vec<&str> = replay.left_out.iter().map(String::as_str).collect();
        harness::skip(test, &format!("within recordings: {}", left_out.join(" ")));
    }
    let found = replay.found;
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

struct Replay<'g> {
    gateway: &'g Gateway,
    /// What stood in the recording, and what stands for it here.
    names: BTreeMap<String, String>,
    /// Our keys, by the recorded device id.
    devices: BTreeMap<String, Device>,
    /// Methods that are not served.
    left_out: BTreeSet<String>,
    found: Vec<String>,
}

impl Replay<'_> {
    /// What the recorded gateway's surroundings did.
    fn prepare(&mut self, name: &str) {
        let model = self.gateway.model();
        match name {
            "agent-tool-call" => {
                let call = ("session_status".to_string(), json!({}));
                model.reply(Reply::Tools(vec![call]));
            }
            "agent-model-fails" => {
                let error = json!({"error": {"message": "fake failure"}});
                model.otherwise(Reply::Error(500, error));
            }
            "call-agent-expect-final" => {
                let text = vec!["Hello from ".into(), "the fake model.".into()];
                model.otherwise(Reply::Text(text, Duration::ZERO));
            }
            "remote-after-approval" => {
                let request = json!({"requestId": self.names["pending"]});
                let approved = self.gateway.connect().call("device.pair.approve", request);
                approved.expect("the request is pending");
            }
            _ => {}
        }
    }

    fn file(&mut self, name: &str, recording: &Value) {
        let frames = recording["frames"].as_array().expect("frames");
        let mut open: BTreeMap<i64, Ws> = BTreeMap::new();
        let mut whole = true;
        for (at, sent) in frames.iter().enumerate() {
            let (frame, conn) = (&sent["frame"], sent["conn"].as_i64().unwrap_or(0));
            if sent["dir"] != "c2s" || frame["type"] != "req" {
                continue;
            }
            let answers: Vec<&Value> = frames[at..]
                .iter()
                .filter(|f| f["dir"] == "s2c" && f["conn"] == sent["conn"])
                .map(|f| &f["frame"])
                .filter(|f| f["type"] == "res" && f["id"] == frame["id"])
                .collect();
            let method = frame["method"].as_str().expect("a method");
            if method == "connect" {
                let from = headers(name, recording, conn);
                let (ws, hello) = self.connect(name, &frame["params"], from);
                self.compare(name, "connect", answers[0], &hello);
                open.insert(conn, ws);
                continue;
            }
            // An unknown method is refused, and that is compared.
            if !is_served(method) && openclaw::gateway::methods::find(method).is_some() {
                self.left_out.insert(method.into());
                whole = false;
                continue;
            }
            let params = frame.get("params").cloned().unwrap_or(json!({}));
            let params = self.translate(method, params);
            // Frames of a connection that was open before the recording began.
            let ws = open.entry(conn).or_insert_with(|| self.gateway.connect());
            let id = ws.send(method, params);
            for answer in answers {
                let ours = ws.response(&id);
                self.compare(name, method, answer, &ours);
            }
        }
        for (conn, ws) in open.iter_mut().filter(|_| whole) {
            let theirs = frames.iter().filter(|f| f["conn"] == *conn);
            let theirs: Vec<&Value> = theirs.map(|f| &f["frame"]).collect();
            self.events(name, &theirs, ws);
        }
    }

    /// Every kind of event the client was told then, it is told now, in the same shape.
    fn events(&mut self, file: &str, recorded: &[&Value], ws: &mut Ws) {
        let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for event in recorded.iter().filter(|event| event["type"] == "event") {
            if let Some(kind) = kind(event) {
                let payload = event["payload"].clone();
                kinds.entry(kind).or_default().push(payload);
            }
        }
        let mut missing: BTreeSet<String> = kinds.keys().cloned().collect();
        let started = Instant::now();
        while !missing.is_empty() && started.elapsed() < EVENTS {
            for event in ws.events_within(Duration::from_millis(100)) {
                let Some((kind, theirs)) = kind(&event).and_then(|kind| kinds.get_key_value(&kind))
                else {
                    continue;
                };
                missing.remove(kind);
                let ours = json!([event["payload"]]);
                let found = shape::differences(&json!(theirs), &ours);
                self.found
                    .extend(found.iter().map(|d| format!("{file}: event {kind}: {d}")));
            }
        }
        let missing = missing.iter();
        self.found
            .extend(missing.map(|kind| format!("{file}: no event {kind}")));
    }

    /// Connects as the recorded client did, with a key of our own in the place of each of its keys.
    fn connect(
        &mut self,
        file: &str,
        recorded: &Value,
        headers: Vec<(String, String)>,
    ) -> (Ws, Value) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
        let mut ws = Ws::open_with(self.gateway.port(), &headers);
        let mut params = recorded.clone();
        if let Some(token) = params["auth"]["token"].as_str().map(str::to_string) {
            let shared = self.gateway.token().to_string();
            let ours = self.names.get(&token).cloned();
            // Only there a token is meant to be wrong.
            if !file.starts_with("auth-") || ours.is_some() {
                params["auth"]["token"] = ours.unwrap_or(shared).into();
            }
        }
        if let Some(device) = params.as_object_mut().and_then(|map| map.remove("device")) {
            let id = device["id"].as_str().expect("an id");
            let ours = self.devices.entry(id.into()).or_default();
            self.names.insert(id.into(), ours.id());
            params = ws.signed(params, ours);
        }
        let id = ws.send("connect", params);
        let hello = ws.response(&id);
        if let Some(request) = hello["error"]["details"]["requestId"].as_str() {
            self.names.insert("pending".into(), request.into());
        }
        (ws, hello)
    }

    /// Recorded params with our ids, tokens and hashes in them.
    fn translate(&mut self, method: &str, params: Value) -> Value {
        let mut params = self.rename(params);
        if method.starts_with("config.") && params.get("baseHash").is_some() {
            let now = self.gateway.connect().call("config.get", json!({}));
            let now = now.expect("a configuration");
            params["baseHash"] = now["hash"].clone();
            // Theirs names their port and folders.
            if method == "config.set" || method == "config.apply" {
                let raw = now["raw"].as_str().expect("a file");
                let mut config: Value = serde_json::from_str(raw).expect("JSON");
                config["ui"] = json!({"seamColor": "#00aa88"});
                params["raw"] = config.to_string().into();
            }
        }
        params
    }

    fn rename(&self, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let known = self.names.iter().filter(|(name, _)| name.len() >= MIN_ID);
                Value::String(known.fold(text, |text, (name, ours)| text.replace(&**name, ours)))
            }
            Value::Array(list) => list.into_iter().map(|item| self.rename(item)).collect(),
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| (key, self.rename(value)))
                .collect(),
            other => other,
        }
    }

    fn compare(&mut self, file: &str, method: &str, recorded: &Value, ours: &Value) {
        for difference in shape::differences(recorded, ours) {
            let elsewhere = ELSEWHERE.iter().any(|place| difference.starts_with(place));
            if !elsewhere && !difference.ends_with(FULLER) {
                self.found.push(format!("{file}: {method}: {difference}"));
            }
        }
        // Times and counts follow the day of the recording.
        let words = |answer: &Value| {
            let message = answer["error"]["message"].as_str().map(str::to_string);
            message.map(|text| text.replace(|c: char| c.is_ascii_digit(), "0"))
        };
        if words(recorded) != words(ours) {
            let (theirs, ours) = (words(recorded), words(ours));
            let line = format!("{file}: {method}: {ours:?} where the recording has {theirs:?}");
            self.found.push(line);
        }
        self.learn("", recorded, ours);
    }

    fn learn(&mut self, key: &str, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                for (key, value) in theirs {
                    if let Some(other) = ours.get(key) {
                        self.learn(key, value, other);
                    }
                }
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                for (theirs, ours) in theirs.iter().zip(ours) {
                    self.learn(key, theirs, ours);
                }
            }
            (Value::String(theirs), Value::String(ours)) if REPEATED.contains(&key) => {
                self.names.insert(theirs.clone(), ours.clone());
            }
            _ => {}
        }
    }
}

/// What sort of event this is, when it is one that the requests of a recording cause.
fn kind(event: &Value) -> Option<String> {
    let name = event["event"].as_str()?;
    let payload = &event["payload"];
    let part = match name {
        "agent" => format!("{} {}", payload["stream"], payload["data"]["phase"]),
        "chat" => payload["state"].to_string(),
        "cron" => payload["action"].to_string(),
        _ => return None,
    };
    Some(format!("{name} {part}"))
}

/// Those that say where a request came from.
fn headers(file: &str, recording: &Value, conn: i64) -> Vec<(String, String)> {
    // The recorder stood before the proxy that added it.
    let remote = file.starts_with("remote-");
    let forwarded = ("x-forwarded-for".to_string(), "203.0.113.9".to_string());
    let connections = recording["connections"].as_array().into_iter().flatten();
    let here = connections.filter(|c| c["conn"] == conn);
    here.flat_map(|c| c["headers"].as_object().into_iter().flatten())
        .filter(|(name, _)| *name == "origin")
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()))
        .chain(remote.then_some(forwarded))
        .collect()
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
