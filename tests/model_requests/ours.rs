//! The formats of which there is no recording: Ollama's lines, Bedrock's frames and ChatGPT's
//! responses, as their papers describe them, through the whole gateway.

use super::{Seen, ask, serve};
use crate::harness::Setup;
use crate::turn::transcript;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn setup(provider: &str, model: &str, port: u16, api: &str) -> Setup {
    let mut setup = Setup::new();
    setup.config["models"] = json!({"providers": {provider: {
        "baseUrl": format!("http://127.0.0.1:{port}"), "api": api,
        "models": [{
            "id": model, "name": "Fake", "reasoning": true, "input": ["text"],
            "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 32768, "maxTokens": 4096,
        }],
    }}});
    setup.config["agents"]["defaults"]["model"] = json!({"primary": format!("{provider}/{model}")});
    setup
}

fn question() -> Value {
    json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "what is there?"}]}]})
}

/// A turn in which the model runs a command and says what it saw.
fn turn(setup: Setup, seen: &super::Sent) -> Vec<Seen> {
    let gateway = setup.start();
    let last = ask(&gateway, &question());
    assert_eq!(last["payload"]["status"], "ok", "{last}");
    let told = &last["payload"]["result"]["payloads"][0]["text"];
    assert_eq!(told, "It says hi.", "{last}");
    let stored = transcript(&gateway);
    assert_eq!(
        super::roles(&stored),
        ["user", "assistant", "toolResult", "assistant"]
    );
    assert_eq!(stored[1]["stopReason"], "toolUse");
    assert_eq!(stored[3]["usage"]["input"], 20);
    assert_eq!(stored[3]["usage"]["totalTokens"], 24);
    std::mem::take(&mut *seen.lock().expect("no panic"))
}

#[test]
fn ollama_is_spoken_to_in_lines_and_runs_tools() {
    let answer = |lines: &[Value]| {
        let frames: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        json!({"response": {"status": 200,
            "headers": {"content-type": "application/x-ndjson"}, "frames": frames}})
    };
    let call = json!({"function": {"name": "exec", "arguments": {"command": "echo hi"}}});
    let (port, seen) = serve(vec![
        answer(&[
            json!({"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": false}),
            json!({"message": {"content": "", "tool_calls": [call]}, "done": false}),
            json!({"message": {"content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": 10, "eval_count": 2}),
        ]),
        answer(&[
            json!({"message": {"content": "It says "}, "done": false}),
            json!({"message": {"content": "hi."}, "done": false}),
            json!({"message": {"content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": 20, "eval_count": 4}),
        ]),
    ]);
    let seen = turn(setup("ollama", "qwen3", port, "openai-completions"), &seen);
    assert_eq!(seen[0].path, "/api/chat");
    let body = &seen[1].body;
    assert_eq!(body["options"]["num_ctx"], 32_768);
    let said = body["messages"].as_array().expect("messages");
    let [.., call, result] = &said[..] else {
        panic!("{body}")
    };
    assert_eq!(call["thinking"], "hm");
    assert_eq!(
        call["tool_calls"][0]["function"]["arguments"]["command"],
        "echo hi"
    );
    assert_eq!(result["role"], "tool");
    assert_eq!(result["tool_name"], "exec");
    assert!(
        result["content"]
            .as_str()
            .is_some_and(|text| text.contains("hi"))
    );
}

#[test]
fn a_chatgpt_subscription_is_spoken_to_as_its_account_and_runs_tools() {
    let answer = |item: Value, deltas: &[Value], input: u64, output: u64| {
        let mut events = vec![json!({"type": "response.output_item.added", "item": item})];
        events.extend_from_slice(deltas);
        let usage = json!({"input_tokens": input, "output_tokens": output,
            "total_tokens": input + output});
        events.push(json!({"type": "response.output_item.done", "item": item}));
        events.push(json!({"type": "response.completed",
            "response": {"status": "completed", "usage": usage}}));
        let frames: Vec<String> = events.iter().map(|e| format!("data: {e}\n\n")).collect();
        json!({"response": {"status": 200,
            "headers": {"content-type": "text/event-stream"}, "frames": frames}})
    };
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "exec",
        "arguments": "{\"command\":\"echo hi\"}"});
    let (port, seen) = serve(vec![
        answer(call, &[], 10, 2),
        answer(
            json!({"type": "message", "id": "msg_1", "content": []}),
            &[
                json!({"type": "response.content_part.added"}),
                json!({"type": "response.output_text.delta", "delta": "It says "}),
                json!({"type": "response.output_text.delta", "delta": "hi."}),
            ],
            20,
            4,
        ),
    ]);
    let mut setup = Setup::new();
    let provider = json!({"baseUrl": format!("http://127.0.0.1:{port}"), "models": []});
    setup.config["models"] = json!({"providers": {"openai-codex": provider}});
    let model = json!({"primary": "openai-codex/gpt-5.2"});
    setup.config["agents"]["defaults"]["model"] = model;
    let claims = json!({"https://api.openai.com/auth": {"chatgpt_account_id": "acc-7"}});
    let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let folder = setup.dir.path().join("state/agents/main/agent");
    std::fs::create_dir_all(&folder).expect("a folder");
    let profiles = json!({"version": 1, "profiles": {"openai-codex:default": {
        "type": "oauth", "provider": "openai-codex", "access": token, "refresh": "r",
        "expires": 4_000_000_000_000u64}}});
    std::fs::write(folder.join("auth-profiles.json"), profiles.to_string()).expect("a file");
    let asked = turn(setup, &seen);
    assert_eq!(asked[0].path, "/codex/responses");
    let header = |name: &str| {
        let mut all = asked[0].headers.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("chatgpt-account-id"), Some("acc-7"));
    assert_eq!(
        header("authorization"),
        Some(format!("Bearer {token}").as_str())
    );
    let body = &asked[1].body;
    assert!(
        body["instructions"]
            .as_str()
            .is_some_and(|text| text.len() > 1000)
    );
    let items = body["input"].as_array().expect("items");
    let kinds: Vec<&Value> = items.iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds[1..], ["function_call", "function_call_output"]);
    assert_eq!(items[1]["call_id"], "call_1");
    assert_eq!(items[2]["output"], "hi");
}

#[test]
fn azure_is_asked_with_its_own_header_at_its_customers_address() {
    let usage = json!({"input_tokens": 20, "output_tokens": 4, "total_tokens": 24});
    let item = json!({"type": "message", "id": "msg_1",
        "content": [{"type": "output_text", "text": "It is blue."}]});
    let frames: Vec<String> = [
        json!({"type": "response.output_item.added", "item": {"type": "message"}}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": usage}}),
    ]
    .iter()
    .map(|event| format!("data: {event}\n\n"))
    .collect();
    let (port, seen) = serve(vec![json!({"response": {"status": 200,
        "headers": {"content-type": "text/event-stream"}, "frames": frames}})]);
    let mut setup = Setup::new().env("AZURE_OPENAI_API_KEY", "azure-key").env(
        "AZURE_OPENAI_BASE_URL",
        &format!("http://127.0.0.1:{port}/openai/v1"),
    );
    let model = json!({"primary": "azure-openai-responses/gpt-4.1"});
    setup.config["agents"]["defaults"]["model"] = model;
    let gateway = setup.start();
    let last = ask(&gateway, &question());
    let told = &last["payload"]["result"]["payloads"][0]["text"];
    assert_eq!(told, "It is blue.", "{last}");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen[0].path, "/openai/v1/responses?api-version=v1");
    let header = |name: &str| seen[0].headers.iter().find(|(known, _)| known == name);
    assert_eq!(
        header("api-key").map(|(_, key)| key.as_str()),
        Some("azure-key")
    );
    assert_eq!(header("authorization"), None);
}

#[test]
fn bedrock_is_spoken_to_in_signed_requests_and_frames_and_runs_tools() {
    let answer = |events: &[(&str, Value)]| {
        let frames: Vec<Vec<u8>> = events
            .iter()
            .map(|(name, data)| frame(name, data))
            .collect();
        json!({"response": {"status": 200,
            "headers": {"content-type": "application/vnd.amazon.eventstream"}, "frames": frames}})
    };
    let used = |input: u64, output: u64| {
        let total = input + output;
        json!({"usage": {"inputTokens": input, "outputTokens": output, "totalTokens": total}})
    };
    let (port, seen) = serve(vec![
        answer(&[
            ("messageStart", json!({"role": "assistant"})),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 0,
                "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "exec"}}}),
            ),
            (
                "contentBlockDelta",
                json!({"contentBlockIndex": 0,
                "delta": {"toolUse": {"input": "{\"command\":\"echo hi\"}"}}}),
            ),
            ("contentBlockStop", json!({"contentBlockIndex": 0})),
            ("messageStop", json!({"stopReason": "tool_use"})),
            ("metadata", used(10, 2)),
        ]),
        answer(&[
            (
                "contentBlockDelta",
                json!({"contentBlockIndex": 0, "delta": {"text": "It says "}}),
            ),
            (
                "contentBlockDelta",
                json!({"contentBlockIndex": 0, "delta": {"text": "hi."}}),
            ),
            ("contentBlockStop", json!({"contentBlockIndex": 0})),
            ("messageStop", json!({"stopReason": "end_turn"})),
            ("metadata", used(20, 4)),
        ]),
    ]);
    let model = "anthropic.claude-x-v1:0";
    let setup = setup("amazon-bedrock", model, port, "bedrock-converse-stream")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "very-secret-key")
        .env("AWS_REGION", "eu-west-1");
    let seen = turn(setup, &seen);
    assert_eq!(
        seen[0].path,
        "/model/anthropic.claude-x-v1%3A0/converse-stream"
    );
    let header = |name: &str| {
        let found = seen[1].headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let signed = header("authorization");
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{signed}"
    );
    assert!(
        signed.contains("/eu-west-1/bedrock/aws4_request"),
        "{signed}"
    );
    assert!(!format!("{:?}", seen[1].headers).contains("very-secret-key"));
    let said = seen[1].body["messages"].as_array().expect("messages");
    let [.., call, result] = &said[..] else {
        panic!("{}", seen[1].body)
    };
    assert_eq!(call["content"][0]["toolUse"]["input"]["command"], "echo hi");
    let result = &result["content"][0]["toolResult"];
    assert_eq!(result["toolUseId"], "tooluse_1");
    assert_eq!(result["status"], "success");
}

/// A frame of AWS's event stream.
fn frame(event: &str, payload: &Value) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", "event"), (":event-type", event)] {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let total = 12 + headers.len() + payload.len() + 4;
    let mut out = (total as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// A bit at a time: not the way the program does it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}
