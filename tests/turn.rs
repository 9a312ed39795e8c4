//! Turns through real programs: what a client sees, what the model is asked, what is on disk.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const MAIN: &str = "agent:main:main";

/// Runs `agent` to its second answer.
pub fn agent(ws: &mut Ws, params: Value) -> (Value, Value) {
    let id = ws.send("agent", params);
    let first = ws.response(&id);
    if first["ok"] != true {
        return (first, Value::Null);
    }
    let last = ws.response(&id);
    (first, last)
}

fn say(message: &str, key: &str) -> Value {
    json!({"message": message, "sessionKey": MAIN, "idempotencyKey": key})
}

/// The messages of the main session's transcript.
pub fn transcript(gateway: &Gateway) -> Vec<Value> {
    let sessions = gateway.state().join("agents/main/sessions");
    let index = fs::read_to_string(sessions.join("sessions.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let id = index[MAIN]["sessionId"].as_str().unwrap();
    let text = fs::read_to_string(sessions.join(format!("{id}.jsonl"))).unwrap();
    assert!(text.ends_with('\n'), "a torn last line");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("whole lines"))
        .filter_map(|line| line.get("message").cloned())
        .collect()
}

fn roles(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect()
}

#[test]
fn a_text_turn_is_accepted_answered_and_stored() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let (first, last) = agent(&mut ws, say("Say hello", "run-1"));
    assert_eq!(first["payload"]["status"], "accepted");
    assert_eq!(first["payload"]["runId"], "run-1");
    let payload = &last["payload"];
    assert_eq!(payload["status"], "ok", "{last}");
    assert_eq!(payload["summary"], "completed");
    assert_eq!(
        payload["result"]["payloads"],
        json!([{"text": "Hello from the fake model.", "mediaUrl": null}])
    );
    let meta = &payload["result"]["meta"];
    assert_eq!(meta["agentMeta"]["provider"], "fake");
    assert_eq!(meta["aborted"], false);
    assert_eq!(meta["systemPromptReport"]["source"], "run");

    let request = gateway.model().requests().remove(0);
    let asked = request["messages"].as_array().unwrap().clone();
    assert!(["system", "developer"].contains(&asked[0]["role"].as_str().unwrap()));
    let told = asked[1].to_string();
    assert!(told.contains("] Say hello"), "{told}");
    assert!(request["tools"].as_array().is_some_and(|t| !t.is_empty()));

    let stored = transcript(&gateway);
    assert_eq!(roles(&stored), ["user", "assistant"]);
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    assert_eq!(history["messages"][0]["content"][0]["text"], "Say hello");
    assert_eq!(history["thinkingLevel"], "off");
    let list = ws.call("sessions.list", json!({})).unwrap();
    assert_eq!(list["sessions"][0]["key"], MAIN);
    assert_eq!(list["sessions"][0]["model"], "fake-1");
    assert_eq!(list["defaults"]["modelProvider"], "fake");
}

#[test]
fn events_come_in_the_shapes_and_order_of_the_recordings() {
    let gateway = Gateway::with_fake_model();
    gateway
        .model()
        .say_slowly(&["Hello", " from", " here."], 100);
    let mut ws = gateway.connect();
    let id = ws.send("agent", say("Say hello", "run-1"));
    assert_eq!(ws.response(&id)["payload"]["status"], "accepted");
    ws.response(&id);
    let events: Vec<Value> = ws
        .events_within(Duration::from_millis(50))
        .into_iter()
        .filter(|e| e["event"] == "agent" || e["event"] == "chat")
        .collect();
    let short: Vec<String> = events
        .iter()
        .map(|e| {
            let p = &e["payload"];
            let what = [&p["data"]["phase"], &p["data"]["text"], &p["state"]]
                .into_iter()
                .find_map(Value::as_str)
                .unwrap_or_default();
            format!("{} {} {what}", e["event"].as_str().unwrap(), p["seq"])
        })
        .collect();
    assert_eq!(
        short,
        [
            "agent 1 start",
            "agent 2 Hello",
            "chat 2 delta",
            "agent 3 Hello from",
            "agent 4 Hello from here.",
            "chat 4 delta",
            "agent 5 end",
            "chat 5 final",
        ]
    );
    let last = &events[7]["payload"];
    assert_eq!(last["sessionKey"], MAIN);
    assert_eq!(last["message"]["content"][0]["text"], "Hello from here.");
    let numbers: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
}

#[test]
fn a_second_turn_sees_the_first_and_a_lost_question_is_not_sent() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    agent(&mut ws, say("one", "r1"));
    agent(&mut ws, say("two", "r2"));
    let request = gateway.model().requests().remove(1);
    let asked = request["messages"].as_array().unwrap();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[2]["role"], "assistant");
}

#[test]
fn tools_run_and_their_results_go_back() {
    let setup = Setup::with_fake_model();
    let gateway = setup.start();
    fs::write(gateway.workspace().join("note.txt"), "remember the milk").unwrap();
    gateway.model().reply(Reply::Tools(vec![(
        "read".into(),
        json!({"path": "note.txt"}),
    )]));
    gateway
        .model()
        .reply(Reply::Tools(vec![("nothing".into(), json!({}))]));
    gateway.model().say(&["All done."]);
    let mut ws = gateway.connect();
    let (_, last) = agent(&mut ws, say("read it", "r1"));
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"],
        "All done."
    );
    let second = gateway.model().requests().remove(1);
    assert!(second.to_string().contains("remember the milk"));
    let third = gateway.model().requests().remove(2);
    assert!(third.to_string().contains("Tool nothing not found"));
    assert_eq!(
        roles(&transcript(&gateway)),
        [
            "user",
            "assistant",
            "toolResult",
            "assistant",
            "toolResult",
            "assistant"
        ]
    );
}

#[test]
fn a_models_refusal_is_the_answer() {
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::Error(
        401,
        json!({"error": {"message": "Incorrect API key provided"}}),
    ));
    let mut ws = gateway.connect();
    let (_, last) = agent(&mut ws, say("hi", "r1"));
    assert_eq!(last["ok"], true);
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"],
        "401 Incorrect API key provided"
    );
    let told = ws.event_where("chat", |p| p["runId"] == "r1");
    assert_eq!(told["payload"]["state"], "final");
    assert!(told["payload"].get("message").is_none());
    // The next turn works, and the failed one is not in its way.
    let (_, last) = agent(&mut ws, say("again", "r2"));
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"],
        "Hello from the fake model."
    );
}

#[test]
fn a_run_past_its_time_is_stopped() {
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::Hang);
    let mut ws = gateway.connect();
    let mut params = say("hi", "r1");
    params["timeout"] = json!(1);
    let (_, last) = agent(&mut ws, params);
    gateway.model().wait_hung_up();
    assert_eq!(last["payload"]["status"], "ok", "{last}");
    assert_eq!(last["payload"]["result"]["meta"]["aborted"], true);
    let text = last["payload"]["result"]["payloads"][0]["text"].as_str();
    assert!(text.unwrap().contains("time limit"));
}

#[test]
fn a_repeated_request_runs_once() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["slow"], 300);
    let mut ws = gateway.connect();
    let mut other = gateway.connect();
    let id = ws.send("agent", say("hi", "same"));
    let first = ws.response(&id);
    let again = other.call("agent", say("hi", "same")).unwrap();
    assert_eq!(again, first["payload"]);
    let last = ws.response(&id);
    let after = other.call("agent", say("hi", "same")).unwrap();
    assert_eq!(
        after["result"]["payloads"],
        last["payload"]["result"]["payloads"]
    );
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn refusals_come_before_acceptance_and_a_missing_session_after() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    for (params, told) in [
        (
            json!({"message":"x","idempotencyKey":"1","agentId":"nobody"}),
            "invalid agent params: unknown agent id \"nobody\"",
        ),
        (
            json!({"message":"x","idempotencyKey":"2","sessionKey":MAIN,"channel":"pigeon"}),
            "invalid agent params: unknown channel: pigeon",
        ),
        (
            json!({"message":"x","idempotencyKey":"3","agentId":"main","sessionKey":"agent:ops:main"}),
            "invalid agent params: agent \"main\" does not match session key agent \"ops\"",
        ),
    ] {
        assert_eq!(ws.call("agent", params).unwrap_err()["message"], told);
    }
    let (first, last) = agent(&mut ws, json!({"message":"x","idempotencyKey":"4"}));
    assert_eq!(first["payload"]["status"], "accepted");
    assert_eq!(last["ok"], false);
    assert_eq!(last["payload"]["status"], "error");
    assert_eq!(
        last["error"]["message"],
        "Error: Pass --to <E.164>, --session-id, or --agent to choose a session"
    );
}

#[test]
fn four_sessions_run_at_once_and_one_session_in_turn() {
    let gateway = Gateway::with_fake_model();
    for _ in 0..6 {
        gateway.model().say_slowly(&["a", "b"], 400);
    }
    let mut ws = gateway.connect();
    let started = std::time::Instant::now();
    let ids: Vec<String> = (0..4)
        .map(|i| {
            let key = format!("agent:main:s{i}");
            let run = format!("p{i}");
            ws.send(
                "agent",
                json!({"message":"x","sessionKey":key,"idempotencyKey":run}),
            )
        })
        .collect();
    for id in &ids {
        ws.response(id);
        assert_eq!(ws.response(id)["payload"]["status"], "ok");
    }
    // One after the other they would take 3.2 s.
    assert!(started.elapsed() < Duration::from_millis(2500));
    let started = std::time::Instant::now();
    let ids: Vec<String> = (0..2)
        .map(|i| ws.send("agent", say("x", &format!("q{i}"))))
        .collect();
    for id in &ids {
        assert_eq!(ws.response(id)["payload"]["status"], "accepted");
    }
    for id in &ids {
        assert_eq!(ws.response(id)["payload"]["status"], "ok");
    }
    assert!(started.elapsed() >= Duration::from_millis(1500));
    assert_eq!(
        roles(&transcript(&gateway)),
        ["user", "assistant", "user", "assistant"]
    );
}

#[test]
fn waiting_for_a_run_ends_with_it() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say_slowly(&["slow"], 300);
    let mut ws = gateway.connect();
    let mut other = gateway.connect();
    let id = ws.send("agent", say("hi", "w1"));
    ws.response(&id);
    let wait = |ws: &mut Ws, ms: u64| {
        ws.call("agent.wait", json!({"runId":"w1","timeoutMs":ms}))
            .unwrap()
    };
    assert_eq!(wait(&mut other, 0)["status"], "timeout");
    let waited = wait(&mut other, 20_000);
    assert_eq!(waited["status"], "ok");
    assert!(waited["endedAt"].as_u64() > waited["startedAt"].as_u64());
    assert_eq!(wait(&mut other, 0), waited);
}

#[test]
fn commands_run_in_the_tool_runner_and_are_shown_to_who_asked() {
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "echo hello-from-exec"}),
    )]));
    gateway.model().say(&["All done."]);
    let mut plain = gateway.connect();
    let mut ws = Ws::open(gateway.port());
    let mut hello = ws.params(gateway.token());
    hello["caps"] = json!(["tool-events"]);
    ws.hello(&hello).unwrap();
    gateway.edit_config(|config| config["agents"]["defaults"]["verboseDefault"] = json!("full"));
    gateway.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let (_, last) = agent(&mut ws, say("run it", "r1"));
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"], "All done.",
        "{last}"
    );
    let second = gateway.model().requests().remove(1).to_string();
    assert!(second.contains("hello-from-exec"), "{second}");
    let done = ws.event_where("agent", |p| p["data"]["phase"] == "result");
    let data = &done["payload"]["data"];
    assert_eq!(data["meta"], "echo hello-from-exec");
    assert_eq!(data["isError"], false);
    assert_eq!(data["result"]["content"][0]["text"], "hello-from-exec");
    assert_eq!(data["result"]["details"]["status"], "completed");
    let seen = plain.events_within(Duration::from_millis(50));
    assert!(seen.iter().all(|e| e["payload"]["stream"] != "tool"));
    assert!(seen.iter().any(|e| e["payload"]["state"] == "final"));
}

#[test]
fn a_stop_ends_the_command_that_runs() {
    let gateway = Gateway::with_fake_model();
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "echo $$ > pid; sleep 300"}),
    )]));
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": MAIN, "message": "run", "idempotencyKey": "s1"});
    ws.call("chat.send", params).unwrap();
    let file = gateway.workspace().join("pid");
    let pid: u32 = crate::harness::eventually("the command", Duration::from_secs(10), || {
        fs::read_to_string(&file).ok()?.trim().parse().ok()
    });
    let stop = json!({"sessionKey": MAIN});
    assert_eq!(ws.call("chat.abort", stop).unwrap()["aborted"], true);
    crate::harness::eventually("the command's end", Duration::from_secs(5), || {
        (!crate::harness::proc::is_alive(pid)).then_some(())
    });
    let params = json!({"sessionKey": MAIN, "message": "next", "idempotencyKey": "s2"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == "s2" && p["state"] == "final");
}
