//! Heartbeats: when the agent looks by itself, what it is told, and what people see of it.

use crate::harness::{
    Gateway, Setup,
    model::{Reply, asked},
};
use serde_json::{Value, json};
use std::time::Duration;

const MAIN: &str = "agent:main:main";

fn wake(gateway: &Gateway, text: &str) {
    let params = json!({"mode": "now", "text": text});
    let answer = gateway.connect().call("wake", params);
    assert_eq!(answer, Ok(json!({"ok": true})));
}

#[test]
fn a_wake_brings_the_note_to_the_model_and_an_acknowledgement_is_silent() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say(&["HEARTBEAT_OK"]);
    let mut ws = gateway.connect();
    assert_eq!(ws.call("last-heartbeat", json!({})), Ok(Value::Null));
    wake(&gateway, "the kettle boils");
    let beat = ws.event("heartbeat")["payload"].clone();
    assert_eq!(beat["status"], "ok-token");
    assert_eq!(
        (&beat["reason"], &beat["silent"], &beat["indicatorType"]),
        (&json!("wake"), &json!(true), &json!("ok"))
    );
    assert_eq!(ws.call("last-heartbeat", json!({})), Ok(beat));
    let asked = asked(&gateway.model().wait_request(1));
    assert!(asked.starts_with("System: ["), "{asked}");
    assert!(
        asked.contains("] the kettle boils\n\nRead HEARTBEAT.md"),
        "{asked}"
    );
    // Nobody's chat: only the run was told.
    let events = ws.events_within(Duration::from_millis(300));
    assert!(events.iter().all(|e| e["event"] != "chat"), "{events:?}");
}

#[test]
fn an_alert_reaches_those_who_have_the_session_open_once() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    for (text, why) in [
        ("The door is open.", "no-target"),
        ("The door is open.", "duplicate"),
    ] {
        gateway.model().say(&[text]);
        wake(&gateway, why);
        let beat = ws.event("heartbeat")["payload"].clone();
        assert_eq!(beat["status"], "skipped");
        assert_eq!(
            (&beat["reason"], &beat["preview"]),
            (&json!(why), &json!(text))
        );
    }
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .expect("a history");
    assert!(history.to_string().contains("The door is open."));
    let mut ws = gateway.connect();
    gateway.model().say(&["The window, too."]);
    wake(&gateway, "look");
    let chat = ws.event("chat")["payload"].clone();
    assert_eq!(
        (&chat["state"], &chat["sessionKey"]),
        (&json!("final"), &json!(MAIN))
    );
    assert_eq!(chat["message"]["content"][0]["text"], "The window, too.");
}

#[test]
fn a_note_for_the_next_heartbeat_waits_and_survives_a_kill() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let note = json!({"mode": "next-heartbeat", "text": "remember the milk"});
    ws.call("wake", note).expect("taken");
    let queued = |status: Value| status["queuedSystemEvents"].clone();
    let status = ws.call("status", json!({})).expect("a status");
    assert_eq!(queued(status), json!(["remember the milk"]));
    gateway.kill_core();
    let mut ws = gateway.connect();
    let status = ws.call("status", json!({})).expect("a status");
    assert_eq!(queued(status), json!(["remember the milk"]));
    let say = json!({"sessionKey": MAIN, "message": "hello", "idempotencyKey": "1"});
    ws.call("chat.send", say).expect("sent");
    let asked = asked(&gateway.model().wait_request(1));
    assert!(asked.contains("] remember the milk\n\n["), "{asked}");
    let status = ws.call("status", json!({})).expect("a status");
    assert_eq!(queued(status), json!([]));
}

#[test]
fn an_empty_list_asks_no_model_unless_somebody_wants_the_agent() {
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["defaults"]["heartbeat"] = json!({"every": "0.005"});
    let list = setup.dir.path().join("workspace/HEARTBEAT.md");
    std::fs::write(list, "# Tasks\n- [ ]\n").expect("written");
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let skipped = ws.event("heartbeat")["payload"].clone();
    assert_eq!(
        (&skipped["status"], &skipped["reason"]),
        (&json!("skipped"), &json!("empty-heartbeat-file"))
    );
    assert!(gateway.model().requests().is_empty());
    gateway.model().say(&["HEARTBEAT_OK"]);
    wake(&gateway, "the bell rang");
    ws.event_where("heartbeat", |beat| beat["status"] == "ok-token");
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn heartbeats_can_be_switched_off_and_keep_their_hours() {
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["defaults"]["heartbeat"] = json!({"every": "0.005"});
    setup.config["agents"]["defaults"]["heartbeat"]["activeHours"] =
        json!({"start": "00:00", "end": "24:00"});
    let gateway = setup.start();
    gateway
        .model()
        .otherwise(Reply::Text(vec!["HEARTBEAT_OK".into()], Duration::ZERO));
    let mut ws = gateway.connect();
    let beat = ws.event("heartbeat")["payload"].clone();
    assert_eq!(
        (&beat["status"], &beat["reason"]),
        (&json!("ok-token"), &json!("interval"))
    );
    let error = ws
        .call("set-heartbeats", json!({"enabled": "no"}))
        .expect_err("refused");
    assert_eq!(
        error["message"],
        "invalid set-heartbeats params: enabled (boolean) required"
    );
    let off = ws.call("set-heartbeats", json!({"enabled": false}));
    assert_eq!(off, Ok(json!({"ok": true, "enabled": false})));
    // The one that may be under way ends first.
    ws.events_within(Duration::from_millis(500));
    let asked = gateway.model().requests().len();
    ws.events_within(Duration::from_millis(700));
    assert_eq!(gateway.model().requests().len(), asked);
}

#[test]
fn a_command_left_running_calls_the_agent_when_it_ends() {
    let gateway = Gateway::with_fake_model();
    let exec = json!({"command": "sleep 0.3; echo done-now", "background": true});
    gateway
        .model()
        .reply(Reply::Tools(vec![("exec".into(), exec)]));
    gateway.model().say(&["Started."]);
    gateway.model().say(&["It printed done-now."]);
    let mut ws = gateway.connect();
    let say = json!({"sessionKey": MAIN, "message": "go", "idempotencyKey": "1"});
    ws.call("chat.send", say).expect("sent");
    let beat = ws.event("heartbeat")["payload"].clone();
    assert_eq!(beat["preview"], "It printed done-now.", "{beat}");
    let asked = asked(&gateway.model().wait_request(3));
    assert!(
        asked.contains("Exec completed") && asked.contains("done-now"),
        "{asked}"
    );
    assert!(asked.contains("A command you had left running"), "{asked}");
}

#[test]
fn a_heartbeat_leaves_the_age_of_its_session() {
    let gateway = Gateway::with_fake_model();
    let then = openclaw::base::time::now_ms() - 1000;
    gateway.set_session(MAIN, json!({"updatedAt": then}));
    gateway.model().say(&["HEARTBEAT_OK"]);
    let mut ws = gateway.connect();
    wake(&gateway, "look");
    ws.event("heartbeat");
    let list = ws.call("sessions.list", json!({})).expect("sessions");
    assert_eq!(list["sessions"][0]["updatedAt"], then);
}

#[test]
fn a_model_that_fails_is_told_as_a_failed_heartbeat() {
    let gateway = Gateway::with_fake_model();
    let error = json!({"error": {"message": "no such key"}});
    gateway.model().otherwise(Reply::Error(401, error));
    let mut ws = gateway.connect();
    wake(&gateway, "look");
    let beat = ws.event("heartbeat")["payload"].clone();
    assert_eq!(
        (&beat["status"], &beat["indicatorType"]),
        (&json!("failed"), &json!("error"))
    );
    assert!(
        beat["reason"]
            .as_str()
            .expect("why")
            .contains("no such key"),
        "{beat}"
    );
}
