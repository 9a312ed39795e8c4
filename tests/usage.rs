//! What turns cost, and what providers say of their limits.

use crate::harness::Setup;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

#[test]
fn the_cost_of_turns_is_summed_by_day() {
    let mut setup = Setup::with_fake_model();
    setup.config["models"]["providers"]["fake"]["models"][0]["cost"] =
        json!({"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let none = ws.call("usage.cost", json!({"days": 3})).unwrap();
    assert_eq!((&none["days"], &none["daily"]), (&json!(3), &json!([])));
    for id in ["u1", "u2"] {
        let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": id});
        ws.call("chat.send", params).unwrap();
        ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
    }
    let history = ws
        .call("chat.history", json!({"sessionKey": "main"}))
        .unwrap();
    let used: Vec<&Value> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|message| message.get("usage"))
        .collect();
    assert_eq!(used.len(), 2);
    let sum = |name: &str| -> f64 {
        used.iter()
            .map(|u| u.pointer(name).unwrap().as_f64().unwrap())
            .sum()
    };
    let cost = ws.call("usage.cost", json!({})).unwrap();
    assert_eq!(cost["days"], 30);
    let totals = &cost["totals"];
    assert_eq!(totals["input"].as_f64().unwrap(), sum("/input"));
    assert_eq!(totals["totalTokens"].as_f64().unwrap(), sum("/totalTokens"));
    assert!((totals["totalCost"].as_f64().unwrap() - sum("/cost/total")).abs() < 1e-12);
    assert!(totals["totalCost"].as_f64().unwrap() > 0.0);
    assert_eq!(totals["missingCostEntries"], 0);
    let days = cost["daily"].as_array().unwrap();
    assert!(
        days.iter()
            .all(|day| day["date"].as_str().unwrap().len() == 10)
    );
    assert!(!days.is_empty());
    // The first answer still holds for its span.
    let kept = ws.call("usage.cost", json!({"days": "3"})).unwrap();
    assert_eq!(kept, none);
}

#[test]
fn limits_are_asked_where_a_subscription_has_a_key_and_failures_are_told() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        let (mut socket, _) = server.accept().unwrap();
        let mut head = String::new();
        for line in BufReader::new(socket.try_clone().unwrap()).lines() {
            let line = line.unwrap();
            if line.is_empty() {
                break;
            }
            head.push_str(&line.to_lowercase());
            head.push('\n');
        }
        let body = r#"{"five_hour":{"utilization":12.5,"resets_at":"2026-11-21T05:42:27Z"},"seven_day":{"utilization":101}}"#;
        write!(
            socket,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        head
    });
    let mut setup = Setup::with_fake_model();
    setup.config["models"]["providers"]["anthropic"] =
        json!({"baseUrl": format!("http://127.0.0.1:{port}"), "models": []});
    let setup = setup
        .env("ANTHROPIC_OAUTH_TOKEN", "sk-ant-oat-1")
        .env("ZAI_API_KEY", "z");
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let status = ws.call("usage.status", json!({})).unwrap();
    assert_eq!(
        status["providers"],
        json!([
            {"provider": "anthropic", "displayName": "Claude", "windows": [
                {"label": "5h", "usedPercent": 12.5, "resetAt": 1_795_239_747_000u64},
                {"label": "Week", "usedPercent": 100.0}]},
            {"provider": "zai", "displayName": "z.ai", "windows": [], "error": "not asked by this version"}
        ])
    );
    let head = asked.join().unwrap();
    assert!(head.starts_with("get /api/oauth/usage "), "{head}");
    assert!(head.contains("authorization: bearer sk-ant-oat-1"));
    assert!(!gateway.log().contains("sk-ant-oat-1"));
}
