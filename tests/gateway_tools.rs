//! Tools that act through the gateway, called by a model and over HTTP.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

const MAIN: &str = "agent:main:main";

/// Invokes a tool over HTTP: the status and the details of its result, or the error.
pub fn invoke(gateway: &Gateway, tool: &str, args: Value) -> (u16, Value) {
    let body = json!({"tool": tool, "args": args, "sessionKey": "main"}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
    let head = format!(
        "POST /tools/invoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        gateway.token(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let result = body.pointer("/result/details").or(body.get("error"));
    (status, result.unwrap().clone())
}

/// One turn of the main session in which the model calls `tool`; what it was then told.
fn turn(gateway: &Gateway, id: &str, tool: &str, args: Value) -> Value {
    let mut ws = gateway.connect();
    gateway.model().forget();
    gateway
        .model()
        .reply(Reply::Tools(vec![(tool.into(), args)]));
    let params = json!({"sessionKey": MAIN, "message": "go on", "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
    let request = gateway.model().wait_request(2);
    let told = request["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(told["role"], "tool");
    serde_json::from_str(told["content"].as_str().unwrap()).unwrap()
}

#[test]
fn a_model_finds_its_sessions_and_reads_one() {
    let gateway = Gateway::with_fake_model();
    let list = turn(&gateway, "one", "sessions_list", json!({"messageLimit": 5}));
    assert_eq!(list["count"], 1);
    let row = &list["sessions"][0];
    assert_eq!((&row["key"], &row["kind"]), (&json!(MAIN), &json!("main")));
    let path = row["transcriptPath"].as_str().unwrap();
    assert!(std::path::Path::new(path).exists(), "{path}");
    assert!(row["messages"].to_string().contains("go on"));
    let (status, seen) = invoke(&gateway, "sessions_history", json!({"sessionKey": "main"}));
    assert_eq!((status, &seen["sessionKey"]), (200, &json!(MAIN)));
    assert!(!seen.to_string().contains("toolResult"));
    let all = json!({"sessionKey": row["sessionId"], "includeTools": true});
    assert!(
        invoke(&gateway, "sessions_history", all)
            .1
            .to_string()
            .contains("toolResult")
    );
    let (_, denied) = invoke(
        &gateway,
        "sessions_history",
        json!({"sessionKey": "agent:other:main"}),
    );
    assert_eq!(denied["status"], "forbidden");
    assert_eq!(
        invoke(&gateway, "agents_list", json!({})).1["requester"],
        "main"
    );
}

#[test]
fn a_model_keeps_its_own_jobs() {
    let gateway = Gateway::with_fake_model();
    let job = json!({"name": "tea", "schedule": {"kind": "every", "everyMs": 3_600_000},
        "payload": {"kind": "systemEvent", "text": "Reminder: tea."}});
    let args = json!({"action": "add", "job": job, "contextMessages": 3});
    let added = turn(&gateway, "one", "cron", args);
    assert_eq!(added["agentId"], "main");
    let text = added["payload"]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Reminder: tea.\n\nRecent context:\n- User: "),
        "{text}"
    );
    let of = |action: &str| {
        let args = json!({"action": action, "jobId": added["id"]});
        invoke(&gateway, "cron", args).1
    };
    assert_eq!(of("list")["jobs"][0]["id"], added["id"]);
    assert_eq!(of("run")["ran"], true);
    assert_eq!(of("runs")["entries"].as_array().unwrap().len(), 1);
    assert_eq!(of("remove")["removed"], true);
    assert_eq!(of("status")["jobs"], 0);
}

#[test]
fn a_model_changes_the_configuration_and_hears_of_the_restart() {
    let mut setup = Setup::with_fake_model();
    setup.config["commands"] = json!({"restart": true});
    let gateway = setup.start();
    let seen = turn(&gateway, "one", "gateway", json!({"action": "config.get"}));
    assert_eq!(seen["result"]["config"]["gateway"]["auth"]["token"], "***");
    assert!(!seen.to_string().contains(gateway.token()));
    let before = std::fs::read_to_string(gateway.config_path()).unwrap();
    let wrong = json!({"action": "config.apply", "raw": seen["result"]["config"].to_string()});
    assert_eq!(invoke(&gateway, "gateway", wrong).0, 400);
    assert_eq!(
        std::fs::read_to_string(gateway.config_path()).unwrap(),
        before
    );
    let note = json!({"action": "restart", "delayMs": 20, "note": "back-again"});
    let (status, planned) = invoke(&gateway, "gateway", note);
    assert_eq!((status, &planned["signal"]), (200, &json!("SIGUSR1")));
    crate::harness::eventually("the note", std::time::Duration::from_secs(20), || {
        let path = gateway.state().join("restart-sentinel.json");
        (!path.exists()).then_some(())
    });
    gateway.model().forget();
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": MAIN, "message": "and", "idempotencyKey": "two"});
    ws.call("chat.send", params).unwrap();
    let request = gateway.model().wait_request(1);
    assert!(request["messages"].to_string().contains("back-again"));
}

/// The other agent answers, is asked once more, ends the exchange, and announces nothing.
fn talks(request: &Value) -> Reply {
    let prompt = request["messages"][0]["content"].to_string();
    let said = if prompt.contains("This message is from another agent") {
        "Fine, thanks."
    } else if prompt.contains("This is turn 1 of 5") {
        "And the children?"
    } else if prompt.contains("This is turn 2 of 5") {
        "REPLY_SKIP"
    } else if prompt.contains("The exchange is over") {
        "ANNOUNCE_SKIP"
    } else {
        "Hello."
    };
    Reply::Text(vec![said.into()], std::time::Duration::ZERO)
}

#[test]
fn two_sessions_talk_until_one_has_enough() {
    let gateway = Gateway::with_fake_model();
    gateway.model().otherwise(Reply::By(talks));
    let args = json!({"sessionKey": "other", "message": "How are you?"});
    let (status, sent) = invoke(&gateway, "sessions_send", args);
    assert_eq!((status, &sent["status"]), (200, &json!("ok")));
    assert_eq!(sent["reply"], "Fine, thanks.");
    assert_eq!(sent["sessionKey"], "agent:main:other");
    // The question, two turns, and whether anybody should hear of it.
    let last = gateway.model().wait_request(4);
    let prompt = last["messages"][0]["content"].as_str().unwrap();
    for part in [
        "The request was: How are you?",
        "Your first answer was: Fine, thanks.",
        "The last answer was: And the children?",
    ] {
        assert!(prompt.contains(part), "{prompt}");
    }
    let (_, read) = invoke(&gateway, "sessions_history", json!({"sessionKey": "other"}));
    assert!(read.to_string().contains("And the children?"));
}
