//! Commands and settings in a chat: answered without a model, kept in the transcript, and only for
//! those who may.

use crate::harness::model::{Reply, asked};
use crate::harness::{Gateway, Setup, Ws};
use serde_json::{Value, json};
use std::time::Duration;

const MAIN: &str = "agent:main:main";

/// Sends a message and returns the text of its final event.
pub fn ask(ws: &mut Ws, id: &str, message: &str) -> String {
    let params = json!({"sessionKey": MAIN, "message": message, "idempotencyKey": id});
    let sent = ws.call("chat.send", params).unwrap();
    assert_eq!(sent["status"], "started", "{sent}");
    let event = ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
    let message = &event["payload"]["message"];
    message["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
        .to_string()
}

fn history(ws: &mut Ws) -> Vec<Value> {
    let history = ws
        .call("chat.history", json!({"sessionKey": MAIN}))
        .unwrap();
    history["messages"].as_array().unwrap().clone()
}

fn entry(ws: &mut Ws) -> Value {
    let list = ws.call("sessions.list", json!({})).unwrap();
    list["sessions"][0].clone()
}

#[test]
fn a_status_card_is_answered_without_a_model_even_while_one_works() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let card = ask(&mut ws, "c1", "/status");
    assert!(card.starts_with("🦞 OpenClaw 2026.2.3"), "{card}");
    assert!(
        card.contains("\n🧠 Model: fake/fake-1 · 🔑 api-key "),
        "{card}"
    );
    assert!(!card.contains("🧮"), "{card}");
    assert!(card.ends_with("\n🪢 Queue: collect (depth 0)"), "{card}");
    let last = history(&mut ws).pop().unwrap();
    assert_eq!(last["role"], "assistant");
    assert_eq!(last["stopReason"], "injected");
    assert_eq!(last["content"][0]["text"], card.as_str());
    gateway.model().reply(Reply::Hang);
    let busy = json!({"sessionKey": MAIN, "message": "think", "idempotencyKey": "c2"});
    ws.call("chat.send", busy).unwrap();
    gateway.model().wait_request(1);
    let waits = json!({"sessionKey": MAIN, "message": "more", "idempotencyKey": "c3"});
    ws.call("chat.send", waits).unwrap();
    let card = ask(&mut ws, "c4", "/status");
    assert!(card.ends_with("(depth 1)"), "{card}");
    let again = json!({"sessionKey": MAIN, "message": "/status", "idempotencyKey": "c4"});
    assert_eq!(ws.call("chat.send", again).unwrap()["status"], "ok");
    let stop = json!({"sessionKey": MAIN, "message": "/stop now", "idempotencyKey": "c5"});
    assert_eq!(ws.call("chat.send", stop).unwrap()["runIds"], json!(["c2"]));
}

#[test]
fn settings_alone_hold_for_the_session_and_beside_words_for_one_message() {
    let mut setup = Setup::with_fake_model();
    let models = &mut setup.config["models"]["providers"]["fake"]["models"];
    let mut second = models[0].clone();
    second["id"] = json!("fake-2");
    models.as_array_mut().unwrap().push(second);
    let gateway = setup.start();
    gateway
        .model()
        .otherwise(Reply::Text(vec!["ok".into()], Duration::ZERO));
    let mut ws = gateway.connect();
    assert_eq!(ask(&mut ws, "s1", "/think high"), "⚙️ Thinking: high.");
    assert_eq!(entry(&mut ws)["thinkingLevel"], "high");
    assert!(ask(&mut ws, "s2", "/t nonsense").starts_with("⚠️ "));
    assert!(ask(&mut ws, "s3", "/verbose").contains("Verbose: off."));
    let queue = ask(&mut ws, "s4", "/queue steer debounce:2s cap:5");
    assert!(
        queue.starts_with("⚙️ Queue: steer, debounce 2000 ms, cap 5,"),
        "{queue}"
    );
    assert!(ask(&mut ws, "s5", "/queue default").contains("Queue: collect"));
    assert_eq!(gateway.model().requests().len(), 0);
    assert_eq!(ask(&mut ws, "s6", "what is this? /model fake-2"), "ok");
    let request = gateway.model().wait_request(1);
    assert_eq!(request["model"], "fake-2");
    assert!(
        asked(&request).contains("] what is this?\n"),
        "{}",
        asked(&request)
    );
    assert_eq!(ask(&mut ws, "s7", "and now"), "ok");
    assert_eq!(gateway.model().wait_request(2)["model"], "fake-1");
    assert_eq!(
        ask(&mut ws, "s8", "/model fake-2"),
        "⚙️ Model: fake/fake-2."
    );
    assert_eq!(ask(&mut ws, "s9", "/think about it"), "ok");
    let request = gateway.model().wait_request(3);
    assert_eq!(request["model"], "fake-2");
    assert!(asked(&request).contains("] /think about it\n"));
    assert_eq!(ask(&mut ws, "s10", "/new fake-1 hello"), "ok");
    let request = gateway.model().wait_request(4);
    assert!(asked(&request).contains("] hello\n"));
    assert_eq!(request["model"], "fake-1");
    assert!(entry(&mut ws)["thinkingLevel"].is_null());
}

#[test]
fn what_reaches_beyond_the_conversation_wants_its_scope_and_its_switch() {
    let mut setup = Setup::with_fake_model();
    setup.config["commands"] = json!({"config": true, "bash": true, "debug": true});
    setup.config["channels"] = json!({"telegram": {"enabled": false, "allowFrom": ["bob"]}});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    assert_eq!(
        ask(&mut ws, "b1", "! echo from-the-host; pwd | wc -l")
            .lines()
            .next(),
        Some("from-the-host")
    );
    assert!(ask(&mut ws, "b2", "!poll").contains("No command"));
    let set = ask(&mut ws, "b3", "/config set messages.queue.mode=followup");
    assert_eq!(set, "⚙️ Set messages.queue.mode.");
    assert!(ask(&mut ws, "b4", "/config show messages.queue.mode").contains("followup"));
    let shown = ask(&mut ws, "b5", "/config show gateway.auth");
    assert!(!shown.contains(gateway.token()), "{shown}");
    let set = ask(&mut ws, "d1", "/debug set messages.queue.mode=steer");
    assert_eq!(
        set,
        "⚙️ Set messages.queue.mode until the gateway restarts."
    );
    let mode = |ws: &mut Ws, id: &str| {
        let card = ask(ws, id, "/status");
        card.rsplit("Queue: ").next().unwrap().to_string()
    };
    let mut asked = 0;
    crate::harness::eventually("the setting", Duration::from_secs(10), || {
        asked += 1;
        let mode = mode(&mut ws, &format!("d2-{asked}"));
        mode.starts_with("steer ").then_some(())
    });
    let file = std::fs::read_to_string(gateway.config_path()).unwrap();
    assert!(!file.contains("steer"));
    assert!(ask(&mut ws, "a4", "/tts on").contains("not"));
    assert!(ask(&mut ws, "d3", "/debug set gateway.port=1").starts_with("⚠️ "));
    assert!(ask(&mut ws, "d4", "/debug show").contains("steer"));
    assert!(ask(&mut ws, "b6", "/restart").contains("commands.restart=true"));
    assert!(ask(&mut ws, "b7", "/approve none deny").contains("No command waits"));
    let mut low = Ws::open(gateway.port());
    let mut params = low.params(gateway.token());
    params["scopes"] = json!(["operator.read", "operator.write"]);
    low.hello(&params).unwrap();
    for (id, message) in [
        ("l1", "! id"),
        ("l2", "/config show"),
        ("l7", "/debug show"),
        ("l3", "/elevated full"),
        ("l4", "/exec security=full"),
        ("l5", "/approve x allow-once"),
        ("l6", "/restart"),
        ("l10", "/allowlist add dm channel=telegram me"),
    ] {
        let said = ask(&mut low, id, message);
        assert!(
            said.contains("missing scope: operator."),
            "{message}: {said}"
        );
    }
    let beside =
        json!({"sessionKey": MAIN, "message": "do it /elevated full", "idempotencyKey": "l8"});
    let refused = low.call("chat.send", beside).unwrap_err();
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("missing scope"),
        "{refused}"
    );
    assert!(ask(&mut low, "l9", "/whoami").contains("operator.write"));
    let list = "/allowlist list dm channel=telegram";
    assert!(ask(&mut ws, "a1", list).contains("- allowFrom: bob"));
    let add = "/allowlist add dm eve channel=telegram";
    assert_eq!(
        ask(&mut ws, "a2", add),
        "⚙️ channels.telegram.allowFrom: bob, eve"
    );
    assert_eq!(gateway.model().requests().len(), 0);
}

#[test]
fn a_session_that_may_not_be_answered_can_be_told_to_answer_again() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    assert_eq!(ask(&mut ws, "p1", "/send off"), "⚙️ Send: off.");
    let words = json!({"sessionKey": MAIN, "message": "hi", "idempotencyKey": "p2"});
    let refused = ws.call("chat.send", words).unwrap_err();
    assert_eq!(refused["message"], "send blocked by session policy");
    assert_eq!(
        ask(&mut ws, "p3", "/send inherit"),
        "⚙️ Send: as configured."
    );
    assert!(!ask(&mut ws, "p4", "hi").is_empty());
}

#[test]
fn help_lists_commands_and_skills_and_a_skill_is_a_command() {
    let gateway = Gateway::with_fake_model();
    let skill = gateway.workspace().join("skills/paint-it");
    std::fs::create_dir_all(&skill).unwrap();
    let text = "---\nname: paint-it\ndescription: Paints things.\n---\nPaint.";
    std::fs::write(skill.join("SKILL.md"), text).unwrap();
    let mut ws = gateway.connect();
    assert!(ask(&mut ws, "h1", "/help").contains("/status - "));
    let pages: String = (1..5)
        .map(|n| ask(&mut ws, &format!("h2-{n}"), &format!("/commands {n}")))
        .collect();
    assert!(pages.contains("/paint_it - Paints things."), "{pages}");
    assert!(ask(&mut ws, "h3", "/context").contains("Tools: "));
    assert!(ask(&mut ws, "h4", "/subagents").contains("no sub-agents"));
    assert!(ask(&mut ws, "h5", "/usage cost").contains("Last 30 days: $"));
    assert!(ask(&mut ws, "h6", "/models").contains("1. fake/fake-1"));
    assert_eq!(gateway.model().requests().len(), 0);
    ask(&mut ws, "h8", "/paint_it the fence");
    let said = asked(&gateway.model().wait_request(1));
    assert!(
        said.contains("paint-it/SKILL.md") && said.contains("the fence"),
        "{said}"
    );
    ask(&mut ws, "h9", "/no_such_command at all");
    assert!(asked(&gateway.model().wait_request(2)).contains("/no_such_command at all"));
    assert!(ask(&mut ws, "h7", "/compact").starts_with("⚙️ "));
    // The footer is people's: the conversation does not keep it.
    assert_eq!(ask(&mut ws, "h10", "/usage full"), "⚙️ Usage: full.");
    let said = ask(&mut ws, "h11", "hello");
    let footer = "\nUsage: 100 in / 10 out · session agent:main:main";
    assert!(said.ends_with(footer), "{said}");
    assert!(
        !history(&mut ws)
            .iter()
            .any(|m| m.to_string().contains("Usage: 100"))
    );
}

#[test]
fn a_group_is_told_to_the_model_as_one_and_is_answered_as_its_activation_says() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let key = "agent:main:telegram:group:-7";
    let params = json!({"sessionKey": key, "message": "hi all", "idempotencyKey": "g1",
        "groupId": "-7", "groupChannel": "fam \"x\"", "extraSystemPrompt": "No swearing."});
    ws.send("agent", params);
    let system = gateway.model().wait_request(1)["messages"][0].to_string();
    assert!(
        system.contains("is a group chat, called \\\"fam x\\\"."),
        "{system}"
    );
    assert!(system.contains("No swearing.") && !system.contains("shown every message"));
    let mut say = |id: &str, message: &str| {
        let params = json!({"sessionKey": key, "message": message, "idempotencyKey": id});
        ws.call("chat.send", params).unwrap();
        let event = ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
        event["payload"]["message"]["content"][0]["text"].to_string()
    };
    assert!(say("g2", "/activation").contains("Activation: mention."));
    assert!(say("g3", "/activation always").contains("Activation: always."));
    say("g4", "hello");
    let system = gateway.model().wait_request(2)["messages"][0].to_string();
    assert!(system.contains("shown every message"), "{system}");
}
