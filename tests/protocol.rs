//! The method table against data/protocol.schema.json: what params are taken, which are refused and
//! in which words, and what answers and events look like.
//!
//! `OPENCLAW_PARITY=original` asks the original's gateway the same questions.

use crate::harness::schema::{self, errors, example, misfits};
use crate::harness::{self, Ws, ws::Device};
use crate::parity::server::{self, Server};
use openclaw::gateway::methods::{self, ADVERTISED, Run};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Families whose features are of later work: in the table, and answered with a reason.
const LATER: &[&str] = &[
    "node.",
    "browser.",
    "web.login.",
    "tts.",
    "talk.",
    "voicewake.",
    // Of channels.
    "poll",
];

/// Served, but not asked with valid params here, and why.
const NOT_ASKED: &[(&str, &str)] = &[
    ("update.run", "it would update the machine"),
    (
        "skills.update",
        "it changes the configuration under the other questions",
    ),
    ("wizard.start", "it changes what a later wizard answers"),
];

/// What the original fills in before it looks at the params, so that it is never missing or wrong.
const FILLED_IN: &[(&str, &[&str])] = &[
    (
        "cron.add",
        &[
            "agentId",
            "name",
            "enabled",
            "deleteAfterRun",
            "schedule",
            "sessionTarget",
            "wakeMode",
            "payload",
            "delivery",
        ],
    ),
    ("cron.update", &["patch"]),
];

/// `SessionsListParams` is of `sessions.list`.
fn method_of(definition: &str) -> Option<String> {
    let words = definition.strip_suffix("Params")?;
    let mut name = String::new();
    for c in words.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('.');
        }
        name.push(c.to_ascii_lowercase());
    }
    Some(match name.as_str() {
        "agent.identity" => "agent.identity.get".into(),
        _ => name,
    })
}

/// The original serves all of it.
pub fn is_served(method: &str) -> bool {
    if server::is_original() {
        return method != "connect" && !is_later(method);
    }
    methods::find(method).is_some_and(|row| matches!(row.run, Run::Inline(_) | Run::Pooled(_)))
}

fn is_later(method: &str) -> bool {
    LATER.iter().any(|family| match family.ends_with('.') {
        true => method.starts_with(family),
        false => method == *family,
    })
}

/// Method and params definition of every row that has one and is served.
fn served(definitions: &Map<String, Value>) -> Vec<(String, &Value)> {
    let all = definitions
        .iter()
        .filter_map(|(name, schema)| Some((method_of(name)?, schema)));
    all.filter(|(method, _)| is_served(method)).collect()
}

fn fail(what: &str, found: &[String]) {
    const SHOWN: usize = 40;
    let shown = &found[..found.len().min(SHOWN)];
    assert!(
        found.is_empty(),
        "{what} ({}):\n  {}",
        found.len(),
        shown.join("\n  ")
    );
}

#[test]
fn every_method_of_the_protocol_is_in_the_table_and_served_or_of_later_work() {
    let test = "every_method_of_the_protocol_is_in_the_table_and_served_or_of_later_work";
    let Some(definitions) = schema::definitions() else {
        return harness::skip(test, "no ../shared/data here");
    };
    for name in definitions.keys() {
        if let Some(method) = method_of(name) {
            assert!(
                methods::find(&method).is_some(),
                "no row {method} for {name}"
            );
        }
    }
    if server::is_original() {
        return;
    }
    let mut unexpected = Vec::new();
    let hidden = [
        "poll",
        "chat.inject",
        "sessions.resolve",
        "web.login.start",
        "web.login.wait",
    ];
    for method in ADVERTISED.iter().chain(&hidden) {
        if is_served(method) == is_later(method) {
            unexpected.push(format!("{method} served: {}", is_served(method)));
        }
    }
    fail("served rows differ from the lists above", &unexpected);
}

#[test]
fn params_that_fit_the_schema_are_taken() {
    let test = "params_that_fit_the_schema_are_taken";
    let Some(definitions) = schema::definitions() else {
        return harness::skip(test, "no ../shared/data here");
    };
    let mut found = Vec::new();
    for (method, schema) in served(&definitions) {
        let row = methods::find(&method).expect("it is served");
        for params in [example(schema, false), example(schema, true)] {
            let said = row.params.errors(&params);
            if !said.is_empty() {
                found.push(format!("{method} {params}: {}", said.join("; ")));
            }
        }
    }
    // And by the gateway as a whole.
    let server = Server::start();
    let mut ws = server.connect();
    for (method, schema) in served(&definitions) {
        if NOT_ASKED.iter().any(|(name, _)| *name == method) || of_nodes(&method) {
            continue;
        }
        let params = example(schema, true);
        if let Err(error) = ws.call(&method, params.clone()) {
            if refused(&method, &error).is_some() {
                found.push(format!("{method} {params}: {error}"));
            }
        }
    }
    fail("refused although the schema takes them", &found);
}

#[test]
fn params_that_do_not_fit_are_refused_in_the_words_of_the_original() {
    let test = "params_that_do_not_fit_are_refused_in_the_words_of_the_original";
    let Some(definitions) = schema::definitions() else {
        return harness::skip(test, "no ../shared/data here");
    };
    let server = Server::start();
    let mut operator = server.connect();
    let mut node = server.connect_node();
    let (mut found, mut asked) = (Vec::new(), 0);
    for (method, schema) in served(&definitions) {
        let ws = if of_nodes(&method) {
            &mut node
        } else {
            &mut operator
        };
        let filled = FILLED_IN.iter().find(|(name, _)| *name == method);
        for params in misfits(schema) {
            // A request without params is one with none.
            if params.is_null() {
                continue;
            }
            let said = errors(schema, &params);
            if filled.is_some_and(|(_, keys)| touches(&said, keys)) {
                continue;
            }
            asked += 1;
            let wanted = format!("invalid {method} params: {}", said.join("; "));
            let got = match ws.call(&method, params.clone()) {
                Ok(payload) => format!("taken: {payload:.60}"),
                Err(error) if error["code"] != "INVALID_REQUEST" => error.to_string(),
                Err(error) => error["message"].as_str().unwrap_or_default().to_string(),
            };
            if got != wanted {
                found.push(format!(
                    "{method} {params}\n    want {wanted}\n    got  {got}"
                ));
            }
        }
    }
    assert!(asked > 400, "only {asked} questions");
    fail("other words than the original's", &found);
}

/// Whether any of these errors is about one of `keys`.
fn touches(said: &[String], keys: &[&str]) -> bool {
    said.iter().any(|line| {
        keys.iter().any(|key| {
            line.contains(&format!("'{key}'")) || line.starts_with(&format!("at /{key}"))
        })
    })
}

/// Only a client of role `node` may ask these.
fn of_nodes(method: &str) -> bool {
    ["skills.bins", "node.event", "node.invoke.result"].contains(&method)
}

/// What the validator says of the params, when that is why the request failed.
fn refused<'e>(method: &str, error: &'e Value) -> Option<&'e str> {
    let message = error["message"].as_str()?;
    let said = message.strip_prefix(&format!("invalid {method} params: "))?;
    (said.starts_with("must ") || said.starts_with("at /") || said.starts_with("at root"))
        .then_some(said)
}

/// Requests whose answers have a definition: method, params, definition, where in the answer.
fn answers() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let file = json!({"agentId": "main", "name": "USER.md"});
    let every = json!({
        "name": "hourly", "schedule": {"kind": "every", "everyMs": 3_600_000},
        "sessionTarget": "main", "wakeMode": "next-heartbeat",
        "payload": {"kind": "systemEvent", "text": "tick"},
    });
    let written = json!({"agentId": "main", "name": "USER.md", "content": "A person."});
    vec![
        ("agent.identity.get", json!({}), "AgentIdentityResult", ""),
        ("agents.list", json!({}), "AgentsListResult", ""),
        (
            "agents.files.list",
            json!({"agentId": "main"}),
            "AgentsFilesListResult",
            "",
        ),
        ("agents.files.set", written, "AgentsFilesSetResult", ""),
        ("agents.files.get", file, "AgentsFilesGetResult", ""),
        ("models.list", json!({}), "ModelsListResult", ""),
        ("channels.status", json!({}), "ChannelsStatusResult", ""),
        ("config.schema", json!({}), "ConfigSchemaResponse", ""),
        ("cron.add", every, "CronJob", ""),
        ("cron.list", json!({}), "CronJob", "/jobs/0"),
        ("exec.approvals.get", json!({}), "ExecApprovalsSnapshot", ""),
        ("logs.tail", json!({}), "LogsTailResult", ""),
        ("system-presence", json!({}), "PresenceEntry", "/0"),
    ]
}

/// Where the program itself departs from its schema, as its clients know it.
fn departs(line: &str) -> bool {
    let input = line.starts_with("at /models/") && line.ends_with("unexpected property 'input'");
    input || line == "at root: unexpected property 'sessionKey'"
}

#[test]
fn answers_and_events_have_the_shape_the_schema_gives_them() {
    let test = "answers_and_events_have_the_shape_the_schema_gives_them";
    let Some(definitions) = schema::definitions() else {
        return harness::skip(test, "no ../shared/data here");
    };
    let mut found = Vec::new();
    let mut fits = |what: &str, definition: &str, value: &Value| {
        let said = errors(&definitions[definition], value);
        let said = said.iter().filter(|line| !departs(line));
        found.extend(said.map(|line| format!("{what}: {line}")));
    };
    let server = Server::start();
    let mut ws = server.connect();
    fits("connect", "HelloOk", &ws.hello);
    for (method, params, definition, place) in answers() {
        let id = ws.send(method, params);
        let answer = ws.response(&id);
        fits(method, "ResponseFrame", &answer);
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        let payload = answer["payload"].pointer(place);
        fits(method, definition, payload.expect("a payload"));
    }
    wizard(&mut ws, &mut fits);
    let job = ws.call("cron.list", json!({})).expect("the job")["jobs"][0]["id"].clone();
    ws.call("cron.run", json!({"id": job, "mode": "force"}))
        .expect("a run");
    let runs = ws.call("cron.runs", json!({"id": job})).expect("its log");
    fits("cron.runs", "CronRunLogEntry", &runs["entries"][0]);
    let mut node = server.connect_node();
    let bins = node.call("skills.bins", json!({})).expect("bins");
    fits("skills.bins", "SkillsBinsResult", &bins);

    // A turn, a node's first connection, a job and a word about the host make most events.
    ws.send(
        "chat.send",
        json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": "events"}),
    );
    let last = ws.event_where("chat", |payload| payload["state"] == "final");
    fits("chat", "ChatEvent", &last["payload"]);
    ws.send("system-event", json!({"text": "hello", "host": "h"}));
    drop(server.connect_device(&Device::new()));
    for frame in ws.rest_within(Duration::from_secs(1)) {
        if frame["type"] != "event" {
            fits("a response", "ResponseFrame", &frame);
            continue;
        }
        let name = frame["event"].as_str().expect("a name");
        fits(name, "EventFrame", &frame);
        let definition = match name {
            "agent" => "AgentEvent",
            "chat" => "ChatEvent",
            "tick" => "TickEvent",
            "shutdown" => "ShutdownEvent",
            "device.pair.requested" => "DevicePairRequestedEvent",
            "device.pair.resolved" => "DevicePairResolvedEvent",
            "presence" => {
                for entry in frame["payload"]["presence"].as_array().expect("a list") {
                    fits(name, "PresenceEntry", entry);
                }
                continue;
            }
            _ => continue,
        };
        fits(name, definition, &frame["payload"]);
    }
    found.sort();
    found.dedup();
    fail("not what the schema says", &found);
}

/// A wizard from its first step to its end.
fn wizard(ws: &mut Ws, fits: &mut impl FnMut(&str, &str, &Value)) {
    let started = ws.call("wizard.start", json!({})).expect("a wizard");
    fits("wizard.start", "WizardStartResult", &started);
    let session = json!({"sessionId": started["sessionId"]});
    let busy = ws
        .call("wizard.start", json!({}))
        .expect_err("one at a time");
    assert_eq!(busy["code"], "UNAVAILABLE", "{busy}");
    for (method, definition) in [
        ("wizard.next", "WizardNextResult"),
        ("wizard.status", "WizardStatusResult"),
        ("wizard.cancel", "WizardStatusResult"),
    ] {
        let answer = ws.call(method, session.clone()).expect(method);
        fits(method, definition, &answer);
    }
}
