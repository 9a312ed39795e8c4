//! Runs that are not alone: words for a turn that already runs, and a sub-agent that reports.

use super::{
    MAIN, Sent, ask, asked, compare, model, recording, roles, serve, serve_choosing, setup,
};
use crate::harness::{eventually, skip};
use crate::turn::transcript;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn recorded_words_for_a_running_turn_follow_its_tools_result() {
    let name = "openai-completions-steer";
    let Some(exchanges) = recording(name) else {
        return skip(name, "no recordings here");
    };
    // Recorded is a command that takes its time.
    let quick = Value::Array(exchanges).to_string();
    let quick = quick.replace("sleep 8; ", "sleep 1; ");
    let exchanges: Vec<Value> = serde_json::from_str(&quick).expect("JSON");
    let (port, seen) = serve(exchanges.clone());
    let mut setup = setup(name, &model(&exchanges[0]), port);
    setup.config["messages"] = json!({"queue": {"mode": "steer", "debounceMs": 50}});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    // There the mode was set by a command, whose answer is part of the conversation.
    let reset = ws.call("sessions.reset", json!({"key": MAIN}));
    let id = reset.expect("a session")["entry"]["sessionId"].clone();
    let id = id.as_str().expect("an id");
    let folder = gateway.state().join("agents/main/sessions");
    let head = json!({"type": "session", "version": 3, "id": id,
        "timestamp": "2026-11-21T05:07:00.000Z", "cwd": "/"});
    let file = folder.join(format!("{id}.jsonl"));
    std::fs::write(file, format!("{head}\n")).expect("a transcript");
    let told = exchanges[0]["body"]["messages"][1]["content"][0]["text"].clone();
    let inject = json!({"sessionKey": MAIN, "message": told});
    ws.call("chat.inject", inject).expect("kept");
    let mut say = |id: &str, exchange: &Value| {
        let (text, _) = asked(&exchange["body"]);
        let params = json!({"sessionKey": MAIN, "message": text, "idempotencyKey": id});
        ws.call("chat.send", params).expect("started");
        if id == "x-steer" {
            ws.event_where("agent", |p| p["data"]["phase"] == "start");
        }
    };
    say("x-steer", &exchanges[0]);
    say("x-steer2", &exchanges[1]);
    ws.event_where("chat", |p| p["runId"] == "x-steer" && p["state"] == "final");
    compare(name, &seen, &exchanges);
    let expected = [
        "assistant",
        "user",
        "assistant",
        "toolResult",
        "user",
        "assistant",
    ];
    assert_eq!(roles(&transcript(&gateway)), expected);
}

#[test]
fn a_recorded_sub_agent_is_asked_and_told_of_as_in_the_original() {
    let name = "openai-completions-subagent";
    let Some(exchanges) = recording(name) else {
        return skip(name, "no recordings here");
    };
    // The child and its requester are answered at the same time.
    let (port, seen) = serve_choosing(exchanges.clone(), |recorded, body| {
        count(recorded) == count(body) && task(recorded) == task(body)
    });
    let gateway = setup(name, &model(&exchanges[0]), port).start();
    ask(&gateway, &exchanges[0]["body"]);
    let patience = Duration::from_secs(20);
    eventually("the announcement's answer", patience, || {
        let stored = transcript(&gateway);
        (stored.len() == 6 && stored[5]["role"] == "assistant").then_some(())
    });
    put_in_order(&seen, &exchanges);
    let mut exchanges = exchanges;
    for (ours, theirs) in seen
        .lock()
        .expect("no panic")
        .iter_mut()
        .zip(&mut exchanges)
    {
        without_names(&mut ours.body);
        without_names(&mut theirs["body"]);
    }
    compare(name, &seen, &exchanges);
}

fn count(body: &Value) -> Option<usize> {
    Some(body["messages"].as_array()?.len())
}

/// Whether it is the child's.
fn task(body: &Value) -> bool {
    let said = body["messages"][1]["content"][0]["text"].as_str();
    said.is_some_and(|said| said.contains("case=subtext"))
}

fn put_in_order(seen: &Sent, exchanges: &[Value]) {
    let place = |body: &Value| {
        let same = |e: &Value| (count(&e["body"]), task(&e["body"])) == (count(body), task(body));
        exchanges.iter().position(same)
    };
    let mut seen = seen.lock().expect("no panic");
    seen.sort_by_key(|request| place(&request.body));
}

/// Ids, the folder, and what we word ourselves.
fn without_names(value: &mut Value) {
    match value {
        Value::String(text) => {
            *text = text
                .split_inclusive([' ', ':', '"', '/', '.'])
                .map(unnamed)
                .collect();
            if let Some((stats, rest)) = text.clone().split_once("transcript ") {
                let file = rest.lines().next().unwrap_or_default();
                let file = file.rsplit('/').next().unwrap_or_default();
                let paragraphs = rest.matches("\n\n").count();
                *text = format!("{stats}transcript {file} and {paragraphs} paragraph");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(without_names),
        Value::Object(map) => map.values_mut().for_each(without_names),
        _ => {}
    }
}

fn unnamed(word: &str) -> &str {
    let id = word.get(..36).unwrap_or_default();
    let dashes = id.chars().filter(|c| *c == '-').count();
    match id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) && dashes == 4 {
        true => &word[36..],
        false => word,
    }
}
