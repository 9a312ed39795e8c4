//! Messages that arrive while their session is busy: none is lost, none overtakes another.

use crate::harness::model::{Reply, asked};
use crate::harness::{Gateway, Setup, Ws};
use serde_json::{Value, json};
use std::time::Duration;

const MAIN: &str = "agent:main:main";

fn gateway(queue: Value) -> Gateway {
    let mut setup = Setup::with_fake_model();
    setup.config["messages"] = json!({ "queue": queue });
    setup.start()
}

fn say(ws: &mut Ws, id: &str, message: &str) {
    let params = json!({"sessionKey": MAIN, "message": message, "idempotencyKey": id});
    assert_eq!(ws.call("chat.send", params).unwrap()["status"], "started");
}

/// The final event of one run.
fn ended(ws: &mut Ws, id: &str) -> Value {
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final")["payload"].clone()
}

/// The final event of a run that nobody asked for by name.
fn answered(ws: &mut Ws) -> Value {
    let own = |p: &Value| p["runId"].as_str().is_some_and(|id| id.len() == 36);
    ws.event_where("chat", |p| own(p) && p["state"] == "final")["payload"].clone()
}

#[test]
fn what_is_said_to_a_busy_session_is_answered_afterwards_in_order() {
    let gateway = gateway(json!({"debounceMs": 50}));
    gateway.model().say_slowly(&["one"], 500);
    let mut ws = gateway.connect();
    say(&mut ws, "q1", "first");
    gateway.model().wait_request(1);
    for (id, text) in [("q2", "second"), ("q3", "third")] {
        say(&mut ws, id, text);
        // Its own run is over at once; what it becomes has a name of its own.
        assert!(ended(&mut ws, id).get("message").is_none());
    }
    assert!(ended(&mut ws, "q1").get("message").is_some());
    for _ in 0..2 {
        assert_eq!(answered(&mut ws)["sessionKey"], MAIN);
    }
    let words: Vec<String> = gateway.model().requests().iter().map(asked).collect();
    assert_eq!(words.len(), 3);
    for (said, word) in words.iter().zip(["] first\n", "] second\n", "] third\n"]) {
        assert!(said.contains(word), "{said}");
    }
    assert!(words[1].ends_with("[message_id: q2]"), "{}", words[1]);
    let again = json!({"sessionKey": MAIN, "message": "second", "idempotencyKey": "q2"});
    assert_eq!(ws.call("chat.send", again).unwrap()["status"], "ok");
}

#[test]
fn a_steering_message_reaches_the_turn_between_its_tools() {
    let gateway = gateway(json!({"mode": "steer", "debounceMs": 50}));
    let sleep = |text: &str| ("exec".to_string(), json!({"command": text}));
    gateway.model().reply(Reply::Tools(vec![
        sleep("sleep 1; echo done"),
        sleep("echo never"),
    ]));
    let mut ws = gateway.connect();
    say(&mut ws, "s1", "work");
    gateway.model().wait_request(1);
    ws.event_where("agent", |p| p["data"]["phase"] == "start");
    say(&mut ws, "s2", "change of plan");
    assert!(ended(&mut ws, "s2").get("message").is_none());
    ended(&mut ws, "s1");
    let request = gateway.model().wait_request(2);
    let messages = request["messages"].as_array().unwrap();
    let tail: Vec<String> = messages[messages.len() - 3..]
        .iter()
        .map(|m| format!("{} {}", m["role"].as_str().unwrap(), m["content"]))
        .collect();
    assert!(
        tail[0].contains("tool") && tail[0].contains("done"),
        "{tail:?}"
    );
    assert!(
        tail[1].contains("Skipped due to queued user message."),
        "{tail:?}"
    );
    assert!(
        tail[2].starts_with("user") && tail[2].contains("change of plan"),
        "{tail:?}"
    );
    assert!(tail[2].contains("[message_id: s2]"), "{tail:?}");
    // It is answered there and nowhere else.
    ws.events_within(Duration::from_millis(200));
    assert_eq!(gateway.model().requests().len(), 2);
}

#[test]
fn an_interrupting_message_stops_the_turn_and_runs() {
    let gateway = gateway(json!({"mode": "interrupt"}));
    gateway.model().reply(Reply::Hang);
    let mut ws = gateway.connect();
    say(&mut ws, "i1", "first");
    gateway.model().wait_request(1);
    say(&mut ws, "i2", "rather this");
    ws.event_where("chat", |p| p["runId"] == "i1" && p["state"] == "aborted");
    assert!(ended(&mut ws, "i2").get("message").is_some());
}

#[test]
fn a_waiting_message_can_be_taken_back_and_a_stop_word_clears_all() {
    let gateway = gateway(json!({"debounceMs": 50}));
    gateway.model().say_slowly(&["one"], 400);
    let mut ws = gateway.connect();
    say(&mut ws, "t1", "first");
    gateway.model().wait_request(1);
    say(&mut ws, "t2", "second");
    let stop = json!({"sessionKey": MAIN, "runId": "t2"});
    assert_eq!(
        ws.call("chat.abort", stop.clone()).unwrap()["aborted"],
        true
    );
    assert_eq!(ws.call("chat.abort", stop).unwrap()["aborted"], false);
    say(&mut ws, "t3", "third");
    let word = json!({"sessionKey": MAIN, "message": "stop", "idempotencyKey": "t4"});
    assert_eq!(ws.call("chat.send", word).unwrap()["runIds"], json!(["t1"]));
    ws.events_within(Duration::from_millis(300));
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn a_queue_that_takes_no_more_says_so() {
    let gateway = gateway(json!({"cap": 1, "drop": "new", "debounceMs": 50}));
    gateway.model().say_slowly(&["one"], 400);
    let mut ws = gateway.connect();
    say(&mut ws, "f1", "first");
    gateway.model().wait_request(1);
    say(&mut ws, "f2", "second");
    let third = json!({"sessionKey": MAIN, "message": "third", "idempotencyKey": "f3"});
    let refused = ws.call("chat.send", third).unwrap_err();
    let text = refused["message"].as_str().unwrap();
    assert!(text.starts_with("1 messages wait"), "{text}");
}

#[test]
fn a_killed_core_answers_what_waited_when_it_is_back() {
    let gateway = gateway(json!({"debounceMs": 50}));
    gateway.model().reply(Reply::Hang);
    let mut ws = gateway.connect();
    say(&mut ws, "k1", "first");
    gateway.model().wait_request(1);
    for (id, text) in [("k2", "second"), ("k3", "third")] {
        say(&mut ws, id, text);
    }
    gateway.kill_core();
    for (n, word) in [(2, "] second\n"), (3, "] third\n")] {
        let said = asked(&gateway.model().wait_request(n));
        assert!(said.contains(word), "{said}");
    }
    let mut ws = gateway.connect();
    let mut said = Vec::new();
    for _ in 0..100 {
        let history = ws
            .call("chat.history", json!({"sessionKey": MAIN}))
            .unwrap();
        said = history["messages"].as_array().unwrap().clone();
        if said.last().is_some_and(|m| m["role"] == "assistant") && said.len() >= 5 {
            break;
        }
        ws.events_within(Duration::from_millis(20));
    }
    let count = |word: &str| {
        let has = |m: &&Value| m["role"] == "user" && m["content"].to_string().contains(word);
        said.iter().filter(has).count()
    };
    assert_eq!((count("second"), count("third")), (1, 1), "{said:?}");
}
