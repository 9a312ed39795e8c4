//! Conversations that outgrow the model's window: summarised in time, or when the service refuses;
//! what the person says is in every request.

use crate::harness::model::{Reply, asked};
use crate::harness::{Gateway, Setup, Ws, eventually, skip};
use crate::turn::agent;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const MAIN: &str = "agent:main:main";

/// A third of what the fake model's window has beside the reserve.
const LONG: usize = 150_000;

fn say(ws: &mut Ws, text: &str, run: &str) -> Value {
    let params = json!({"message": text, "sessionKey": MAIN, "idempotencyKey": run});
    agent(ws, params).1["payload"]["result"].clone()
}

/// Every line of the main session's transcript.
pub fn lines(gateway: &Gateway) -> Vec<Value> {
    let sessions = gateway.state().join("agents/main/sessions");
    let id = entry(gateway)["sessionId"].as_str().unwrap().to_string();
    let text = fs::read_to_string(sessions.join(format!("{id}.jsonl"))).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("whole lines"))
        .collect()
}

fn entry(gateway: &Gateway) -> Value {
    let path = gateway.state().join("agents/main/sessions/sessions.json");
    let index: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    index[MAIN].clone()
}

fn compactions(gateway: &Gateway) -> Vec<Value> {
    let mut all = lines(gateway);
    all.retain(|line| line["type"] == "compaction");
    all
}

/// The texts of a request's messages, the prompt aside.
fn texts(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().unwrap();
    messages[1..]
        .iter()
        .map(|m| match &m["content"] {
            Value::String(text) => text.clone(),
            blocks => blocks[0]["text"].as_str().unwrap_or_default().to_string(),
        })
        .collect()
}

#[test]
fn a_conversation_that_fills_the_window_is_summarised_and_goes_on() {
    let mut gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let long = |word: &str| format!("{word} {}", "x".repeat(LONG));
    say(&mut ws, &long("one"), "r1");
    say(&mut ws, &long("two"), "r2");
    gateway.model().say(&["## Goal\nthe gist"]);
    gateway.model().say(&["third answer"]);
    let result = say(&mut ws, &long("three"), "r3");
    assert_eq!(result["payloads"][0]["text"], "third answer");

    let requests = gateway.model().requests();
    let summary = &requests[2];
    assert!(
        summary.get("tools").is_none(),
        "the summariser has no tools"
    );
    assert_eq!(summary["max_completion_tokens"], 16_000);
    let question = asked(summary);
    assert!(question.starts_with("<conversation>\n[User]: [") && question.contains("] one xxx"));
    assert!(question.contains("[Assistant]: Hello from the fake model."));
    assert!(
        question.len() < 40_000,
        "long texts are cut: {}",
        question.len()
    );
    let sent = texts(&requests[3]);
    assert_eq!(sent.len(), 2);
    assert!(sent[0].contains("<summary>\n## Goal\nthe gist\n</summary>"));
    assert!(sent[1].contains("] three xxx"));

    let recorded = compactions(&gateway);
    assert_eq!(recorded.len(), 1);
    let compaction = &recorded[0];
    let keys: Vec<&String> = compaction.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "type",
            "id",
            "parentId",
            "timestamp",
            "summary",
            "firstKeptEntryId",
            "tokensBefore",
            "details",
            "fromHook"
        ]
    );
    assert!(compaction["tokensBefore"].as_u64().unwrap() > 30_000);
    let kept = lines(&gateway)
        .into_iter()
        .find(|l| l["id"] == compaction["firstKeptEntryId"])
        .expect("the first kept entry");
    assert_eq!(kept["message"]["role"], "user");
    let told: Vec<Value> = ws
        .events_within(Duration::from_millis(50))
        .into_iter()
        .filter(|e| e["payload"]["stream"] == "compaction")
        .map(|e| e["payload"]["data"].clone())
        .collect();
    assert_eq!(
        told,
        [
            json!({"phase": "start"}),
            json!({"phase": "end", "willRetry": false})
        ]
    );
    eventually("the count", Duration::from_secs(5), || {
        (entry(&gateway)["compactionCount"] == 1).then_some(())
    });

    // Read anew from the disk the conversation is the same.
    assert!(gateway.stop().success());
    gateway.start_again();
    let mut ws = gateway.connect();
    say(&mut ws, "four", "r4");
    let sent = texts(&gateway.model().requests()[4]);
    assert_eq!(sent.len(), 4);
    assert!(sent[0].contains("the gist") && sent[1].contains("] three xxx"));
    assert!(sent[3].ends_with("] four"));
}

#[test]
fn an_overflow_is_answered_after_a_summary_with_the_question_in_it() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    say(&mut ws, "one", "r1");
    say(&mut ws, "two", "r2");
    let refusal = json!({"error": {"code": "context_length_exceeded",
        "message": "This model's maximum context length is 128000 tokens."}});
    gateway.model().reply(Reply::Error(400, refusal.clone()));
    gateway.model().say(&["the gist"]);
    gateway.model().say(&["made it"]);
    let result = say(&mut ws, "three", "r3");
    assert_eq!(result["payloads"][0]["text"], "made it");
    let requests = gateway.model().requests();
    assert_eq!(requests.len(), 5);
    let sent = texts(&requests[4]);
    assert!(sent[0].contains("the gist"));
    assert!(sent.last().unwrap().ends_with("] three"), "{sent:?}");
    assert_eq!(compactions(&gateway).len(), 1);

    // Refused for ever: a bounded number of calls, and an answer that says why.
    gateway.model().forget();
    gateway.model().otherwise(Reply::Error(400, refusal));
    let result = say(&mut ws, "four", "r4");
    assert_eq!(result["meta"]["error"]["kind"], "context_overflow");
    let text = result["payloads"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Context overflow: prompt too large"),
        "{text}"
    );
    assert!(gateway.model().requests().len() <= 4);
}

/// Has the index say that the session nearly fills its window, and has not written its notes.
fn nearly_full(gateway: &Gateway) {
    // The index is written a moment behind.
    eventually("the last turn in the index", Duration::from_secs(5), || {
        entry(gateway)["inputTokens"].is_u64().then_some(())
    });
    let near = json!({"totalTokens": 110_000, "memoryFlushCompactionCount": null});
    gateway.set_session(MAIN, near);
}

#[test]
fn notes_are_written_before_a_summary_and_the_message_outlives_that() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    say(&mut ws, "one", "r1");
    nearly_full(&gateway);
    let model = gateway.model().clone();
    let note = json!({"path": "memory/today.md", "content": "likes tea"});
    model.reply(Reply::Tools(vec![("write".into(), note)]));
    model.say(&["NO_REPLY"]);
    model.say(&["second answer"]);
    let result = say(&mut ws, "two", "r2");
    assert_eq!(result["payloads"].as_array().unwrap().len(), 1);
    assert_eq!(result["payloads"][0]["text"], "second answer");
    let requests = model.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        asked(&requests[1]).contains("to memory/20"),
        "{}",
        asked(&requests[1])
    );
    assert!(asked(&requests[3]).ends_with("] two"));
    let system = |at: usize| {
        requests[at]["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_string()
    };
    // What it is told stands at the end: all before it is the next turn's prompt.
    assert!(system(1).starts_with(&system(3)) && system(1).len() > system(3).len());
    let notes = gateway.dir().join("workspace/memory/today.md");
    assert_eq!(fs::read_to_string(notes).unwrap(), "likes tea");
    eventually("the mark", Duration::from_secs(5), || {
        (entry(&gateway)["memoryFlushCompactionCount"] == 0).then_some(())
    });

    nearly_full(&gateway);
    model.forget();
    model.reply(Reply::Hang);
    ws.send(
        "agent",
        json!({"message": "three", "sessionKey": MAIN, "idempotencyKey": "r3"}),
    );
    model.wait_request(1);
    // Accepted while the notes are written.
    eventually("three accepted", Duration::from_secs(5), || {
        let frames = ws.rest_within(Duration::from_millis(20));
        let accepted = |f: &Value| f["payload"]["status"] == "accepted";
        frames.iter().any(accepted).then_some(())
    });
    gateway.kill_core();
    gateway.connect();
    let stored = lines(&gateway);
    let last = stored.last().unwrap()["message"].to_string();
    assert!(last.contains("] three"), "{last}");
}

#[test]
fn the_local_model_goes_on_after_a_summary_of_its_own() {
    let name = "the_local_model_goes_on_after_a_summary_of_its_own";
    let (mut setup, _tap) = match Setup::with_local_model("openai-completions", 24) {
        Ok(with) => with,
        Err(why) => return skip(name, &why),
    };
    let provider = setup.config["models"]["providers"]
        .as_object_mut()
        .and_then(|all| all.values_mut().next())
        .unwrap();
    provider["models"][0]["contextWindow"] = 900.into();
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let ask = |ws: &mut Ws, text: &str, run: &str| {
        let params = json!({"message": text, "sessionKey": MAIN, "idempotencyKey": run});
        ws.send("agent", params);
        // A summary and an answer of a real model on a busy machine.
        eventually("an answer", Duration::from_secs(300), || {
            let frames = ws.rest_within(Duration::from_millis(100));
            let done = |f: &Value| f["payload"]["status"] == "ok" && f["payload"]["runId"] == run;
            let frame = frames.into_iter().find(done)?;
            Some(frame["payload"]["result"].clone())
        })
    };
    let mut turns = 0;
    while compactions_of(&gateway).is_empty() {
        assert!(turns < 12, "the window was never full");
        turns += 1;
        let text = format!("Fact {turns}: my dog is called Rex. Say ok.");
        let result = ask(&mut ws, &text, &format!("r{turns}"));
        assert!(result["payloads"][0]["text"].is_string(), "{result}");
        // The summary is made after the answer.
        std::thread::sleep(Duration::from_millis(100));
    }
    let summary = compactions(&gateway)[0]["summary"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(!summary.trim().is_empty());
    let result = ask(&mut ws, "What is my dog called?", "last");
    assert!(result["payloads"][0]["text"].is_string(), "{result}");
}

fn compactions_of(gateway: &Gateway) -> Vec<Value> {
    match gateway
        .state()
        .join("agents/main/sessions/sessions.json")
        .exists()
    {
        true => compactions(gateway),
        false => Vec::new(),
    }
}
