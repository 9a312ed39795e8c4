//! `update.run`: a program that others update says so, and restarts.

use crate::harness::{Gateway, eventually};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn an_update_is_left_to_whatever_installed_us_and_the_next_core_tells_the_session() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let bad = ws.call("update.run", json!({"timeoutMs": 0})).unwrap_err();
    assert_eq!(
        bad["message"],
        "invalid update.run params: at /timeoutMs: must be >= 1"
    );
    let first = gateway.core_pid();
    let params = json!({"sessionKey": "agent:main:main", "note": "please", "restartDelayMs": 100});
    let answer = ws.call("update.run", params).unwrap();
    let result = &answer["result"];
    assert_eq!(result["status"], "skipped");
    assert_eq!(result["mode"], "unknown");
    assert!(
        result["reason"]
            .as_str()
            .unwrap()
            .starts_with("this program ")
    );
    assert_eq!(result["steps"], json!([]));
    assert_eq!(answer["restart"]["reason"], "update.run");
    assert_eq!(answer["restart"]["delayMs"], 100);
    let left = &answer["sentinel"];
    let path = gateway.state().join("restart-sentinel.json");
    assert_eq!(left["path"], path.to_str().unwrap());
    assert_eq!(left["payload"]["message"], "please");
    assert_eq!(ws.event("shutdown")["payload"]["restartExpectedMs"], 1500);
    let patience = Duration::from_secs(20);
    eventually("the next core", patience, || {
        (gateway.core_pid() != first).then_some(())
    });
    let mut ws = gateway.connect();
    let told = |request: &Value| request.to_string().contains("GatewayRestart:");
    let mut n = 0;
    eventually("the note", patience, || {
        if gateway.model().requests().iter().any(told) {
            return Some(());
        }
        n += 1;
        let id = format!("n{n}");
        let params =
            json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": id});
        ws.call("chat.send", params).unwrap();
        ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
        None
    });
    assert!(!path.exists());
}
