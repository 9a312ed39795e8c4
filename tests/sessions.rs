//! Changing sessions from outside: patch, reset, delete, compact, and what the next turn makes of it.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const KEY: &str = "agent:main:work";

fn say(ws: &mut Ws, text: &str, id: &str) {
    let params = json!({"sessionKey": KEY, "message": text, "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
}

fn patch(ws: &mut Ws, params: Value) -> Result<Value, String> {
    let mut params = params;
    if params["key"].is_null() {
        params["key"] = KEY.into();
    }
    ws.call("sessions.patch", params)
        .map_err(|e| e["message"].as_str().unwrap().to_string())
}

fn folder(gateway: &Gateway) -> PathBuf {
    gateway.state().join("agents/main/sessions")
}

fn stored(gateway: &Gateway) -> Value {
    let text = fs::read(folder(gateway).join("sessions.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A fake model with a second one beside it that thinks.
fn two_models() -> Setup {
    let mut setup = Setup::with_fake_model();
    let models = &mut setup.config["models"]["providers"]["fake"]["models"];
    let mut second = models[0].clone();
    second["id"] = "fake-2".into();
    second["reasoning"] = true.into();
    models.as_array_mut().unwrap().push(second);
    setup
}

#[test]
fn a_patched_session_asks_the_chosen_model_with_the_chosen_level() {
    let gateway = two_models().start();
    let mut ws = gateway.connect();
    let patched = patch(
        &mut ws,
        json!({"model": "fake/fake-2", "thinkingLevel": "max", "label": " Work "}),
    )
    .unwrap();
    assert_eq!(patched["key"], KEY);
    assert!(patched["path"].as_str().unwrap().ends_with("sessions.json"));
    assert_eq!(
        patched["resolved"],
        json!({"modelProvider": "fake", "model": "fake-2"})
    );
    assert_eq!(patched["entry"]["label"], "Work");
    // A restart forgets nothing of it.
    assert_eq!(stored(&gateway)[KEY]["modelOverride"], "fake-2");
    say(&mut ws, "hello", "p1");
    let asked = gateway.model().requests().remove(0);
    assert_eq!(asked["model"], "fake-2");
    assert_eq!(asked["reasoning_effort"], "high", "{asked}");
    patch(&mut ws, json!({"model": null, "thinkingLevel": null})).unwrap();
    say(&mut ws, "hello", "p2");
    let asked = gateway.model().requests().remove(1);
    assert_eq!(asked["model"], "fake-1");
    let id = patched["entry"]["sessionId"].clone();
    assert_eq!(
        stored(&gateway)[KEY]["sessionId"],
        id,
        "the same conversation"
    );
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing_and_makes_no_session() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let refused = |ws: &mut Ws, params: Value| patch(ws, params).unwrap_err();
    assert_eq!(
        refused(&mut ws, json!({"label": "x", "thinkingLevel": "bogus"})),
        "invalid thinkingLevel (use off|minimal|low|medium|high)"
    );
    assert_eq!(refused(&mut ws, json!({"key": "  "})), "key required");
    let list = ws.call("sessions.list", json!({})).unwrap();
    assert_eq!(list["count"], 0, "{list}");
    patch(&mut ws, json!({"label": "mine"})).unwrap();
    assert_eq!(
        refused(&mut ws, json!({"key": "Other", "label": "mine"})),
        "label already in use: mine"
    );
    assert_eq!(
        refused(&mut ws, json!({"label": 5, "zz": 1, "sendPolicy": "x"})),
        "invalid sessions.patch params: at root: unexpected property 'zz'; \
         at /label: must be string; at /label: must be null; \
         at /label: must match a schema in anyOf; \
         at /sendPolicy: must be equal to constant; at /sendPolicy: must be null; \
         at /sendPolicy: must match a schema in anyOf"
    );
    let found = ws
        .call("sessions.resolve", json!({"label": "mine"}))
        .unwrap();
    assert_eq!(found["key"], KEY);
    // One spelling everywhere.
    patch(&mut ws, json!({"key": "Agent:Main:WORK", "label": null})).unwrap();
    assert!(stored(&gateway)[KEY].get("label").is_none());
}

#[test]
fn an_allowlist_of_models_holds_for_patches() {
    let mut setup = two_models();
    setup.config["agents"]["defaults"]["models"] = json!({"fake/fake-1": {}});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    assert_eq!(
        patch(&mut ws, json!({"model": "fake/fake-2"})).unwrap_err(),
        "model not allowed: fake/fake-2"
    );
}

#[test]
fn a_session_that_may_not_send_refuses_messages_until_it_may() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    patch(&mut ws, json!({"sendPolicy": "deny"})).unwrap();
    let params = json!({"sessionKey": KEY, "message": "x", "idempotencyKey": "d1"});
    let refused = ws.call("chat.send", params).unwrap_err();
    assert_eq!(refused["message"], "send blocked by session policy");
    patch(&mut ws, json!({"sendPolicy": null})).unwrap();
    say(&mut ws, "x", "d2");
}

#[test]
fn a_reset_session_starts_anew_with_its_settings() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    patch(
        &mut ws,
        json!({"thinkingLevel": "low", "elevatedLevel": "full"}),
    )
    .unwrap();
    say(&mut ws, "remember the pomegranate", "r1");
    let old = stored(&gateway)[KEY]["sessionId"].clone();
    let reset = ws.call("sessions.reset", json!({"key": KEY})).unwrap();
    let entry = &reset["entry"];
    assert_ne!(entry["sessionId"], old);
    assert_eq!(
        (&entry["totalTokens"], &entry["thinkingLevel"]),
        (&json!(0), &json!("low"))
    );
    assert!(entry.get("elevatedLevel").is_none());
    say(&mut ws, "and now?", "r2");
    let asked = gateway.model().requests().remove(1).to_string();
    assert!(!asked.contains("pomegranate"), "{asked}");
    let file = folder(&gateway).join(format!("{}.jsonl", old.as_str().unwrap()));
    assert!(file.exists(), "the old conversation stays on disk");
}

#[test]
fn a_deleted_session_stops_its_run_and_its_file_is_put_aside() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    say(&mut ws, "first", "k1");
    gateway.model().reply(Reply::Hang);
    let params = json!({"sessionKey": KEY, "message": "second", "idempotencyKey": "k2"});
    ws.call("chat.send", params).unwrap();
    gateway.model().wait_request(2);
    let began = Instant::now();
    let gone = ws.call("sessions.delete", json!({"key": KEY})).unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(gone["deleted"], true, "{gone}");
    let archived = PathBuf::from(gone["archived"][0].as_str().unwrap());
    assert!(archived.exists());
    let name = archived.file_name().unwrap().to_str().unwrap();
    assert!(
        name.contains(".jsonl.deleted.20") && !name.contains(':'),
        "{name}"
    );
    assert!(stored(&gateway).get(KEY).is_none());
    let files: Vec<_> = fs::read_dir(folder(&gateway))
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().into_string().ok())
        .filter(|n| n.ends_with(".jsonl") || n.ends_with(".lock"))
        .collect();
    assert!(files.is_empty(), "{files:?}");
    let again = ws.call("sessions.delete", json!({"key": KEY})).unwrap();
    assert_eq!(
        again,
        json!({"ok": true, "key": KEY, "deleted": false, "archived": []})
    );
    let refused = ws
        .call("sessions.delete", json!({"key": "main"}))
        .unwrap_err();
    assert_eq!(
        refused["message"],
        "Cannot delete the main session (agent:main:main)."
    );
    say(&mut ws, "anew", "k3");
    let history = ws.call("chat.history", json!({"sessionKey": KEY})).unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_session_deleted_without_its_transcript_leaves_the_file() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    say(&mut ws, "first", "k1");
    let id = stored(&gateway)[KEY]["sessionId"]
        .as_str()
        .unwrap()
        .to_string();
    let params = json!({"key": KEY, "deleteTranscript": false});
    let gone = ws.call("sessions.delete", params).unwrap();
    assert_eq!(
        (&gone["deleted"], &gone["archived"]),
        (&json!(true), &json!([]))
    );
    assert!(folder(&gateway).join(format!("{id}.jsonl")).exists());
}

#[test]
fn a_compacted_transcript_keeps_its_header_and_whole_turns() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    for n in 0..4 {
        say(&mut ws, &format!("question {n}"), &format!("c{n}"));
    }
    let id = stored(&gateway)[KEY]["sessionId"]
        .as_str()
        .unwrap()
        .to_string();
    let file = folder(&gateway).join(format!("{id}.jsonl"));
    let before = fs::read_to_string(&file).unwrap();
    let compact = |ws: &mut Ws, lines: u32| {
        let params = json!({"key": KEY, "maxLines": lines});
        ws.call("sessions.compact", params).unwrap()
    };
    let long = compact(&mut ws, 400);
    assert_eq!(
        (&long["compacted"], &long["kept"]),
        (&json!(false), &json!(before.lines().count()))
    );
    // Three lines would begin with an answer.
    let cut = compact(&mut ws, 3);
    assert_eq!(
        (&cut["compacted"], &cut["kept"]),
        (&json!(true), &json!(2)),
        "{cut}"
    );
    let archived = cut["archived"].as_str().unwrap();
    assert!(archived.contains(".jsonl.bak."));
    assert_eq!(fs::read_to_string(archived).unwrap(), before);
    let after = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = after
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["type"], "session");
    assert_eq!(lines[1]["message"]["role"], "user");
    assert!(stored(&gateway)[KEY].get("totalTokens").is_none());
    say(&mut ws, "and now?", "c9");
    let asked = gateway.model().requests().pop().unwrap()["messages"].to_string();
    assert!(
        asked.contains("question 3") && !asked.contains("question 2"),
        "{asked}"
    );
    let none = ws
        .call("sessions.compact", json!({"key": "nothing"}))
        .unwrap();
    assert_eq!(none["reason"], "no sessionId");
    patch(&mut ws, json!({"key": "silent"})).unwrap();
    let none = ws
        .call("sessions.compact", json!({"key": "silent"}))
        .unwrap();
    assert_eq!(
        none,
        json!({"ok": true, "key": "agent:main:silent", "compacted": false, "reason": "no transcript"})
    );
}

#[test]
fn a_list_shows_the_chosen_model_and_sums_what_is_known() {
    let gateway = two_models().start();
    let mut ws = gateway.connect();
    patch(&mut ws, json!({"model": "fake/fake-2", "label": "Needle"})).unwrap();
    patch(&mut ws, json!({"key": "subagent:1", "spawnedBy": KEY})).unwrap();
    let list = |ws: &mut Ws, params: Value| ws.call("sessions.list", params).unwrap();
    let found = list(&mut ws, json!({"search": "needLE"}));
    let row = &found["sessions"][0];
    assert_eq!(
        (&row["model"], &row["totalTokens"]),
        (&json!("fake-2"), &json!(0))
    );
    let children = list(&mut ws, json!({"spawnedBy": KEY}));
    assert_eq!(children["sessions"][0]["key"], "agent:main:subagent:1");
    assert_eq!(list(&mut ws, json!({"label": "Needle"}))["count"], 1);
    assert_eq!(list(&mut ws, json!({"agentId": "ops"}))["count"], 0);
    assert_eq!(list(&mut ws, json!({"limit": 1}))["count"], 1);
}

#[test]
fn a_session_that_shows_its_reasoning_sends_it_before_the_answer() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    patch(&mut ws, json!({"reasoningLevel": "on"})).unwrap();
    gateway.model().say(&["<think>two and two</think>", "four"]);
    let params = json!({"sessionKey": KEY, "message": "2+2?", "idempotencyKey": "t1"});
    let id = ws.send("agent", params);
    assert_eq!(ws.response(&id)["payload"]["status"], "accepted");
    let payloads = ws.response(&id)["payload"]["result"]["payloads"].clone();
    assert_eq!(payloads[0]["text"], "Reasoning:\n_two and two_");
    assert_eq!(payloads[1]["text"], "four");
}
