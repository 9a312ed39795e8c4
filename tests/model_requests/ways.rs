//! Runs that go another way: a second turn, a stop, a busy service, keys that are refused, a
//! conversation that is too long.

use super::{
    MAIN, ask, asked, comparable, compare, model, provider, recording, roles, same_headers, serve,
    setup,
};
use crate::harness::skip;
use crate::turn::{agent, transcript};
use serde_json::{Value, json};

#[test]
fn a_recorded_second_turn_repeats_the_first_as_the_original_does() {
    let name = "openai-responses-second-turn";
    let (Some(first), Some(second)) = (recording("openai-responses-exec"), recording(name)) else {
        return skip(name, "no recordings here");
    };
    let all: Vec<Value> = first.iter().chain(&second).cloned().collect();
    let (port, seen) = serve(all.clone());
    let gateway = setup(name, &model(&first[0]), port).start();
    for turn in [&first, &second] {
        let last = ask(&gateway, &turn[0]["body"]);
        assert_eq!(last["payload"]["status"], "ok", "{last}");
    }
    compare(name, &seen, &all);
    let stored = transcript(&gateway);
    let turn = ["user", "assistant", "toolResult", "assistant"];
    assert_eq!(roles(&stored), [&turn[..], &turn[..2]].concat());
}

#[test]
fn a_recorded_stop_leaves_no_trace_in_the_next_request() {
    let name = "openai-completions-abort";
    let Some(exchanges) = recording(name) else {
        return skip(name, "no recordings here");
    };
    let (port, seen) = serve(exchanges.clone());
    let gateway = setup(name, &model(&exchanges[0]), port).start();
    let mut ws = gateway.connect();
    let (text, _) = asked(&exchanges[0]["body"]);
    let slow = json!({"message": text, "sessionKey": MAIN, "idempotencyKey": "slow"});
    ws.call("chat.send", slow).expect("accepted");
    ws.event_where("agent", |p| p["stream"] == "assistant");
    let stop = json!({"sessionKey": MAIN, "runId": "slow"});
    assert_eq!(ws.call("chat.abort", stop).expect("ok")["aborted"], true);
    ws.event_where("chat", |p| p["state"] == "aborted");
    let last = ask(&gateway, &exchanges[1]["body"]);
    assert_eq!(last["payload"]["status"], "ok", "{last}");
    compare(name, &seen, &exchanges);
}

#[test]
fn recorded_refusals_lead_to_the_next_key_and_model() {
    let name = "openai-completions-failover";
    let Some(mut exchanges) = recording(name) else {
        return skip(name, "no recordings here");
    };
    let recorded = exchanges.clone();
    // The original says the person's words once more for each try.
    for exchange in &mut exchanges {
        let anthropic = exchange["body"].get("system").is_some();
        let messages = exchange["body"]["messages"].as_array_mut();
        let messages = messages.expect("messages");
        messages.dedup_by(|later, earlier| {
            let same = later["role"] == "user"
                && later["content"][0]["text"] == earlier["content"][0]["text"];
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        if anthropic {
            // What a person said in a row is one turn, as in the original once it is reloaded.
            messages.dedup_by(|later, earlier| {
                let parts = later["content"].as_array_mut().expect("parts");
                let all = earlier["content"].as_array_mut().expect("parts");
                all.append(parts);
                true
            });
        }
    }
    let (port, seen) = serve(exchanges.clone());
    let (first, other) = (model(&exchanges[0]), model(&exchanges[2]));
    let mut setup = setup(name, &first, port);
    setup.config["models"]["providers"]["other"] = provider("anthropic", &other, port);
    setup.config["models"]["providers"]["other"]["models"][0]["maxTokens"] = json!(32_000);
    setup.config["models"]["providers"]["other"]["models"][0]["reasoning"] = json!(false);
    setup.config["agents"]["defaults"]["model"]["fallbacks"] = json!([format!("other/{other}")]);
    let key = |key: &str| json!({"type": "api_key", "provider": "fake", "key": key});
    let store = setup.dir.path().join("state/agents/main/agent");
    std::fs::create_dir_all(&store).expect("a folder");
    let profiles = json!({"version": 1, "order": {"fake": ["fake:a", "fake:b"]},
        "profiles": {"fake:a": key("sk-a"), "fake:b": key("sk-b")}});
    std::fs::write(store.join("auth-profiles.json"), profiles.to_string()).expect("a file");
    setup.config["models"]["providers"]["fake"]
        .as_object_mut()
        .expect("a provider")
        .remove("apiKey");
    let gateway = setup.start();
    let last = ask(&gateway, &recorded[0]["body"]);
    let told = last["error"]["message"].as_str().unwrap_or_default();
    let both = [&first, &other].map(|name| told.contains(name.as_str()));
    assert!(
        told.starts_with("All models failed (2): ") && both == [true; 2],
        "{last}"
    );
    let last = ask(&gateway, &recorded[3]["body"]);
    assert_eq!(
        last["payload"]["result"]["meta"]["agentMeta"]["model"],
        other
    );
    compare(name, &seen, &exchanges);
    let kept = std::fs::read(store.join("auth-profiles.json")).expect("a file");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    for id in ["fake:a", "fake:b"] {
        let stats = &kept["usageStats"][id];
        let rest = stats["cooldownUntil"].as_u64().unwrap_or(0)
            - stats["lastFailureAt"].as_u64().unwrap_or(0);
        assert_eq!(
            (rest, &stats["failureCounts"]["auth"]),
            (60_000, &json!(1)),
            "{kept}"
        );
    }
}

#[test]
fn a_recorded_overflow_is_summarised_twice_and_the_words_are_kept() {
    let name = "openai-completions-overflow";
    let Some(recorded) = recording(name) else {
        return skip(name, "no recordings here");
    };
    // The original summarises nothing at all; here there is something.
    let earlier = vec![recorded[4].clone(); 4];
    let all: Vec<Value> = earlier.iter().chain(&recorded).cloned().collect();
    let (port, seen) = serve(all);
    let gateway = setup(name, &model(&recorded[0]), port).start();
    let mut ws = gateway.connect();
    for n in 0..earlier.len() {
        let params = json!({"message": format!("earlier {n}"), "sessionKey": MAIN,
            "idempotencyKey": format!("earlier-{n}")});
        agent(&mut ws, params);
    }
    let last = ask(&gateway, &recorded[0]["body"]);
    assert_eq!(last["payload"]["status"], "ok", "{last}");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), earlier.len() + recorded.len());
    let (words, _) = asked(&recorded[0]["body"]);
    for (ours, theirs) in seen.iter().skip(earlier.len()).zip(&recorded) {
        same_headers(name, ours, theirs);
        let (own, original) = (comparable(&ours.body), comparable(&theirs["body"]));
        let keys = |body: &Value| {
            let mut body = body.clone();
            body["messages"] = Value::Null;
            if theirs["n"] == 4 {
                // Ours is of one turn's beginning, which takes fewer words.
                body["max_completion_tokens"] = Value::Null;
            }
            body.to_string()
        };
        assert_eq!(keys(&own), keys(&original));
        let asked = own["messages"].to_string();
        let summary = ["<summary>", "## Goal"].map(|tag| asked.contains(tag));
        match theirs["n"].as_u64() {
            Some(1) => assert_eq!(summary, [false; 2]),
            Some(2 | 4) => assert!(asked.contains("<conversation>"), "{asked}"),
            _ => assert_eq!(summary, [true; 2], "{asked}"),
        }
        let summarises = theirs["body"].get("tools").is_none();
        // The original asks its last question without the person's words.
        assert_eq!(!summarises, asked.contains(&words), "{}", theirs["n"]);
    }
    let stored = transcript(&gateway);
    let times = stored
        .iter()
        .filter(|m| m.to_string().contains(&words))
        .count();
    assert_eq!(times, 1);
}

#[test]
fn recorded_refusals_of_a_busy_service_are_met_with_as_many_requests() {
    for (name, times) in [
        ("google-error-429", 4),
        ("openai-completions-error-429", 12),
    ] {
        let Some(mut exchanges) = recording(name) else {
            return skip(name, "no recordings here");
        };
        assert_eq!(exchanges.len(), times, "{name}");
        // Recorded are half a minute of waits.
        for exchange in &mut exchanges {
            exchange["response"]["headers"]["retry-after-ms"] = json!("10");
        }
        let (port, seen) = serve(exchanges.clone());
        let setup = setup(name, &model(&exchanges[0]), port);
        let folder = setup.dir.path().join("state/agents/main/agent");
        std::fs::create_dir_all(&folder).expect("a folder");
        let hasty = r#"{"retry": {"baseDelayMs": 20}}"#;
        std::fs::write(folder.join("settings.json"), hasty).expect("a file");
        let gateway = setup.start();
        let last = ask(&gateway, &exchanges[0]["body"]);
        let told = &last["payload"]["result"]["payloads"][0]["text"];
        let told = told.as_str().unwrap_or_default();
        assert!(told.contains("Rate limit reached for requests"), "{last}");
        compare(name, &seen, &exchanges);
        let stored = transcript(&gateway);
        let mut expected = vec!["assistant"; 5];
        expected[0] = "user";
        assert_eq!(roles(&stored), expected, "{name}");
        assert!(stored[1..].iter().all(|m| m["stopReason"] == "error"));
    }
}
