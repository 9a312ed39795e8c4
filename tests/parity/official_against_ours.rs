//! The unmodified official client against our gateway: what an operator reads of it. What
//! each command ends with, and its keys, is `official_commands`' business.

use super::official;
use crate::harness::{self, Gateway, Setup};
use serde_json::Value;
use std::process::Output;

/// Runs an official command against `gateway` and expects it to succeed.
fn ask(gateway: &Gateway, args: &[&str]) -> Output {
    let (home, state) = (gateway.home(), gateway.state());
    let config = gateway.config_path();
    let output = official::run(
        args,
        &[
            ("HOME", home.to_str().expect("UTF-8")),
            ("OPENCLAW_STATE_DIR", state.to_str().expect("UTF-8")),
            ("OPENCLAW_CONFIG_PATH", config.to_str().expect("UTF-8")),
            ("OPENCLAW_GATEWAY_PORT", &gateway.port().to_string()),
            ("OPENCLAW_GATEWAY_TOKEN", gateway.token()),
        ],
    );
    succeeded(args, output)
}

fn succeeded(args: &[&str], output: Output) -> Output {
    assert!(
        output.status.success(),
        "openclaw {args:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let start = text.find(['{', '[']).unwrap_or(0);
    serde_json::from_str(text[start..].trim()).unwrap_or_else(|err| panic!("{err} in {text}"))
}

/// Every method of the first issue that needs no session of its own, with its params.
const CALLS: &[(&str, &str)] = &[
    ("health", "{}"),
    ("status", "{}"),
    ("system-presence", "{}"),
    ("system-event", r#"{"text":"hello"}"#),
    ("last-heartbeat", "{}"),
    ("logs.tail", r#"{"limit":5}"#),
    ("config.get", "{}"),
    ("models.list", "{}"),
    ("agents.list", "{}"),
    ("agent.identity.get", r#"{"agentId":"main"}"#),
    ("channels.status", r#"{"probe":false}"#),
    ("sessions.list", r#"{"limit":5}"#),
    ("sessions.preview", r#"{"keys":["agent:main:main"]}"#),
    ("sessions.resolve", r#"{"key":"agent:main:main"}"#),
    ("chat.history", r#"{"sessionKey":"agent:main:main"}"#),
    (
        "chat.inject",
        r#"{"sessionKey":"agent:main:main","message":"noted","label":"test"}"#,
    ),
    ("chat.abort", r#"{"sessionKey":"agent:main:main"}"#),
    ("agent.wait", r#"{"runId":"none","timeoutMs":0}"#),
];

#[test]
fn the_official_client_shows_a_person_what_our_gateway_says() {
    if let Err(why) = official::program() {
        return harness::skip(
            "the_official_client_shows_a_person_what_our_gateway_says",
            &why,
        );
    }
    let gateway = Gateway::with_fake_model();
    let health = json(&ask(&gateway, &["health", "--json"]));
    assert_eq!(health["ok"], true);
    let service = json(&ask(&gateway, &["gateway", "status", "--json"]));
    assert_eq!(service["rpc"]["ok"], true, "{service}");
    ask(&gateway, &["gateway", "probe"]);
    // From the second connect on the client presents the device token it was given.
    for args in [&["status"][..], &["status", "--deep"]] {
        let status = ask(&gateway, args);
        let text = String::from_utf8_lossy(&status.stdout);
        assert!(text.contains("reachable"), "{text}");
    }
    let answer = json(&ask(
        &gateway,
        &["agent", "--agent", "main", "--message", "hello", "--json"],
    ));
    assert_eq!(answer["status"], "ok", "{answer}");
    let reply = answer["result"]["payloads"][0]["text"].as_str();
    assert!(reply.is_some_and(|text| !text.is_empty()), "{answer}");

    // Without the plugins, which only cost the client time here.
    let (home, state) = (gateway.home(), gateway.state());
    let config = official::without_plugins(&state);
    let port = gateway.port().to_string();
    let environment = [
        ("HOME", home.as_os_str()),
        ("OPENCLAW_STATE_DIR", state.as_os_str()),
        ("OPENCLAW_CONFIG_PATH", config.as_os_str()),
        ("OPENCLAW_GATEWAY_PORT", port.as_ref()),
        ("OPENCLAW_GATEWAY_TOKEN", gateway.token().as_ref()),
    ];
    for (method, params) in CALLS {
        let call = ["gateway", "call", method, "--params", params, "--json"];
        json(&succeeded(&call, official::run(&call, &environment)));
    }
    let logs = ask(&gateway, &["logs", "--limit", "20", "--json"]);
    let first = String::from_utf8_lossy(&logs.stdout);
    assert!(
        first.lines().any(|line| line.contains("\"type\":\"log\"")),
        "{first}"
    );
    let sessions = ask(&gateway, &["sessions"]);
    assert!(String::from_utf8_lossy(&sessions.stdout).contains("agent:main:main"));
    ask(&gateway, &["models", "status"]);
}

#[test]
fn the_official_client_comes_in_over_tls_and_only_past_the_certificate_it_knows() {
    let test = "the_official_client_comes_in_over_tls_and_only_past_the_certificate_it_knows";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let mut setup = Setup::with_fake_model();
    setup.config["gateway"]["tls"] = serde_json::json!({"enabled": true});
    let gateway = setup.start();
    // It finds our certificate where its own would be, and pins it.
    assert_eq!(json(&ask(&gateway, &["health", "--json"]))["ok"], true);
    let status = ask(&gateway, &["status"]);
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("wss://127.0.0.1"), "{text}");
    let call = ["gateway", "call", "config.get", "--json"];
    assert_eq!(json(&ask(&gateway, &call))["valid"], true);

    let dir = gateway.dir().join("far");
    std::fs::create_dir_all(&dir).unwrap();
    let far = |pin: &str| {
        let config = serde_json::json!({"gateway": {"mode": "remote", "remote": {
            "url": format!("wss://127.0.0.1:{}", gateway.port()),
            "token": gateway.token(), "tlsFingerprint": pin,
        }}});
        std::fs::write(dir.join("openclaw.json"), config.to_string()).unwrap();
        let dir = dir.to_str().expect("UTF-8");
        let env = [
            ("HOME", dir),
            ("OPENCLAW_STATE_DIR", dir),
            ("OPENCLAW_CONFIG_PATH", &format!("{dir}/openclaw.json")),
        ];
        official::run(&["health", "--json"], &env)
    };
    let cert = gateway.state().join("gateway/tls/gateway-cert.pem");
    let pin = openclaw::net::certificate::fingerprint(&cert).unwrap();
    assert!(far(&pin).status.success());
    assert!(!far(&"ab".repeat(32)).status.success());
}

#[test]
fn the_official_client_gets_an_answer_of_the_real_local_model() {
    let test = "the_official_client_gets_an_answer_of_the_real_local_model";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let (setup, _tap) = match Setup::with_local_model("openai-completions", 24) {
        Ok(ready) => ready,
        Err(why) => return harness::skip(test, &why),
    };
    let gateway = setup.start();
    let asked = [
        "agent",
        "--agent",
        "main",
        "--message",
        "Say hello.",
        "--json",
    ];
    let answer = json(&ask(&gateway, &asked));
    let reply = answer["result"]["payloads"][0]["text"].as_str();
    assert!(
        reply.is_some_and(|text| !text.trim().is_empty()),
        "{answer}"
    );
    assert_eq!(answer["result"]["meta"]["agentMeta"]["provider"], "local");
}
