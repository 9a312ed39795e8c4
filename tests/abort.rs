//! Stopping a turn: at once, everywhere, without a trace in what comes after.

use crate::harness::model::{Reply, asked};
use crate::harness::{AT_ONCE, Gateway, Ws};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MAIN: &str = "agent:main:main";

fn start(ws: &mut Ws, id: &str) {
    let params = json!({"sessionKey": MAIN, "message": "go on", "idempotencyKey": id});
    assert_eq!(ws.call("chat.send", params).unwrap()["status"], "started");
}

#[test]
fn a_stop_reaches_the_provider_within_a_tenth_of_a_second() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["word "; 200], 50);
    let mut ws = gateway.connect();
    start(&mut ws, "a1");
    ws.event_where("chat", |p| p["state"] == "delta");
    let then = Instant::now();
    let answer = ws
        .call("chat.abort", json!({"sessionKey": MAIN, "runId": "a1"}))
        .unwrap();
    assert_eq!(
        answer,
        json!({"ok": true, "aborted": true, "runIds": ["a1"]})
    );
    let closed = gateway.model().wait_hung_up();
    let took = closed.saturating_duration_since(then);
    assert!(took < AT_ONCE, "{took:?}");
    let told = ws.event_where("chat", |p| p["state"] == "aborted");
    assert_eq!(told["payload"]["stopReason"], "rpc");
    // Nothing of the run is told afterwards.
    let later: Vec<Value> = ws.events_within(Duration::from_millis(200));
    assert!(
        later.iter().all(|e| e["payload"]["runId"] != "a1"),
        "{later:?}"
    );
    let again = ws.call("chat.abort", json!({"sessionKey": MAIN})).unwrap();
    assert_eq!(again["aborted"], false);
    // The stopped turn is not in the next one's way.
    start(&mut ws, "a2");
    ws.event_where("chat", |p| p["state"] == "final");
    let request = gateway.model().requests().remove(1);
    assert_eq!(request["messages"].as_array().unwrap().len(), 2);
    // The model is told once that there was one, and people are not shown that.
    let said = asked(&request);
    assert!(
        said.starts_with("The run before this message was stopped"),
        "{said}"
    );
    start(&mut ws, "a3");
    ws.event_where("chat", |p| p["state"] == "final");
    let said = asked(&gateway.model().requests()[2]);
    assert!(said.starts_with('['), "{said}");
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    let shown = history["messages"].as_array().unwrap().iter();
    let shown: Vec<&Value> = shown
        .filter(|message| message["role"] == "user")
        .map(|message| &message["content"][0]["text"])
        .collect();
    assert!(shown.iter().all(|text| *text == "go on"), "{shown:?}");
}

#[test]
fn a_stop_word_stops_the_session_and_a_stalled_model() {
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::Hang);
    let mut ws = gateway.connect();
    start(&mut ws, "a1");
    gateway.model().wait_request(1);
    let params = json!({"sessionKey": MAIN, "message": " Stop ", "idempotencyKey": "a2"});
    let answer = ws.call("chat.send", params).unwrap();
    assert_eq!(
        answer,
        json!({"ok": true, "aborted": true, "runIds": ["a1"]})
    );
    gateway.model().wait_hung_up();
    let waited = ws
        .call("agent.wait", json!({"runId": "a1", "timeoutMs": 5000}))
        .unwrap();
    assert_eq!(waited["status"], "error");
}

#[test]
fn a_waiting_run_can_be_stopped_before_it_begins() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["one"], 500);
    let mut ws = gateway.connect();
    start(&mut ws, "a1");
    start(&mut ws, "a2");
    let stop = json!({"sessionKey": MAIN, "runId": "a2"});
    assert_eq!(ws.call("chat.abort", stop).unwrap()["aborted"], true);
    ws.event_where("chat", |p| p["runId"] == "a1" && p["state"] == "final");
    start(&mut ws, "a3");
    ws.event_where("chat", |p| p["runId"] == "a3" && p["state"] == "final");
    // Where the first run is not quite over, the third is told so and has its turn after it.
    gateway.model().wait_request(2);
    assert_eq!(gateway.model().requests().len(), 2);
}

#[test]
fn a_run_of_another_session_is_not_stopped() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["one"], 300);
    let mut ws = gateway.connect();
    start(&mut ws, "a1");
    let params = json!({"sessionKey": "agent:main:other", "runId": "a1"});
    let refused = ws.call("chat.abort", params).unwrap_err();
    assert_eq!(refused["message"], "runId does not match sessionKey");
    ws.event_where("chat", |p| p["state"] == "final");
}

#[test]
fn a_gateway_that_stops_leaves_whole_files() {
    let mut gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["word "; 200], 50);
    let mut ws = gateway.connect();
    start(&mut ws, "a1");
    ws.event_where("chat", |p| p["state"] == "delta");
    let asked = Instant::now();
    gateway.stop();
    assert!(asked.elapsed() < Duration::from_secs(3));
    let stored = crate::turn::transcript(&gateway);
    assert_eq!(stored.len(), 1);
    gateway.start_again();
    let mut ws = gateway.connect();
    start(&mut ws, "a2");
    ws.event_where("chat", |p| p["state"] == "final");
}
