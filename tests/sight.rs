//! Pictures and models: the `image` tool, words in the place of pictures for a model that cannot
//! see, and the key a session keeps to.

use crate::harness::model::{Reply, asked};
use crate::harness::{FakeModel, Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const PNG: &str = "iVBORw0KGgo=";

/// A blind chat model, and another one that sees.
fn with_eyes() -> (Setup, FakeModel) {
    let mut setup = Setup::with_fake_model();
    let eyes = FakeModel::start();
    setup.config["models"]["providers"]["eyes"] = json!({
        "baseUrl": eyes.base_url(), "apiKey": "sk-eyes", "api": "openai-completions",
        "models": [{"id": "e1", "name": "Eyes", "input": ["text", "image"]}],
    });
    setup.config["agents"]["defaults"]["imageModel"] = json!({"primary": "eyes/e1"});
    (setup, eyes)
}

fn send(ws: &mut Ws, text: &str, id: &str, attachments: Value) -> Value {
    let params = json!({"sessionKey": MAIN, "message": text, "idempotencyKey": id, "attachments": attachments});
    ws.call("chat.send", params).expect("taken");
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final")
}

fn picture() -> Value {
    json!([{"type": "image", "mimeType": "image/png", "content": PNG}])
}

#[test]
fn a_model_that_cannot_see_reads_what_another_saw() {
    let (setup, eyes) = with_eyes();
    eyes.say(&["A red ", "square."]);
    let gateway = setup.start();
    let mut ws = gateway.connect();
    send(&mut ws, "what is it?", "s1", picture());
    let question = eyes.requests().remove(0);
    assert!(question.to_string().contains(PNG), "{question}");
    assert_eq!(question["max_completion_tokens"], 512);
    let told = asked(&gateway.model().requests()[0]);
    assert!(told.starts_with("[Image]\nUser text:\n"), "{told}");
    assert!(told.contains("what is it?"), "{told}");
    assert!(told.ends_with("Description:\nA red square."), "{told}");
    eyes.otherwise(Reply::Error(
        400,
        json!({"error": {"message": "no such thing"}}),
    ));
    send(&mut ws, "", "s2", picture());
    let told = asked(&gateway.model().requests()[1]);
    assert!(
        told.ends_with("Description:\n(The picture cannot be seen: looking at it failed.)"),
        "{told}"
    );
}

#[test]
fn a_picture_that_is_named_is_shown_to_a_model_that_sees() {
    let mut setup = Setup::with_fake_model();
    let model = &mut setup.config["models"]["providers"]["fake"]["models"][0];
    model["input"] = json!(["text", "image"]);
    let workspace = setup.dir.path().join("workspace");
    std::fs::write(workspace.join("cats.png"), b"\x89PNG\r\n\x1a\n..").unwrap();
    let gateway = setup.start();
    let mut ws = gateway.connect();
    send(
        &mut ws,
        "How many are on ./cats.png, and on ./none.png?",
        "n1",
        json!([]),
    );
    let request = gateway.model().requests().remove(0).to_string();
    assert_eq!(
        request.matches("data:image/png;base64,").count(),
        1,
        "{request}"
    );
}

#[test]
fn a_recording_that_came_with_a_message_is_heard_and_no_other_file_is() {
    let mut setup = Setup::with_fake_model();
    let cat = json!({"type": "cli", "command": "cat", "args": ["{{MediaPath}}"]});
    let broken = json!({"type": "cli", "command": "false"});
    setup.config["tools"] = json!({"media": {"audio": {"models": [broken, cat]}}});
    let inbound = setup.dir.path().join("state/media/inbound");
    std::fs::create_dir_all(&inbound).unwrap();
    std::fs::write(inbound.join("my voice.ogg"), "Buy milk.").unwrap();
    let elsewhere = setup.dir.path().join("state/openclaw.json");
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let note = |path: &std::path::Path| format!("[media attached: {} (audio/ogg)]", path.display());
    let text = format!(
        "{}\n<media:audio> please",
        note(&inbound.join("my voice.ogg"))
    );
    send(&mut ws, &text, "v1", json!([]));
    let told = asked(&gateway.model().requests()[0]);
    assert!(told.starts_with("[Audio]\nUser text:\n["), "{told}");
    assert!(told.contains(" please\n"), "{told}");
    assert!(told.ends_with("Transcript:\nBuy milk."), "{told}");
    assert!(!told.contains("media attached"), "{told}");
    send(&mut ws, &note(&elsewhere), "v2", json!([]));
    let told = asked(&gateway.model().requests()[1]);
    assert!(!told.contains("Transcript"), "{told}");
}

#[test]
fn the_image_tool_asks_the_model_that_sees_and_is_not_there_without_one() {
    let (setup, eyes) = with_eyes();
    eyes.say(&["Two cats."]);
    let workspace = setup.dir.path().join("workspace");
    std::fs::write(workspace.join("cats.png"), b"\x89PNG\r\n\x1a\n..").unwrap();
    std::fs::write(workspace.join("cats.txt"), b"cats").unwrap();
    let gateway = setup.start();
    let model = gateway.model();
    let call = |path: &str| {
        (
            "image".to_string(),
            json!({"image": path, "prompt": "How many cats?"}),
        )
    };
    model.reply(Reply::Tools(vec![
        call("@cats.png"),
        call("cats.txt"),
        call("http://127.0.0.1:1/x.png"),
    ]));
    let mut ws = gateway.connect();
    send(&mut ws, "count them", "t1", json!([]));
    let question = asked(&eyes.requests()[0]);
    assert_eq!(question, "How many cats?");
    assert_eq!(eyes.requests().len(), 1);
    let requests = model.requests();
    let results: Vec<&str> = requests[1]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["role"] == "tool")
        .map(|m| m["content"].as_str().unwrap())
        .collect();
    assert_eq!(results[0], "Two cats.");
    assert!(
        results[1].contains("not a picture this tool knows"),
        "{}",
        results[1]
    );
    assert!(
        results[2].contains("\"status\": \"error\""),
        "{}",
        results[2]
    );
    let offers = |request: &Value| {
        let tools = request["tools"].as_array().unwrap();
        tools.iter().any(|tool| tool["function"]["name"] == "image")
    };
    assert!(offers(&requests[0]));
    let blind = Gateway::with_fake_model();
    send(&mut blind.connect(), "hi", "t2", json!([]));
    assert!(!offers(&blind.model().requests()[0]));
}

#[test]
fn a_session_keeps_to_the_key_that_worked_and_to_one_that_was_pinned() {
    let setup = Setup::with_fake_model();
    let store = setup
        .dir
        .path()
        .join("state/agents/main/agent/auth-profiles.json");
    std::fs::create_dir_all(store.parent().unwrap()).unwrap();
    let profile = |key: &str| json!({"type": "api_key", "provider": "fake", "key": key});
    let profiles =
        json!({"version": 1, "profiles": {"fake:a": profile("sk-a"), "fake:b": profile("sk-b")}});
    std::fs::write(&store, profiles.to_string()).unwrap();
    let sessions = setup
        .dir
        .path()
        .join("state/agents/main/sessions/sessions.json");
    let entry = || {
        let text = std::fs::read(&sessions).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()[MAIN].clone()
    };
    let used = || {
        let text = std::fs::read(&store).unwrap();
        let store: Value = serde_json::from_slice(&text).unwrap();
        ["fake:a", "fake:b"].map(|id| store["usageStats"][id]["lastUsed"].as_u64().unwrap_or(0))
    };
    let gateway = setup.start();
    let mut ws = gateway.connect();
    for id in ["k1", "k2", "k3"] {
        send(&mut ws, "hi", id, json!([]));
    }
    // Without a session of its own the least recently used one would have been next.
    assert!(used()[0] > 0 && used()[1] == 0, "{:?}", used());
    // The index is written a moment behind.
    eventually("the key in the index", Duration::from_secs(5), || {
        (entry()["authProfileOverride"] == "fake:a").then_some(())
    });
    assert_eq!(entry()["authProfileOverrideSource"], "auto");
    let params = json!({"sessionKey": MAIN, "message": "hi", "idempotencyKey": "k4"});
    let mut text: Value = serde_json::from_slice(&std::fs::read(&sessions).unwrap()).unwrap();
    text[MAIN]["authProfileOverride"] = json!("fake:b");
    text[MAIN]["authProfileOverrideSource"] = json!("user");
    std::fs::write(&sessions, text.to_string()).unwrap();
    gateway.model().otherwise(Reply::Error(
        401,
        json!({"error": {"message": "Incorrect API key provided"}}),
    ));
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == "k4" && p["state"] == "final");
    // It failed, and the other key was not tried in its place.
    assert_eq!(gateway.model().requests().len(), 4);
    assert_eq!(entry()["authProfileOverride"], "fake:b");
}
