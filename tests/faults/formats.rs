//! The three wire formats through the whole gateway, against a real model: answers stream, are
//! counted, and stop when told to.

use crate::harness::local_model::{FORMATS, Tap};
use crate::harness::{AT_ONCE, Gateway, Setup, free_port, skip};
use crate::openai_api::{json_of, post, switch_on};
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

#[test]
fn a_real_model_is_made_to_call_the_callers_tool_in_every_format() {
    for api in FORMATS {
        let (mut setup, _tap) = match Setup::with_local_model(api, 48) {
            Ok(made) => made,
            Err(why) => {
                let test = "a_real_model_is_made_to_call_the_callers_tool_in_every_format";
                return skip(test, &why);
            }
        };
        switch_on(&mut setup);
        let model = setup.config["agents"]["defaults"]["model"]["primary"].clone();
        let sober = json!({"params": {"temperature": 0}});
        setup.config["agents"]["defaults"]["models"][model.as_str().unwrap()] = sober;
        let gateway = setup.start();
        let order = json!({"type": "object", "required": ["fruit"],
            "properties": {"fruit": {"type": "string", "enum": ["apple", "pear"]}}});
        // Words alone do not move a model of this size; a grammar and an example do.
        let words = r#"Answer with this and nothing else: <tool_call>
            {"name": "buy", "arguments": {"fruit": "apple"}} </tool_call>"#;
        let ask = json!({"model": "openclaw", "input": words, "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "buy",
                "description": "Buys a fruit.", "parameters": order}}]});
        let said = json_of(&post(&gateway, "/v1/responses", &ask));
        let call = &said["output"][0];
        assert_eq!(call["type"], "function_call", "{api}: {said}");
        assert_eq!(call["name"], "buy", "{api}: {said}");
        let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
        let fruit = arguments["fruit"].as_str().unwrap();
        assert!(["apple", "pear"].contains(&fruit), "{api}: {said}");
    }
}

#[test]
fn a_real_model_answers_in_place_of_one_that_is_not_there() {
    let (mut setup, _tap) = match Setup::with_local_model("openai-completions", 16) {
        Ok(made) => made,
        Err(why) => {
            let test = "a_real_model_answers_in_place_of_one_that_is_not_there";
            return skip(test, &why);
        }
    };
    let providers = &mut setup.config["models"]["providers"];
    let mut dead = providers["local"].clone();
    dead["baseUrl"] = json!(format!("http://127.0.0.1:{}/v1", free_port()));
    providers["dead"] = dead;
    let model = &mut setup.config["agents"]["defaults"]["model"];
    let real = model["primary"].as_str().unwrap().to_string();
    let name = real.split('/').nth(1).unwrap();
    *model = json!({"primary": format!("dead/{name}"), "fallbacks": [real]});
    let folder = setup.dir.path().join("state/agents/main/agent");
    std::fs::create_dir_all(&folder).unwrap();
    let hasty = r#"{"retry": {"enabled": false}}"#;
    std::fs::write(folder.join("settings.json"), hasty).unwrap();
    let gateway = setup.start();
    let run = json!({"sessionKey": MAIN, "message": "Hello!", "idempotencyKey": "f"});
    let (_, last) = crate::turn::agent(&mut gateway.connect(), run);
    let result = &last["payload"]["result"];
    assert_eq!(result["meta"]["agentMeta"]["provider"], "local", "{last}");
    let said = result["payloads"][0]["text"].as_str().unwrap();
    assert!(!said.trim().is_empty());
}
