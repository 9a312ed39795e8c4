//! The core or the tool runner is killed at random moments of turns with tools: every message is in
//! the transcript once, every call has one result, what was not finished is told to the model as
//! interrupted, and whoever waits for a run gets an answer.
//!
//! `OPENCLAW_TEST_KILLS` sets the number of kills for a long run.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Ws, eventually, proc};
use openclaw::base::id;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::time::{Duration, Instant};

const KILLS: usize = 12;
/// Kills before the gateway is started anew: each makes the supervisor wait longer.
const KILLS_A_START: usize = 3;
/// About as long as one turn.
const LONGEST: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(20);

/// A command, then a file, then words.
fn play(request: &Value) -> Reply {
    let messages = request["messages"].as_array().expect("messages");
    let asked = messages.iter().rposition(|m| m["role"] == "user");
    let results = messages[asked.unwrap_or(0)..]
        .iter()
        .filter(|m| m["role"] == "tool")
        .count();
    match results {
        0 => Reply::Tools(vec![
            ("exec".into(), json!({"command": "sleep 0.05; echo ran"})),
            ("exec".into(), json!({"command": "echo again"})),
        ]),
        2 => Reply::Tools(vec![(
            "write".into(),
            json!({"path": "note.txt", "content": "x"}),
        )]),
        _ => Reply::Text(
            vec!["all ".into(), "done".into()],
            Duration::from_millis(10),
        ),
    }
}

fn say(ws: &mut Ws, key: &str, run: &str) {
    let params = json!({"sessionKey": key, "message": format!("Do {run}."), "idempotencyKey": run});
    ws.send("chat.send", params);
}

/// Adds the runs that were acknowledged.
fn hear(frames: Vec<Value>, acknowledged: &mut BTreeSet<String>) {
    for frame in frames {
        if frame["payload"]["status"] == "started" {
            let run = frame["payload"]["runId"].as_str().unwrap();
            acknowledged.insert(run.into());
        }
    }
}

fn wait(ws: &mut Ws, run: &str) -> Value {
    let params = json!({"runId": run, "timeoutMs": 20_000});
    ws.call("agent.wait", params).unwrap()["status"].clone()
}

/// The messages of every transcript, file by file.
fn stored(gateway: &Gateway) -> Vec<Vec<Value>> {
    let sessions = gateway.state().join("agents/main/sessions");
    let mut files = Vec::new();
    let Ok(folder) = fs::read_dir(sessions) else {
        return files;
    };
    for entry in folder.flatten() {
        let path = entry.path();
        // The main session's transcript has a link beside it.
        if path.extension().is_some_and(|e| e == "jsonl") && !path.is_symlink() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.ends_with('\n'), "{} is torn", path.display());
            let lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
            files.push(lines.map(|mut l: Value| l["message"].take()).collect());
        }
    }
    files
}

fn check(gateway: &Gateway, acknowledged: &BTreeSet<String>) -> usize {
    let waiting = super::kill::waiting(gateway);
    let files = stored(gateway);
    let mut interrupted = 0;
    let mut said: HashMap<String, usize> = HashMap::new();
    for messages in &files {
        let mut results: HashMap<&str, usize> = HashMap::new();
        let mut calls = Vec::new();
        for message in messages {
            let text = message["content"][0]["text"].as_str().unwrap_or_default();
            match message["role"].as_str() {
                Some("user") => {
                    let id = text.split("[message_id: ").nth(1).unwrap_or_default();
                    let id = id.trim_end_matches(']').to_string();
                    *said.entry(id).or_default() += 1;
                }
                Some("toolResult") => {
                    let id = message["toolCallId"].as_str().unwrap();
                    *results.entry(id).or_default() += 1;
                    interrupted += usize::from(text.starts_with("Interrupted: "));
                }
                Some("assistant") if message["stopReason"] == "toolUse" => {
                    let blocks = message["content"].as_array().unwrap();
                    calls.extend(blocks.iter().filter_map(|b| b["id"].as_str()));
                }
                _ => {}
            }
        }
        for call in calls {
            assert_eq!(results.get(call), Some(&1), "the call {call}");
        }
    }
    for run in acknowledged {
        let times = said.get(run).copied();
        let waits = times.is_none() && waiting.contains(&format!("[message_id: {run}]"));
        assert!(times == Some(1) || waits, "the message of {run}: {times:?}");
    }
    interrupted
}

#[test]
fn killed_turns_with_tools_lose_nothing_and_are_told_as_interrupted() {
    let kills = std::env::var("OPENCLAW_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    let mut gateway = Gateway::with_fake_model();
    gateway.model().otherwise(Reply::By(play));
    let mut acknowledged = BTreeSet::new();
    let (mut interrupted, mut died, began) = (0, 0, Instant::now());
    for start in 0..kills.div_ceil(KILLS_A_START) {
        let key = format!("agent:main:start-{start}");
        let mut ws = gateway.connect();
        for kill in 0..KILLS_A_START {
            let [moment, which, ..] = id::random::<8>();
            let run = format!("run-{start}-{kill}");
            say(&mut ws, &key, &run);
            let seen = ws.events_within(LONGEST * u32::from(moment) / 255);
            hear(seen, &mut acknowledged);
            let runner = proc::named(gateway.pid(), "openclaw-exec");
            match runner.filter(|_| which % 3 == 0) {
                Some(pid) => proc::signal(pid, "KILL"),
                None => {
                    let core = gateway.core_pid();
                    gateway.kill_core();
                    hear(ws.rest(), &mut acknowledged);
                    eventually("a new core", PATIENCE, || {
                        (proc::core_of(gateway.pid())? != core).then_some(())
                    });
                    ws = gateway.connect();
                }
            }
            if acknowledged.contains(&run) {
                let status = wait(&mut ws, &run);
                assert!(status == "ok" || status == "error", "{run}: {status}");
                died += usize::from(status == "error");
            }
        }
        let last = format!("last-{start}");
        say(&mut ws, &key, &last);
        eventually("the acknowledgement", PATIENCE, || {
            hear(ws.rest_within(Duration::from_millis(20)), &mut acknowledged);
            acknowledged.contains(&last).then_some(())
        });
        assert_eq!(wait(&mut ws, &last), "ok");
        // What was said to a busy session has its turn later.
        eventually("the last word", PATIENCE, || {
            let waits = !super::kill::waiting(&gateway).is_empty();
            let files = stored(&gateway);
            let last = files.iter().filter_map(|messages| messages.last());
            let over = last.into_iter().all(|m| m["stopReason"] == "stop");
            (over && !waits).then_some(())
        });
        interrupted = check(&gateway, &acknowledged);
        assert!(gateway.stop().success());
        gateway.start_again();
    }
    eprintln!(
        "{:?}: {} messages, {died} runs died, {interrupted} calls interrupted",
        began.elapsed(),
        acknowledged.len()
    );
    assert!(acknowledged.len() > kills);
}

#[test]
fn a_call_that_was_under_way_is_told_to_the_model_as_interrupted() {
    let gateway = Gateway::with_fake_model();
    let call = json!({"command": "sleep 30"});
    gateway
        .model()
        .reply(Reply::Tools(vec![("exec".into(), call)]));
    let mut ws = gateway.connect();
    say(&mut ws, "agent:main:main", "first");
    eventually("the command", PATIENCE, || {
        stored(&gateway)
            .iter()
            .flatten()
            .any(|m| m["stopReason"] == "toolUse")
            .then_some(())
    });
    let core = gateway.core_pid();
    gateway.kill_core();
    eventually("a new core", PATIENCE, || {
        (proc::core_of(gateway.pid())? != core).then_some(())
    });
    let mut ws = gateway.connect();
    assert_eq!(wait(&mut ws, "first"), "error");
    // The same request again is the same run.
    let again = ws.send(
        "chat.send",
        json!({"sessionKey": "agent:main:main", "message": "Do first.", "idempotencyKey": "first"}),
    );
    assert_eq!(ws.response(&again)["ok"], false);
    say(&mut ws, "agent:main:main", "second");
    let request = gateway.model().wait_request(2);
    let messages = request["messages"].as_array().unwrap();
    let result = &messages[messages.len() - 2];
    assert_eq!(result["role"], "tool");
    assert!(
        result["content"].to_string().contains("Interrupted: "),
        "{result}"
    );
    wait(&mut ws, "second");
    check(
        &gateway,
        &["first".to_string(), "second".to_string()].into(),
    );
}
