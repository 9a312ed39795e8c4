//! Commands that a person must approve, through a real gateway and its clients.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway whose agent runs commands on the host, with approvals.
fn house() -> Gateway {
    let mut setup = Setup::with_fake_model();
    setup.config["tools"] = json!({"exec": {"host": "gateway"}});
    setup.start()
}

fn exec(command: &str) -> Reply {
    Reply::Tools(vec![("exec".into(), json!({"command": command}))])
}

fn say(ws: &mut Ws, id: &str) {
    let params = json!({"sessionKey": MAIN, "message": "go on", "idempotencyKey": id});
    assert_eq!(ws.call("chat.send", params).unwrap()["status"], "started");
}

fn say_and_wait(ws: &mut Ws, id: &str) {
    say(ws, id);
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
}

fn resolve(ws: &mut Ws, id: &Value, decision: &str) {
    let answer = ws.call(
        "exec.approval.resolve",
        json!({"id": id, "decision": decision}),
    );
    assert_eq!(answer.unwrap(), json!({"ok": true}));
}

/// Goes on talking until the model has been told `text`.
fn hear(gateway: &Gateway, ws: &mut Ws, text: &str) {
    let mut n = 0;
    eventually(text, PATIENCE, || {
        let heard = |request: &Value| request.to_string().contains(text);
        if gateway.model().requests().iter().any(heard) {
            return Some(());
        }
        n += 1;
        say_and_wait(ws, &format!("hear-{text}-{n}"));
        None
    });
}

#[test]
fn a_command_runs_after_somebody_has_said_yes_and_the_session_hears_of_it() {
    let gateway = house();
    let mut ws = gateway.connect();
    let mut talk = gateway.connect();
    let marker = gateway.workspace().join("ran");
    gateway.model().reply(exec("touch ran; echo it-was-me"));
    say_and_wait(&mut talk, "one");
    let asked = ws.event("exec.approval.requested");
    let payload = &asked["payload"];
    assert_eq!(payload["request"]["command"], "touch ran; echo it-was-me");
    assert_eq!(payload["request"]["host"], "gateway");
    assert_eq!(payload["request"]["security"], "allowlist");
    assert_eq!(payload["request"]["ask"], "on-miss");
    assert_eq!(payload["request"]["sessionKey"], MAIN);
    let life = payload["expiresAtMs"].as_u64().unwrap() - payload["createdAtMs"].as_u64().unwrap();
    assert_eq!(life, 120_000);
    assert!(!marker.exists());
    resolve(&mut ws, &payload["id"], "allow-once");
    let told = ws.event("exec.approval.resolved");
    assert_eq!(told["payload"]["id"], payload["id"]);
    assert_eq!(told["payload"]["decision"], "allow-once");
    assert_eq!(told["payload"]["resolvedBy"], "test");
    eventually("the command", PATIENCE, || marker.exists().then_some(()));
    hear(&gateway, &mut talk, "it-was-me");
    let id = payload["id"].as_str().unwrap();
    hear(
        &gateway,
        &mut talk,
        &format!("Exec finished (gateway id={id}"),
    );
    // Asked once more, since it was allowed once; refused this time.
    std::fs::remove_file(&marker).unwrap();
    gateway.model().reply(exec("touch ran; echo it-was-me"));
    say_and_wait(&mut talk, "two");
    let asked = ws.event("exec.approval.requested");
    resolve(&mut ws, &asked["payload"]["id"], "deny");
    hear(&gateway, &mut talk, "user-denied): touch ran");
    assert!(!marker.exists());
}

#[test]
fn a_stopped_run_withdraws_its_question() {
    let gateway = house();
    let mut ws = gateway.connect();
    gateway.model().reply(exec("touch ran"));
    gateway.model().reply(Reply::Hang);
    say(&mut ws, "one");
    let asked = ws.event("exec.approval.requested");
    let id = asked["payload"]["id"].clone();
    gateway.model().wait_request(2);
    ws.call("chat.abort", json!({"sessionKey": MAIN})).unwrap();
    let told = ws.event("exec.approval.resolved");
    assert_eq!(told["payload"]["id"], id);
    assert_eq!(told["payload"]["resolvedBy"], "withdrawn");
    let late = ws.call(
        "exec.approval.resolve",
        json!({"id": id, "decision": "allow-once"}),
    );
    assert_eq!(late.unwrap_err()["message"], "unknown approval id");
    assert!(!gateway.workspace().join("ran").exists());
}

#[test]
fn a_command_of_the_agent_cannot_approve_itself() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let (ctl, run) = (env!("CARGO_BIN_EXE_openclawctl"), gateway.run_dir());
    let asker = json!({"id": "q", "command": "rm -rf /", "timeoutMs": 60000});
    let question = ws.send("exec.approval.request", asker);
    ws.event("exec.approval.requested");
    let command = |method: &str, params: &str| {
        format!(
            "OPENCLAW_RUNTIME_DIR={} OPENCLAW_STATE_DIR={} {ctl} call {method} '{params}' 2>&1; :",
            run.display(),
            gateway.state().display()
        )
    };
    let answer = r#"{"id":"q","decision":"allow-once"}"#;
    gateway
        .model()
        .reply(exec(&command("exec.approval.resolve", answer)));
    gateway
        .model()
        .reply(exec(&command("exec.approvals.get", "{}")));
    say_and_wait(&mut ws, "one");
    let requests = gateway.model().requests();
    let told = |n: usize| {
        requests[n]["messages"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .to_string()
    };
    assert!(
        told(1).contains("missing scope: operator.approvals"),
        "{}",
        told(1)
    );
    assert!(
        told(2).contains("missing scope: operator.admin"),
        "{}",
        told(2)
    );
    resolve(&mut ws, &json!("q"), "deny");
    assert_eq!(ws.response(&question)["payload"]["decision"], "deny");
}

#[test]
fn a_question_of_a_client_is_answered_expires_or_goes_with_its_client() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let mut asker = gateway.connect();
    let params = json!({"id": "a", "command": "ls", "cwd": null, "timeoutMs": 60000});
    let first = asker.send("exec.approval.request", params.clone());
    let event = ws.event("exec.approval.requested");
    assert_eq!(event["payload"]["id"], "a");
    assert_eq!(
        event["payload"]["request"],
        json!({"command": "ls", "cwd": null, "host": null, "security": null, "ask": null,
               "agentId": null, "resolvedPath": null, "sessionKey": null})
    );
    let twice = ws.call("exec.approval.request", params).unwrap_err();
    assert_eq!(twice["message"], "approval id already pending");
    let bad = json!({"id": "a", "decision": "perhaps"});
    let bad = ws.call("exec.approval.resolve", bad).unwrap_err();
    assert_eq!(bad["message"], "invalid decision");
    resolve(&mut ws, &json!("a"), "allow-always");
    let answer = asker.response(&first)["payload"].clone();
    assert_eq!(answer["decision"], "allow-always");
    assert_eq!(answer["expiresAtMs"], event["payload"]["expiresAtMs"]);
    // Too late: the answer says so, and no event does.
    let late = ws.call(
        "exec.approval.request",
        json!({"command": "ls", "timeoutMs": 1}),
    );
    assert!(late.unwrap()["decision"].is_null());
    asker.send("exec.approval.request", json!({"id": "b", "command": "ls"}));
    ws.event_where("exec.approval.requested", |p| p["id"] == "b");
    drop(asker);
    let told = ws.event_where("exec.approval.resolved", |p| p["id"] == "b");
    assert_eq!(told["payload"]["resolvedBy"], "withdrawn");
}

#[test]
fn the_rules_are_read_and_changed_by_their_hash_and_the_token_is_not_shown() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let seen = ws.call("exec.approvals.get", json!({})).unwrap();
    let path = gateway.home().join(".openclaw/exec-approvals.json");
    assert_eq!(seen["path"], path.to_str().unwrap());
    assert_eq!(seen["exists"], true);
    assert!(seen["file"]["socket"]["token"].is_null());
    let raw = std::fs::read(&path).unwrap();
    assert_eq!(seen["hash"], openclaw::base::hex::sha256(&raw));
    let mut file = seen["file"].clone();
    file["agents"] = json!({"*": {"allowlist": [{"pattern": "/usr/bin/uptime"}]}});
    let without = ws
        .call("exec.approvals.set", json!({"file": file}))
        .unwrap_err();
    assert_eq!(
        without["message"],
        "exec approvals base hash required; re-run exec.approvals.get and retry"
    );
    let params = json!({"file": file, "baseHash": seen["hash"]});
    let set = ws.call("exec.approvals.set", params.clone()).unwrap();
    let entry = &set["file"]["agents"]["*"]["allowlist"][0];
    assert_eq!(entry["id"].as_str().unwrap().len(), 36);
    let before: Value = serde_json::from_slice(&raw).unwrap();
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(after["socket"], before["socket"]);
    let stale = ws.call("exec.approvals.set", params).unwrap_err();
    assert_eq!(
        stale["message"],
        "exec approvals changed since last load; re-run exec.approvals.get and retry"
    );
    let node = ws
        .call("exec.approvals.node.get", json!({"nodeId": "n"}))
        .unwrap_err();
    assert_eq!(
        node,
        json!({"code": "UNAVAILABLE", "message": "node not connected",
               "details": {"code": "NOT_CONNECTED"}})
    );
}

#[test]
fn a_question_that_nobody_answered_before_a_restart_is_told_as_denied() {
    let gateway = house();
    let (mut ws, mut talk) = (gateway.connect(), gateway.connect());
    let marker = gateway.workspace().join("ran");
    let mut ask = |ws: &mut Ws, id: &str| {
        gateway.model().reply(exec("touch ran"));
        say_and_wait(&mut talk, id);
        ws.event("exec.approval.requested")["payload"]["id"].clone()
    };
    let answered = ask(&mut ws, "first");
    resolve(&mut ws, &answered, "deny");
    let open = ask(&mut ws, "second");
    let kept = gateway.state().join("rs/approvals");
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
    gateway.kill_core();
    let mut ws = gateway.connect();
    let text = format!(
        "id={}, gateway-restarted): touch ran",
        open.as_str().unwrap()
    );
    hear(&gateway, &mut ws, &text);
    let twice = ws.call(
        "exec.approval.resolve",
        json!({"id": open, "decision": "allow-once"}),
    );
    assert_eq!(twice.unwrap_err()["message"], "unknown approval id");
    assert!(!marker.exists());
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
    let asked = gateway.model().requests();
    assert!(!asked.iter().any(|r| r.to_string().contains(&format!(
        "{}, gateway-restarted",
        answered.as_str().unwrap()
    ))));
}

#[test]
fn programs_of_skills_run_without_a_question_once_the_file_says_so() {
    let mut setup = Setup::with_fake_model();
    setup.config["tools"] = json!({"exec": {"host": "gateway"}});
    let dir = setup.dir.path().to_path_buf();
    let skill = dir.join("workspace/skills/bell");
    std::fs::create_dir_all(&skill).unwrap();
    let front = r#"---
name: bell
description: Rings.
metadata: {"openclaw":{"requires":{"bins":["ring-bell"]}}}
---
"#;
    std::fs::write(skill.join("SKILL.md"), front).unwrap();
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = bin.join("ring-bell");
    std::fs::write(&program, "#!/bin/sh\necho ding-$1\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let gateway = setup.env("PATH", &path).start();
    let (mut ws, mut talk) = (gateway.connect(), gateway.connect());
    let allow = |ws: &mut Ws, skills: bool| {
        let now = ws.call("exec.approvals.get", json!({})).unwrap();
        let file = json!({"version": 1, "defaults": {"autoAllowSkills": skills}});
        let params = json!({"file": file, "baseHash": now["hash"]});
        ws.call("exec.approvals.set", params).unwrap();
    };
    allow(&mut ws, false);
    gateway.model().reply(exec("ring-bell once"));
    say_and_wait(&mut talk, "asks");
    let asked = ws.event("exec.approval.requested");
    assert_eq!(asked["payload"]["request"]["command"], "ring-bell once");
    resolve(&mut ws, &asked["payload"]["id"], "deny");
    allow(&mut ws, true);
    gateway.model().reply(exec("ring-bell twice"));
    say_and_wait(&mut talk, "runs");
    let heard = gateway
        .model()
        .requests()
        .iter()
        .any(|r| r.to_string().contains("ding-twice"));
    assert!(heard, "it ran and the model saw what it said");
    // Another program beside it is asked about all the same.
    gateway.model().reply(exec("ring-bell thrice && touch ran"));
    say_and_wait(&mut talk, "asks-again");
    let asked = ws.event("exec.approval.requested");
    assert_eq!(
        asked["payload"]["request"]["command"],
        "ring-bell thrice && touch ran"
    );
}
