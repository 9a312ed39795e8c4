//! Frames after the handshake: what is malformed, too large, too many, or never read.

use crate::harness::{Gateway, Ws, proc};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tungstenite::Message;

#[test]
fn garbage_is_ignored_and_malformed_requests_are_answered() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    for text in ["", "{", "\u{0}\u{1}", "nul"] {
        ws.send_text(text);
    }
    ws.send_text(r#"{"type":"req","id":"extra","method":"device.pair.list","x":1}"#);
    let answer = ws.response("extra");
    assert_eq!(
        answer["error"],
        json!({"code": "INVALID_REQUEST",
               "message": "invalid request frame: at root: unexpected property 'x'"})
    );
    assert!(answer.get("payload").is_none());
    // A binary message that holds a request is one.
    let frame = r#"{"type":"req","id":"bin","method":"device.pair.list","params":null}"#;
    let bytes = frame.as_bytes().to_vec();
    ws.socket().send(Message::Binary(bytes.into())).unwrap();
    assert_eq!(ws.response("bin")["ok"], true);
}

#[test]
fn a_fragmented_request_is_put_together() {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let parts = [
        (r#"{"type":"req","id":"f","#, Data::Text, false),
        (r#""method":"#, Data::Continue, false),
        (r#""device.pair.list"}"#, Data::Continue, true),
    ];
    for (text, kind, last) in parts {
        let frame = Frame::message(text.as_bytes().to_vec(), OpCode::Data(kind), last);
        ws.socket().send(Message::Frame(frame)).unwrap();
    }
    assert_eq!(ws.response("f")["ok"], true);
}

#[test]
fn a_message_over_the_limit_closes_its_sender_only() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let mut other = gateway.connect();
    let room = 524_288 - r#"{"type":"req","id":"x","method":""}"#.len();
    ws.send_text(&format!(
        r#"{{"type":"req","id":"x","method":"{}"}}"#,
        "m".repeat(room)
    ));
    let answer = ws.response("x");
    assert!(answer["error"]["message"].as_str().unwrap().len() < 300);
    let _ = ws.socket().send(Message::text(" ".repeat(524_289)));
    assert_eq!(ws.closed().code, Some(1009));
    other.call("device.pair.list", json!({})).unwrap();
}

#[test]
fn a_client_that_asks_and_never_reads_holds_up_nobody() {
    let gateway = Gateway::start();
    let mut greedy = gateway.connect();
    let before = proc::memory(gateway.core_pid(), "Pss");
    let frame = r#"{"type":"req","id":"g","method":"no.such.method"}"#;
    greedy
        .socket()
        .get_ref()
        .tcp()
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    // Ends when the gateway stops reading and both kernels' buffers are full.
    let mut sent = 0u64;
    while greedy.socket().send(Message::text(frame)).is_ok() {
        sent += 1;
        assert!(sent < 2_000_000, "the gateway reads without end");
    }
    let started = Instant::now();
    let mut other = gateway.connect();
    other.call("device.pair.list", json!({})).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    let after = proc::memory(gateway.core_pid(), "Pss");
    let grown = after.saturating_sub(before);
    assert!(grown < 8 * 1024, "the core grew by {grown} KiB");
}

#[test]
fn requests_of_one_connection_are_answered_as_they_finish() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let ids: Vec<String> = (0..40)
        .map(|_| ws.send("device.pair.list", json!({})))
        .collect();
    for id in ids {
        assert_eq!(ws.response(&id)["ok"], true, "{id}");
    }
}

#[test]
fn stopping_says_goodbye_to_every_client() {
    let mut gateway = Gateway::start();
    let mut clients: Vec<Ws> = (0..3).map(|_| gateway.connect()).collect();
    gateway.stop();
    for ws in &mut clients {
        let goodbye = ws.event("shutdown");
        assert_eq!(
            goodbye["payload"],
            json!({"reason": "gateway stopping", "restartExpectedMs": Value::Null})
        );
        let closed = ws.closed();
        assert_eq!(closed.code, Some(1012));
        assert_eq!(closed.reason, "service restart");
    }
}
