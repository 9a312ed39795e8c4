//! Chat windows: sending, history, stop words, injected lines, two of them at once.

use crate::harness::{Gateway, Setup, Ws, proc};
use serde_json::{Value, json};

const MAIN: &str = "agent:main:main";

fn message(text: &str, id: &str) -> Value {
    json!({"sessionKey": MAIN, "message": text, "idempotencyKey": id})
}

#[test]
fn a_new_session_keeps_its_key_and_forgets_the_conversation() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let key = MAIN;
    let say = |ws: &mut Ws, text: &str, id: &str| {
        let params = json!({"sessionKey": key, "message": text, "idempotencyKey": id});
        ws.call("chat.send", params).unwrap();
        ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
        ws.call("chat.history", json!({"sessionKey": key})).unwrap()
    };
    let before = say(&mut ws, "Remember the word pomegranate", "n1");
    let after = say(&mut ws, "/new", "n2");
    assert_ne!(before["sessionId"], after["sessionId"]);
    assert_eq!(after["messages"].as_array().unwrap().len(), 2);
    let asked = gateway.model().requests();
    assert!(
        !asked[1].to_string().contains("pomegranate"),
        "{}",
        asked[1]
    );
    let third = say(&mut ws, "/reset What is next?", "n3");
    assert!(third["messages"][0].to_string().contains("What is next?"));
}

#[test]
fn a_message_is_started_told_and_found_in_the_history() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let answer = ws.call("chat.send", message("hello", "c1")).unwrap();
    assert_eq!(answer, json!({"runId": "c1", "status": "started"}));
    let last = ws.event_where("chat", |p| p["state"] == "final");
    assert_eq!(
        last["payload"]["message"]["content"][0]["text"],
        "Hello from the fake model."
    );
    let request = gateway.model().requests().remove(0).to_string();
    assert!(request.contains("hello\\n[message_id: c1]"), "{request}");
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN, "limit": 10}))
        .unwrap();
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["content"][0]["text"], "hello");
    assert_eq!(messages[1]["stopReason"], "stop");
    let again = ws.call("chat.send", message("hello", "c1")).unwrap();
    assert_eq!(again, json!({"runId": "c1", "status": "ok"}));
}

#[test]
fn two_windows_see_one_conversation_and_a_repeat_is_in_flight() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["one ", "two"], 150);
    let mut a = gateway.connect();
    let mut b = gateway.connect();
    a.call("chat.send", message("hi", "c1")).unwrap();
    let repeat = b.call("chat.send", message("hi", "c1")).unwrap();
    assert_eq!(repeat["status"], "in_flight");
    for ws in [&mut a, &mut b] {
        let last = ws.event_where("chat", |p| p["state"] == "final");
        assert_eq!(last["payload"]["message"]["content"][0]["text"], "one two");
    }
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn an_alias_is_echoed_and_shares_the_session() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "c1"});
    ws.call("chat.send", params).unwrap();
    let last = ws.event_where("chat", |p| p["state"] == "final");
    assert_eq!(last["payload"]["sessionKey"], "main");
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn pictures_reach_the_model_and_empty_messages_are_refused() {
    let mut setup = Setup::with_fake_model();
    setup.config["models"]["providers"]["fake"]["models"][0]["input"] = json!(["text", "image"]);
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let png = "iVBORw0KGgo=";
    let mut params = message("", "c1");
    params["attachments"] = json!([{"type":"image","mimeType":"image/png","content":png}]);
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["state"] == "final");
    let request = gateway.model().requests().remove(0).to_string();
    assert!(request.contains(png), "{request}");
    let refused = ws.call("chat.send", message("  ", "c2")).unwrap_err();
    assert_eq!(refused["message"], "message or attachment required");
    let mut bad = message("x", "c3");
    bad["attachments"] = json!([{"fileName":"p.png","content":"%%"}]);
    let refused = ws.call("chat.send", bad).unwrap_err();
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("attachment p.png")
    );
}

#[test]
fn an_injected_line_is_stored_and_told() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": MAIN, "message": "note", "label": "Ops"});
    let none = ws.call("chat.inject", params.clone()).unwrap_err();
    assert_eq!(none["message"], "session not found");
    ws.call("chat.send", message("hi", "c1")).unwrap();
    ws.event_where("chat", |p| p["state"] == "final");
    let answer = ws.call("chat.inject", params).unwrap();
    let id = answer["messageId"].as_str().unwrap();
    assert_eq!(id.len(), 8);
    let told = ws.event_where("chat", |p| p["seq"] == 0);
    assert_eq!(told["payload"]["runId"], format!("inject-{id}"));
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    let last = history["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["content"][0]["text"], "[Ops]\n\nnote");
}

#[test]
fn sessions_are_listed_previewed_and_resolved() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    for (key, label) in [("agent:main:a", "Alpha"), ("agent:main:b", "Beta")] {
        let id = ws.send(
            "agent",
            json!({"message":"hi","sessionKey":key,"idempotencyKey":key,"label":label}),
        );
        ws.response(&id);
        ws.response(&id);
    }
    let list = ws
        .call(
            "sessions.list",
            json!({"limit": 1, "includeLastMessage": true}),
        )
        .unwrap();
    assert_eq!(list["count"], 1);
    assert_eq!(list["sessions"][0]["key"], "agent:main:b");
    assert_eq!(
        list["sessions"][0]["lastMessagePreview"],
        "Hello from the fake model."
    );
    let found = ws
        .call("sessions.resolve", json!({"label": "Alpha"}))
        .unwrap();
    assert_eq!(found, json!({"ok": true, "key": "agent:main:a"}));
    for (params, told) in [
        (json!({}), "Either key, sessionId, or label is required"),
        (json!({"key":"x"}), "No session found: x"),
        (json!({"label":"x"}), "No session found with label: x"),
        (
            json!({"key":"x","label":"y"}),
            "Provide either key, sessionId, or label (not multiple)",
        ),
    ] {
        assert_eq!(
            ws.call("sessions.resolve", params).unwrap_err()["message"],
            told
        );
    }
    let previews = ws
        .call(
            "sessions.preview",
            json!({"keys": ["agent:main:a", "agent:main:zz"]}),
        )
        .unwrap();
    let previews = previews["previews"].as_array().unwrap();
    assert_eq!(previews[0]["status"], "ok");
    assert_eq!(previews[0]["items"][0]["role"], "user");
    assert_eq!(previews[1]["status"], "missing");
}

#[test]
fn an_answer_of_a_mebibyte_arrives_whole_in_few_steps() {
    let gateway = Gateway::with_fake_model();
    let piece = "Sixty-three bytes of words, which a model says in one breath. \n";
    let whole = piece.repeat(1024 * 1024 / piece.len());
    gateway.model().say(&vec![piece; 1024 * 1024 / piece.len()]);
    let core = gateway.core_pid();
    let before = proc::status(core, "VmHWM");
    let mut ws = gateway.connect();
    ws.call("chat.send", message("much, please", "long"))
        .unwrap();
    let (mut said, mut told) = (String::new(), 0);
    let last = loop {
        let event = ws.event_any(&["agent", "chat"]);
        let payload = &event["payload"];
        told += event.to_string().len();
        if let Some(delta) = payload["data"]["delta"].as_str() {
            said.push_str(delta);
        }
        if payload["state"] == "final" {
            break payload.clone();
        }
    };
    assert!(said == whole.trim(), "{} bytes", said.len());
    assert!(last["message"]["content"][0]["text"] == whole.trim());
    assert!(told < 40 * whole.len(), "{told} bytes");
    let grown = proc::status(core, "VmHWM") - before;
    assert!(grown < 24 * 1024, "{grown} KiB");
}
