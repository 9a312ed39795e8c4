//! The onboarding wizard as a client goes through it.

use crate::harness::Gateway;
use serde_json::{Value, json};

#[test]
fn a_client_is_led_from_question_to_question_and_the_configuration_follows() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let mut now = ws.call("wizard.start", json!({})).unwrap();
    assert_eq!(
        (&now["done"], &now["status"]),
        (&json!(false), &json!("running"))
    );
    let id = now["sessionId"].clone();
    let again = ws.call("wizard.start", json!({})).unwrap_err();
    assert_eq!(
        (&again["code"], &again["message"]),
        (&json!("UNAVAILABLE"), &json!("wizard already running"))
    );
    let wrong = json!({"sessionId": id, "answer": {"stepId": "none"}});
    let wrong = ws.call("wizard.next", wrong).unwrap_err();
    assert_eq!(wrong["message"], "Error: wizard: no pending step");
    let unknown = json!({"sessionId": "none"});
    for method in ["wizard.next", "wizard.cancel", "wizard.status"] {
        let error = ws.call(method, unknown.clone()).unwrap_err();
        assert_eq!(error["message"], "wizard not found");
    }
    let mut kinds = Vec::new();
    let answers = [
        Value::Null,
        Value::Null,
        json!(true),
        json!("quickstart"),
        Value::Null,
        json!("modify"),
        Value::Null,
        json!("skip"),
    ];
    for answer in answers {
        kinds.push(now["step"]["type"].as_str().unwrap().to_string());
        assert_eq!(now["step"]["executor"], "client");
        let step = now["step"]["id"].clone();
        let params = json!({"sessionId": id, "answer": {"stepId": step, "value": answer}});
        now = ws.call("wizard.next", params).unwrap();
    }
    assert_eq!(
        kinds,
        [
            "note", "note", "confirm", "select", "note", "select", "note", "select"
        ]
    );
    assert_eq!(now, json!({"done": true, "status": "done"}));
    let file: Value = {
        let text = std::fs::read_to_string(gateway.config_path()).unwrap();
        openclaw::config::text::parse(&text).unwrap()
    };
    assert_eq!(file["wizard"]["lastRunCommand"], "onboard");
    // It had a secret: nobody is locked out.
    assert_eq!(file["gateway"]["auth"]["token"], gateway.token());
    let over = ws
        .call("wizard.status", json!({"sessionId": id}))
        .unwrap_err();
    assert_eq!(over["message"], "wizard not found");
}
