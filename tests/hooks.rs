//! Hooks: other programs wake the agent or give it work over HTTP.

use crate::front::{body, connect, exchange};
use crate::harness::{Gateway, Setup, eventually};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SECRET: &str = "hook-secret";

fn setup(more: Value) -> Setup {
    let mut setup = Setup::with_fake_model();
    let mut hooks = json!({"enabled": true, "token": SECRET});
    for (key, value) in more.as_object().unwrap() {
        hooks[key] = value.clone();
    }
    setup.config["hooks"] = hooks;
    setup
}

fn ask(gateway: &Gateway, method: &str, path: &str, headers: &str, body: &str) -> String {
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(connect(gateway), &text)
}

fn post(gateway: &Gateway, path: &str, body: Value) -> String {
    let bearer = format!("Authorization: Bearer {SECRET}\r\n");
    ask(gateway, "POST", path, &bearer, &body.to_string())
}

fn status(answer: &str) -> &str {
    &answer[9..12]
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(body(answer)).unwrap_or_else(|err| panic!("{err}: {answer}"))
}

/// What the main session's next turn is told beside its message.
fn told_next(gateway: &Gateway, n: usize) -> String {
    let mut ws = gateway.connect();
    let key = openclaw::base::id::uuid();
    ws.call(
        "chat.send",
        json!({"sessionKey": "main", "message": "NEXT", "idempotencyKey": key}),
    )
    .unwrap();
    eventually("the turn", Duration::from_secs(20), || {
        let all = gateway.model().requests();
        let turn = all.iter().skip(n).map(Value::to_string);
        turn.into_iter().find(|text| text.contains("NEXT"))
    })
}

#[test]
fn only_the_hook_token_opens_the_hooks() {
    let gateway = setup(json!({})).start();
    let with = |headers: &str, path: &str| {
        let answer = ask(&gateway, "POST", path, headers, r#"{"text":"x"}"#);
        (status(&answer).to_string(), body(&answer).to_string())
    };
    let (code, text) = with("", "/hooks/wake");
    assert_eq!((code.as_str(), text.as_str()), ("401", "Unauthorized"));
    // The gateway's own secret is another one.
    let own = format!("Authorization: Bearer {}\r\n", gateway.token());
    assert_eq!(with(&own, "/hooks/wake").0, "401");
    assert_eq!(with("X-OpenClaw-Token: no\r\n", "/hooks/wake").0, "401");
    assert_eq!(with("", "/hooks/wake?token=no").0, "401");
    for (headers, path) in [
        ("authorization: bearer hook-secret\r\n", "/hooks/wake"),
        ("x-openclaw-token: hook-secret\r\n", "/hooks/wake"),
        ("", "/hooks/wake?token=hook-secret"),
    ] {
        assert_eq!(with(headers, path).0, "200", "{headers}{path}");
    }
    assert!(gateway.log().contains("a hook token came in the address"));
    assert!(!gateway.log().contains(SECRET));
}

#[test]
fn wrong_hook_tokens_and_too_many_hooks_at_once_are_refused_for_a_while() {
    let mut setup = setup(json!({}));
    setup.config["gateway"]["trustedProxies"] = json!(["127.0.0.1"]);
    setup.config["gateway"]["http"] = json!({"endpoints": {"chatCompletions": {"enabled": true}}});
    let gateway = setup.start();
    let wake = |token: &str, ip: &str| {
        let headers = format!("Authorization: Bearer {token}\r\nX-Forwarded-For: {ip}\r\n");
        let body = r#"{"text":"x","mode":"next-heartbeat"}"#;
        let answer = ask(&gateway, "POST", "/hooks/wake", &headers, body);
        status(&answer).to_string()
    };
    let codes: Vec<String> = (0..12).map(|_| wake("guess", "203.0.113.9")).collect();
    assert_eq!((codes[0].as_str(), codes[11].as_str()), ("401", "429"));
    // The right one is not looked at either; nobody else is concerned, and no other secret.
    assert_eq!(wake(SECRET, "203.0.113.9"), "429");
    assert_eq!(wake(SECRET, "203.0.113.10"), "200");
    let own = format!(
        "Authorization: Bearer {}\r\nX-Forwarded-For: 203.0.113.9\r\n",
        gateway.token()
    );
    assert_eq!(status(&ask(&gateway, "GET", "/v1/models", &own, "")), "200");
    let log = gateway.stderr();
    assert!(
        log.contains("for \"203.0.113.9\": POST /hooks/wake: token mismatch"),
        "{log}"
    );
    assert!(!log.contains("guess"), "{log}");

    // Those that never finish their bodies, of which enough came to be passed on, have all the room
    // there is: sixteen places. Some more come, as ours may be quicker than one of them.
    let head = format!(
        "POST /hooks/wake HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\r\n\
         Content-Length: 90000\r\n\r\n{}",
        " ".repeat(70_000)
    );
    let slow: Vec<_> = (0..24)
        .map(|_| {
            let mut stream = connect(&gateway);
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let code = |want: &str| {
        eventually(want, Duration::from_secs(5), || {
            (wake(SECRET, "203.0.113.10") == want).then_some(())
        });
    };
    code("429");
    drop(slow);
    code("200");
}

#[test]
fn what_is_wrong_with_a_hook_is_said_with_its_status() {
    let gateway = setup(json!({"maxBodyBytes": 1000})).start();
    let bearer = format!("Authorization: Bearer {SECRET}\r\n");
    let get = ask(&gateway, "GET", "/hooks/wake", &bearer, "");
    assert!(status(&get) == "405" && get.contains("Allow: POST"));
    // The token is asked for first.
    assert_eq!(status(&ask(&gateway, "GET", "/hooks/wake", "", "")), "401");
    for path in ["/hooks", "/hooks/", "/hooks/nothing-here"] {
        let answer = post(&gateway, path, json!({}));
        assert_eq!((status(&answer), body(&answer)), ("404", "Not Found"));
    }
    let large = post(&gateway, "/hooks/wake", json!({"text": "x".repeat(2000)}));
    assert_eq!(status(&large), "413");
    assert_eq!(
        json_of(&large),
        json!({"ok": false, "error": "payload too large"})
    );
    let broken = ask(&gateway, "POST", "/hooks/wake", &bearer, "{\"text\":");
    assert_eq!(status(&broken), "400");
    assert_eq!(json_of(&broken)["ok"], false);
    for (path, body, why) in [
        ("/hooks/wake", json!({}), "text required"),
        ("/hooks/wake", json!([1]), "text required"),
        ("/hooks/agent", json!({}), "message required"),
        (
            "/hooks/agent",
            json!({"message": "x", "channel": "telegram"}),
            "channel must be last",
        ),
        (
            "/hooks/agent",
            json!({"message": "x", "model": ""}),
            "model required",
        ),
    ] {
        let answer = post(&gateway, path, body);
        assert_eq!(status(&answer), "400");
        assert_eq!(json_of(&answer), json!({"ok": false, "error": why}));
    }
    // A sender that stops half-way is waited for by the front alone.
    let mut half = connect(&gateway);
    let head = format!(
        "POST /hooks/wake HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: 900\r\n\r\n{{"
    );
    half.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        status(&post(&gateway, "/hooks/wake", json!({"text": "y"}))),
        "200"
    );
}

#[test]
fn a_wake_leaves_a_note_for_the_main_session() {
    let gateway = setup(json!({})).start();
    let answer = post(
        &gateway,
        "/hooks/wake",
        json!({"text": "The laundry is done.", "mode": "next-heartbeat"}),
    );
    assert_eq!(
        json_of(&answer),
        json!({"ok": true, "mode": "next-heartbeat"})
    );
    let told = told_next(&gateway, 0);
    assert!(told.contains("System: [") && told.contains("The laundry is done."));
}

#[test]
fn a_wake_that_is_now_makes_the_agent_look() {
    let gateway = setup(json!({})).start();
    let answer = post(
        &gateway,
        "/hooks/wake",
        json!({"text": "Fire in the kitchen."}),
    );
    assert_eq!(json_of(&answer), json!({"ok": true, "mode": "now"}));
    let asked = gateway.model().wait_request(1).to_string();
    assert!(asked.contains("Fire in the kitchen."), "{asked}");
}

#[test]
fn work_runs_apart_and_its_outcome_is_noted() {
    let gateway = setup(json!({})).start();
    gateway.model().say(&["All ", "tests pass."]);
    let answer = post(
        &gateway,
        "/hooks/agent",
        json!({"message": "Look at build 7.", "name": "CI", "wakeMode": "next-heartbeat"}),
    );
    assert_eq!(status(&answer), "202");
    let said = json_of(&answer);
    assert!(said["ok"] == true && said["runId"].as_str().unwrap().len() == 36);
    let asked = gateway.model().wait_request(1).to_string();
    assert!(asked.contains(" CI] A webhook has delivered"));
    assert!(asked.contains("<<<external content ") && asked.contains("Look at build 7."));
    let mut ws = gateway.connect();
    let keys = ws.call("sessions.list", json!({})).unwrap().to_string();
    assert!(keys.contains("agent:main:hook:"), "{keys}");
    let done = eventually("the note", Duration::from_secs(20), || {
        let told = told_next(&gateway, 1);
        told.contains("Hook CI: All tests pass.").then_some(told)
    });
    assert!(done.contains("System: ["));
}

#[test]
fn work_that_was_acknowledged_is_on_disk() {
    let gateway = setup(json!({})).start();
    gateway.model().reply(crate::harness::model::Reply::Hang);
    let work = |message: &str| {
        let body = json!({"message": message, "sessionKey": "hook:jobs"});
        assert_eq!(status(&post(&gateway, "/hooks/agent", body)), "202");
    };
    work("FIRST job");
    gateway.model().wait_request(1);
    let folder = gateway.state().join("agents/main/sessions");
    let texts: String = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|e| e == "jsonl"))
        .map(|file| std::fs::read_to_string(file.path()).unwrap())
        .collect();
    assert!(texts.contains("FIRST job"));
}

#[test]
fn mappings_turn_payloads_into_work_and_are_read_anew_for_each_request() {
    let mut gateway = setup(json!({"mappings": [
        {"match": {"path": "github"}, "name": "{{headers.x-event}}",
         "sessionKey": "hook:repo:{{payload.repo.name}}", "wakeMode": "next-heartbeat",
         "messageTemplate": "{{query.who}} pushed {{commits[0].id}} to {{repo.name}}"},
        {"match": {"path": "js"}, "transform": {"module": "x.mjs"}},
    ]}))
    .start();
    let bearer = format!("Authorization: Bearer {SECRET}\r\nX-Event: push\r\n");
    let payload = json!({"repo": {"name": "oc"}, "commits": [{"id": "abc"}]}).to_string();
    let answer = ask(
        &gateway,
        "POST",
        "/hooks/github?who=Ann%20B",
        &bearer,
        &payload,
    );
    assert_eq!(status(&answer), "202", "{answer}");
    let asked = gateway.model().wait_request(1).to_string();
    assert!(asked.contains("Ann B pushed abc to oc") && asked.contains(" push] "));
    let js = post(&gateway, "/hooks/js", json!({}));
    assert_eq!(status(&js), "501");
    assert!(
        json_of(&js)["error"]
            .as_str()
            .unwrap()
            .contains("transform")
    );
    gateway.edit_config(|config| {
        config["hooks"]["mappings"] = json!([
            {"match": {"path": "door"}, "action": "wake", "textTemplate": "{{what}} rings",
             "wakeMode": "next-heartbeat"},
        ]);
    });
    gateway.signal("HUP");
    gateway.wait_for("READY=1");
    eventually("the new mapping", Duration::from_secs(20), || {
        let answer = post(&gateway, "/hooks/door", json!({"what": "Somebody"}));
        (status(&answer) == "200").then_some(())
    });
    assert_eq!(status(&post(&gateway, "/hooks/github", json!({}))), "404");
    let empty = post(&gateway, "/hooks/door", json!({"what": ""}));
    assert_eq!(status(&empty), "200", "the rest of the template is a text");
    let told = told_next(&gateway, 1);
    assert!(told.contains("Somebody rings"));
}

#[test]
fn a_gateway_without_hooks_has_no_such_paths() {
    let mut setup = Setup::new();
    setup.config["gateway"]["controlUi"] = json!({"enabled": false});
    let gateway = setup.start();
    assert_eq!(
        status(&post(&gateway, "/hooks/wake", json!({"text": "x"}))),
        "404"
    );
}
