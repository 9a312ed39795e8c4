//! The three wire formats through the whole gateway, against a real model: answers stream, are
//! counted, and stop when told to.

use crate::harness::local_model::{FORMATS, Tap};
use crate::harness::{AT_ONCE, Gateway, Setup, skip};
use serde_json::{Value, json};
use std::time::Instant;

const MAIN: &str = "agent:main:main";

fn started(api: &str, max_tokens: u64, test: &str) -> Option<(Gateway, Tap)> {
    match Setup::with_local_model(api, max_tokens) {
        Ok((setup, tap)) => Some((setup.start(), tap)),
        Err(why) => {
            skip(test, &why);
            None
        }
    }
}

fn say(id: &str, text: &str) -> Value {
    json!({"sessionKey": MAIN, "message": text, "idempotencyKey": id})
}

#[test]
fn a_real_model_answers_in_pieces_and_is_counted_in_every_format() {
    for api in FORMATS {
        let test = "a_real_model_answers_in_pieces_and_is_counted_in_every_format";
        let Some((gateway, _tap)) = started(api, 24, test) else {
            return;
        };
        let mut ws = gateway.connect();
        ws.call("chat.send", say("one", "Tell me about the sea."))
            .unwrap();
        let mut pieces = 0;
        let last = loop {
            let event = ws.event_any(&["agent", "chat"]);
            let payload = &event["payload"];
            match (payload["stream"].as_str(), payload["state"].as_str()) {
                (Some("assistant"), _) => pieces += 1,
                (_, Some("final")) => break payload.clone(),
                (_, Some("error")) => panic!("{api}: {payload}"),
                _ => {}
            }
        };
        assert!(pieces > 1, "{api}: it came in {pieces} piece");
        let text = last["message"]["content"][0]["text"].as_str().unwrap();
        assert!(!text.trim().is_empty(), "{api}");
        let history = ws
            .call("chat.history", json!({"sessionKey": MAIN}))
            .unwrap();
        let answer = history["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(answer["role"], "assistant", "{api}");
        for field in ["input", "output", "totalTokens"] {
            assert!(
                answer["usage"][field].as_u64() > Some(0),
                "{api}: {field} of {}",
                answer["usage"]
            );
        }
        let list = ws.call("sessions.list", json!({})).unwrap();
        assert!(
            list["sessions"][0]["totalTokens"].as_u64() > Some(0),
            "{api}: {list}"
        );
    }
}

#[test]
fn a_real_model_is_let_go_within_a_tenth_of_a_second_in_every_format() {
    for api in FORMATS {
        let test = "a_real_model_is_let_go_within_a_tenth_of_a_second_in_every_format";
        let Some((gateway, tap)) = started(api, 1024, test) else {
            return;
        };
        let mut ws = gateway.connect();
        ws.call(
            "chat.send",
            say("long", "Write a long story about a ship and its crew."),
        )
        .unwrap();
        ws.event_where("agent", |p| p["stream"] == "assistant");
        let asked = Instant::now();
        let stop = json!({"sessionKey": MAIN, "runId": "long"});
        assert_eq!(ws.call("chat.abort", stop).unwrap()["aborted"], true);
        let took = tap.wait_hung_up(asked);
        assert!(took < AT_ONCE, "{api}: {took:?}");
        ws.event_where("chat", |p| p["state"] == "aborted");
    }
}
