//! What is promised survives: the core is killed at random moments, and nothing that was
//! acknowledged is lost, nothing on disk is torn, and the next turn works.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Ws, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const ROUNDS: usize = 6;

/// Opens a connection as soon as the new core takes one.
fn reconnect(gateway: &Gateway) -> Ws {
    gateway.connect()
}

fn texts(gateway: &Gateway) -> String {
    let sessions = gateway.state().join("agents/main/sessions");
    let mut all = String::new();
    for entry in fs::read_dir(&sessions).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "jsonl") {
            let text = fs::read_to_string(entry.path()).unwrap();
            for line in text.lines() {
                serde_json::from_str::<Value>(line).expect("a whole line");
            }
            all.push_str(&text);
        }
    }
    all
}

#[test]
fn a_killed_core_loses_nothing_it_acknowledged() {
    let gateway = Gateway::with_fake_model();
    let words = ["all ", "is ", "well"].map(String::from).to_vec();
    gateway
        .model()
        .otherwise(Reply::Text(words, Duration::from_millis(15)));
    let mut started = BTreeSet::new();
    let mut finished = BTreeSet::new();
    let mut ws = gateway.connect();
    for round in 0..ROUNDS {
        let ids: Vec<(String, String)> = (0..3)
            .map(|i| {
                let run = format!("kill-{round}-{i}");
                let params = json!({
                    "sessionKey": MAIN, "message": format!("note {run}"), "idempotencyKey": run,
                });
                (ws.send("chat.send", params), run)
            })
            .collect();
        for (id, run) in &ids {
            assert_eq!(ws.response(id)["payload"]["status"], "started");
            started.insert(run.clone());
        }
        // Anywhere between right after the acknowledgement and after the last answer.
        for event in ws.events_within(Duration::from_millis(17 * round as u64)) {
            if event["event"] == "chat" && event["payload"]["state"] == "final" {
                finished.insert(event["payload"]["runId"].as_str().unwrap().to_string());
            }
        }
        let old = gateway.core_pid();
        gateway.kill_core();
        eventually("a new core", Duration::from_secs(20), || {
            let new = std::panic::catch_unwind(|| gateway.core_pid()).ok()?;
            (new != old).then_some(())
        });
        ws = reconnect(&gateway);
        let disk = texts(&gateway);
        for run in &started {
            assert!(
                disk.contains(&format!("note {run}\\n[message_id: {run}]")),
                "{run} is lost"
            );
        }
    }
    let params = json!({"sessionKey": MAIN, "message": "still there?", "idempotencyKey": "end"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == "end" && p["state"] == "final");
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN, "limit": 1000}))
        .unwrap();
    let answers = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["role"] == "assistant")
        .count();
    assert!(answers > finished.len(), "{answers} of {}", finished.len());
}

#[test]
fn a_transcript_that_cannot_be_written_fails_the_run_and_says_so() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let send = |ws: &mut Ws, id: &str| {
        let params = json!({"message": "hi", "sessionKey": MAIN, "idempotencyKey": id});
        let request = ws.send("agent", params);
        let first = ws.response(&request);
        if first["ok"] == true {
            ws.response(&request)
        } else {
            first
        }
    };
    let first = send(&mut ws, "f1");
    let id = &first["payload"]["result"]["meta"]["agentMeta"]["sessionId"];
    let sessions = gateway.state().join("agents/main/sessions");
    let file = sessions.join(format!("{}.jsonl", id.as_str().unwrap()));
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let failed = send(&mut ws, "f2");
    assert_eq!(failed["ok"], false, "{failed}");
    assert_eq!(failed["error"]["code"], "UNAVAILABLE");
    fs::remove_dir(&file).unwrap();
    fs::write(&file, kept).unwrap();
    assert_eq!(send(&mut ws, "f3")["ok"], true);
}
