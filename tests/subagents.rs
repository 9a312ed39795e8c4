//! Sub-agents: started by a turn, told of once when they end, whatever happens in between.

use crate::commands::ask;
use crate::harness::model::{Reply, asked};
use crate::harness::{Gateway, Setup, eventually, skip};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause before each of two words: longer than a child's turn.
const SLOW: Duration = Duration::from_millis(700);
const MODEL_PATIENCE: Duration = Duration::from_secs(120);

fn say(text: &str) -> Reply {
    Reply::Text(vec![text.into()], Duration::ZERO)
}

fn is_child(request: &Value) -> bool {
    request["messages"][0]["content"]
        .to_string()
        .contains("## Subagent Context")
}

/// Spawns what a message says after `spawn`; a child does its task as its words ask.
fn both(request: &Value) -> Reply {
    let last = request["messages"].as_array().unwrap().last().unwrap();
    let said = asked(request);
    match said.split_once("spawn ") {
        _ if is_child(request) && said.contains("hang") => Reply::Hang,
        _ if is_child(request) => say("There are 42 sheep."),
        _ if last["role"] == "tool" && said.contains("at leisure") => {
            Reply::Text(vec!["It is".into(), " on its way.".into()], SLOW)
        }
        _ if last["role"] == "tool" => say("It is on its way."),
        Some((_, order)) => {
            let order = order.lines().next().unwrap();
            let order = serde_json::from_str(order).unwrap();
            Reply::Tools(vec![("sessions_spawn".into(), order)])
        }
        None => say("Heard."),
    }
}

fn start() -> Gateway {
    let gateway = Gateway::with_fake_model();
    gateway.model().otherwise(Reply::By(both));
    gateway
}

/// One turn of the main session that starts a child; what the tool answered.
fn spawn(gateway: &Gateway, id: &str, order: Value) -> Value {
    let mut ws = gateway.connect();
    let message = format!("spawn {order}");
    let params = json!({"sessionKey": MAIN, "message": message, "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    let messages = history["messages"].as_array().unwrap();
    let told = messages.iter().rev().find(|m| m["role"] == "toolResult");
    told.unwrap()["details"].clone()
}

fn runs_file(gateway: &Gateway) -> std::path::PathBuf {
    gateway.state().join("subagents/runs.json")
}

fn record(gateway: &Gateway, run: &Value) -> Value {
    let text = fs::read_to_string(runs_file(gateway)).unwrap_or_default();
    let whole: Value = serde_json::from_str(&text).unwrap_or_default();
    whole["runs"][run.as_str().unwrap()].clone()
}

/// The record, once its requester has been told.
fn told(gateway: &Gateway, run: &Value) -> Value {
    eventually("the announcement", PATIENCE, || {
        let record = record(gateway, run);
        record["cleanupCompletedAt"].is_u64().then_some(record)
    })
}

/// What the main session was told of its children so far.
fn said(gateway: &Gateway) -> Vec<String> {
    let mut ws = gateway.connect();
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    let messages = history["messages"].as_array().unwrap().iter();
    messages
        .filter(|message| message["role"] == "user")
        .map(|message| message["content"][0]["text"].as_str().unwrap().to_string())
        .filter(|text| text.contains("A background task"))
        .collect()
}

/// The same, once there is something: it may wait for a turn to end.
fn announcements(gateway: &Gateway) -> Vec<String> {
    eventually("an announcement", PATIENCE, || {
        Some(said(gateway)).filter(|said| !said.is_empty())
    })
}

#[test]
fn a_child_does_its_task_and_its_requester_hears_of_it_once() {
    let gateway = start();
    let mut ws = gateway.connect();
    let answer = spawn(
        &gateway,
        "one",
        json!({"task": "count the sheep", "label": "sheep"}),
    );
    assert_eq!(answer["status"], "accepted");
    let child = answer["childSessionKey"].as_str().unwrap();
    assert!(child.starts_with("agent:main:subagent:"), "{child}");
    ws.event_where("chat", |p| {
        p["state"] == "final" && p["message"]["content"][0]["text"] == "Heard."
    });
    let record = told(&gateway, &answer["runId"]);
    assert_eq!(record["outcome"], json!({"status": "ok"}));
    assert_eq!(record["requesterSessionKey"], MAIN);
    assert_eq!(
        record["archiveAtMs"].as_u64().unwrap() - record["createdAt"].as_u64().unwrap(),
        3_600_000
    );
    let said = announcements(&gateway);
    assert_eq!(said.len(), 1, "{said:?}");
    for part in [
        "A background task \"sheep\" just completed successfully.",
        "Findings:\nThere are 42 sheep.",
        child,
    ] {
        assert!(said[0].contains(part), "{}", said[0]);
    }
    let requests = gateway.model().requests();
    let asked = requests.iter().find(|request| is_child(request)).unwrap();
    let prompt = asked["messages"][0]["content"].to_string();
    assert!(prompt.contains("Requester session: agent:main:main"));
    assert!(!prompt.contains("## Silent Replies"));
    let tools = asked["tools"].to_string();
    assert!(tools.contains("\"read\"") && !tools.contains("sessions_spawn"));
    let list = ws
        .call("sessions.list", json!({"spawnedBy": MAIN}))
        .unwrap();
    let row = &list["sessions"][0];
    assert_eq!(
        (&row["key"], &row["label"]),
        (&json!(child), &json!("sheep"))
    );
    let mut say = |id: &str, words: &str| ask(&mut ws, id, words);
    let list = say("c1", "/subagents");
    assert!(list.contains("\n1. sheep (done, "), "{list}");
    let log = say("c2", "/subagents log #1");
    assert!(log.ends_with("assistant: There are 42 sheep."), "{log}");
    let info = say("c3", "/subagents info Sheep");
    assert!(info.contains("Task: count the sheep\n"), "{info}");
    assert!(say("c4", "/subagents stop 1").contains("was not at work"));
    assert_eq!(say("c5", "/subagents send 1 more"), "⚙️ Sent to sheep.");
    assert!(say("c6", "/subagents info 9").starts_with("⚠️ "));
}

#[test]
fn a_busy_requester_hears_of_it_when_it_is_free() {
    let gateway = start();
    let mut ws = gateway.connect();
    let answer = spawn(&gateway, "one", json!({"task": "count at leisure"}));
    let record = told(&gateway, &answer["runId"]);
    assert_eq!(record["outcome"]["status"], "ok");
    ws.event_where("chat", |p| {
        p["state"] == "final" && p["message"]["content"][0]["text"] == "Heard."
    });
    assert_eq!(announcements(&gateway).len(), 1);
    let left = fs::read_dir(gateway.state().join("rs/queue"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

#[test]
fn a_child_that_shall_not_be_kept_is_gone_when_its_requester_knows() {
    let gateway = start();
    let order = json!({"task": "count", "cleanup": "delete", "model": "/such"});
    let answer = spawn(&gateway, "one", order);
    assert_eq!(answer["modelApplied"], false);
    assert!(answer["warning"].as_str().unwrap().contains("/such"));
    eventually("the end of the record", PATIENCE, || {
        record(&gateway, &answer["runId"]).is_null().then_some(())
    });
    assert_eq!(announcements(&gateway).len(), 1);
    let mut ws = gateway.connect();
    let list = ws.call("sessions.list", json!({})).unwrap();
    assert_eq!(list["count"], 1);
}

#[test]
fn a_killed_core_loses_no_announcement_and_repeats_none() {
    let mut gateway = start();
    let answer = spawn(&gateway, "one", json!({"task": "hang"}));
    eventually("the child's turn", PATIENCE, || {
        let requests = gateway.model().requests();
        requests.iter().any(is_child).then_some(())
    });
    gateway.kill_core();
    let before = told(&gateway, &answer["runId"]);
    assert_eq!(before["outcome"]["status"], "error");
    let said = announcements(&gateway);
    assert!(
        said[0].contains("just failed: the gateway was restarted"),
        "{said:?}"
    );
    // As if it had been killed between the message and the note that it is there.
    gateway.stop();
    let path = runs_file(&gateway);
    let mut whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let open = whole["runs"][answer["runId"].as_str().unwrap()]
        .as_object_mut()
        .unwrap();
    open.remove("cleanupCompletedAt");
    fs::write(&path, whole.to_string()).unwrap();
    gateway.start_again();
    told(&gateway, &answer["runId"]);
    assert_eq!(announcements(&gateway), said);
}

#[test]
fn who_stops_a_session_stops_its_children_and_hears_no_more_of_them() {
    let gateway = start();
    let answer = spawn(&gateway, "one", json!({"task": "hang"}));
    eventually("the child's turn", PATIENCE, || {
        let requests = gateway.model().requests();
        requests.iter().any(is_child).then_some(())
    });
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": MAIN, "message": "/stop", "idempotencyKey": "stop"});
    ws.call("chat.send", params).unwrap();
    gateway.model().wait_hung_up();
    let record = told(&gateway, &answer["runId"]);
    assert_eq!(
        record["outcome"],
        json!({"status": "error", "error": "stopped"})
    );
    let params = json!({"sessionKey": MAIN, "message": "and now", "idempotencyKey": "two"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == "two" && p["state"] == "final");
    assert!(said(&gateway).is_empty());
}

#[test]
fn an_old_childs_session_is_put_away() {
    let mut gateway = start();
    let answer = spawn(&gateway, "one", json!({"task": "count"}));
    told(&gateway, &answer["runId"]);
    gateway.stop();
    let path = runs_file(&gateway);
    let mut whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let old = &mut whole["runs"][answer["runId"].as_str().unwrap()];
    old["archiveAtMs"] = (old["createdAt"].as_u64().unwrap() + 1).into();
    fs::write(&path, whole.to_string()).unwrap();
    gateway.start_again();
    eventually("the end of the record", PATIENCE, || {
        record(&gateway, &answer["runId"]).is_null().then_some(())
    });
    let mut ws = gateway.connect();
    assert_eq!(ws.call("sessions.list", json!({})).unwrap()["count"], 1);
    let folder = fs::read_dir(gateway.state().join("agents/main/sessions")).unwrap();
    let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains(".deleted.")).count(), 1);
}

#[test]
fn a_real_model_works_for_another() {
    let (mut setup, _tap) = match Setup::with_local_model("openai-completions", 24) {
        Ok(found) => found,
        Err(why) => return skip("a_real_model_works_for_another", &why),
    };
    setup.config["tools"] = json!({"allow": ["sessions_spawn"]});
    let gateway = setup.start();
    let order = json!({"task": "Name a colour."});
    let (status, answer) = crate::gateway_tools::invoke(&gateway, "sessions_spawn", order);
    assert_eq!((status, &answer["status"]), (200, &json!("accepted")));
    let record = eventually("the announcement", MODEL_PATIENCE, || {
        let record = record(&gateway, &answer["runId"]);
        record["cleanupCompletedAt"].is_u64().then_some(record)
    });
    assert_eq!(record["outcome"]["status"], "ok");
    let said = announcements(&gateway);
    assert!(
        said.len() == 1 && !said[0].contains("(no output)"),
        "{said:?}"
    );
}
