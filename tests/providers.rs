//! The wire formats against recorded conversations of the original: our request must be its request,
//! byte for byte, and what we make of the answer must lead to its next request.

use crate::harness::AT_ONCE;
use crate::harness::heard::{Seen, hear};
use openclaw::base::cancel::Cancel;
use openclaw::base::secret::Secret;
use openclaw::model::{Class, Client, Delta, Error, Live, Request, Target, ToolSpec};
use openclaw::wire::message::{
    Assistant, Block, Content, Message, StopReason, ToolResult, Usage, User,
};
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Serves the exchanges one after another, each on whatever connection asks next.
fn serve(exchanges: Vec<Value>) -> (String, std::thread::JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut exchanges = exchanges.into_iter().peekable();
        while exchanges.peek().is_some() {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            while exchanges.peek().is_some() {
                let Some(request) = hear(&mut reader) else {
                    break;
                };
                seen.push(request);
                answer(reader.get_mut(), &exchanges.next().unwrap());
            }
        }
        seen
    });
    (url, served)
}

/// Frames go out one chunk each.
fn answer(stream: &mut TcpStream, exchange: &Value) {
    let mut head = format!("HTTP/1.1 {} X\r\n", exchange["status"]);
    for (name, value) in exchange["responseHeaders"].as_object().unwrap() {
        head += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    head += "transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for frame in exchange["frames"].as_array().unwrap() {
        let frame = frame.as_str().unwrap();
        write!(stream, "{:x}\r\n{frame}\r\n", frame.len()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
}

fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model");
    let text = std::fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
    let recording: Value = serde_json::from_str(&text).unwrap();
    recording["exchanges"].as_array().unwrap().clone()
}

/// The target the recording was made with.
fn target(name: &str, body: &Value, url: &str) -> Target {
    let (api, base, key, max) = match name {
        n if n.starts_with("anthropic") => ("anthropic-messages", "", "sk-fake-anth", 64_000),
        n if n.starts_with("openai-responses") => {
            ("openai-responses", "/v1", "sk-fake-resp", 16_384)
        }
        _ => ("openai-completions", "/v1", "sk-fake-oai", 8192),
    };
    Target {
        provider: "fake".into(),
        model: body["model"].as_str().unwrap().into(),
        name: "Fake".into(),
        api: api.into(),
        base_url: format!("{url}{base}"),
        key: Some(Secret::new(key)),
        reasoning: body.get("reasoning").is_some() || body.get("thinking").is_some(),
        images: true,
        tools: true,
        context_window: 200_000,
        max_tokens: max,
        ..Target::default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn tool_call(id: String, name: &Value, arguments: Value) -> Block {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object")
    };
    Block::ToolCall {
        id,
        name: text(name),
        arguments,
        thought_signature: None,
    }
}

fn said(target: &Target, content: Vec<Block>) -> Message {
    Message::Assistant(Assistant {
        content,
        api: target.api.clone(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        usage: Usage::default(),
        stop_reason: StopReason::Stop,
        error_message: None,
        timestamp: 0,
    })
}

fn result(id: &str, output: &Value, failed: bool) -> Message {
    Message::ToolResult(ToolResult {
        tool_call_id: id.into(),
        tool_name: String::new(),
        content: vec![Block::text(text(output))],
        details: None,
        is_error: failed,
        timestamp: 0,
    })
}

fn blocks(parts: &Value) -> Vec<Block> {
    let parts = parts.as_array().into_iter().flatten();
    parts
        .map(|part| match part["type"].as_str().unwrap() {
            "image_url" => {
                let url = text(&part["image_url"]["url"]);
                let (mime, data) = url[5..].split_once(";base64,").unwrap();
                Block::Image {
                    data: data.into(),
                    mime_type: mime.into(),
                }
            }
            "tool_use" => tool_call(text(&part["id"]), &part["name"], part["input"].clone()),
            "thinking" => Block::Thinking {
                thinking: text(&part["thinking"]),
                thinking_signature: Some(text(&part["signature"])),
            },
            _ => Block::text(text(&part["text"])),
        })
        .collect()
}

fn user(parts: &Value) -> Message {
    Message::User(User {
        content: Content::Blocks(blocks(parts)),
        timestamp: 0,
    })
}

/// The conversation a recorded request repeats, in our form.
fn conversation(target: &Target, body: &Value) -> Vec<Message> {
    let list = body.get("messages").or(body.get("input")).unwrap();
    let mut out = Vec::new();
    for item in list.as_array().unwrap() {
        let kind = item["role"].as_str().or(item["type"].as_str()).unwrap();
        match kind {
            "system" | "developer" => {}
            "tool" => out.push(result(
                item["tool_call_id"].as_str().unwrap(),
                &item["content"],
                false,
            )),
            "function_call" => {
                let id = format!("{}|{}", text(&item["call_id"]), text(&item["id"]));
                let arguments = serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap();
                let call = tool_call(id, &item["name"], arguments);
                match out.last_mut() {
                    Some(Message::Assistant(last)) => last.content.push(call),
                    _ => out.push(said(target, vec![call])),
                }
            }
            "function_call_output" => {
                let call = text(&item["call_id"]);
                let known = out.iter().find_map(|m| match m {
                    Message::Assistant(said) => said
                        .tool_calls()
                        .find(|(id, ..)| id.starts_with(&format!("{call}|")))
                        .map(|(id, ..)| id.to_string()),
                    _ => None,
                });
                out.push(result(&known.unwrap(), &item["output"], false));
            }
            "assistant" if item.get("id").is_some() => {
                let block = Block::Text {
                    text: text(&item["content"][0]["text"]),
                    text_signature: Some(text(&item["id"])),
                };
                out.push(said(target, vec![block]));
            }
            "assistant" => {
                let mut content = blocks(&item["content"]);
                for call in item["tool_calls"].as_array().into_iter().flatten() {
                    let function = &call["function"];
                    let arguments = function["arguments"].as_str().unwrap();
                    let arguments = serde_json::from_str(arguments).unwrap();
                    content.push(tool_call(text(&call["id"]), &function["name"], arguments));
                }
                out.push(said(target, content));
            }
            _ => {
                let parts = item["content"].as_array().unwrap();
                let results = parts.iter().filter(|p| p["type"] == "tool_result");
                let mut results = results.peekable();
                if results.peek().is_none() {
                    out.push(user(&item["content"]));
                }
                for part in results {
                    let id = part["tool_use_id"].as_str().unwrap();
                    out.push(result(id, &part["content"], part["is_error"] == true));
                }
            }
        }
    }
    out
}

fn system(body: &Value) -> String {
    if body["system"].is_array() {
        return text(&body["system"][0]["text"]);
    }
    let first = body.get("messages").or(body.get("input")).unwrap();
    text(&first[0]["content"])
}

fn tools(body: &Value) -> Vec<ToolSpec> {
    let tools = body["tools"].as_array().into_iter().flatten();
    tools
        .map(|tool| {
            let tool = tool.get("function").unwrap_or(tool);
            ToolSpec {
                name: text(&tool["name"]),
                description: text(&tool["description"]),
                parameters: json!({"type": "object", "properties": {}}),
            }
        })
        .collect()
}

fn thinking(body: &Value) -> &str {
    match body["thinking"]["budget_tokens"].as_u64() {
        Some(2048) => "low",
        Some(8192) => "medium",
        _ => body["reasoning"]["effort"].as_str().unwrap_or("off"),
    }
}

/// What arrived piece by piece.
#[derive(Default)]
struct Heard {
    text: String,
    ends: usize,
    calls: Vec<String>,
}

fn call(
    target: &Target,
    body: &Value,
    messages: &[Message],
    cancel: &Cancel,
) -> (Result<Assistant, Error>, Heard) {
    let request = Request {
        system: &system(body),
        messages,
        tools: &tools(body),
        thinking: thinking(body),
        session_id: body["prompt_cache_key"].as_str().unwrap_or_default(),
        max_tokens: None,
        must_call: false,
    };
    let mut heard = Heard::default();
    let result = Live::default().stream(target, &request, cancel, &mut |delta| match delta {
        Delta::Text(text) => heard.text.push_str(text),
        Delta::TextEnd => heard.ends += 1,
        Delta::ToolCall { name, .. } => heard.calls.push(name.to_string()),
        Delta::Thinking(_) => {}
    });
    (result, heard)
}

/// Plays a recording whose exchanges all succeed.
fn replay(name: &str) -> Vec<Assistant> {
    let exchanges = fixture(name);
    let (url, served) = serve(exchanges.clone());
    let mut answers: Vec<Assistant> = Vec::new();
    for exchange in &exchanges {
        let body = &exchange["body"];
        let target = target(name, body, &url);
        let mut messages = conversation(&target, body);
        // Our own answers stand where the original's stood.
        let mut own = answers.iter();
        if exchanges.len() > 1 {
            for message in &mut messages {
                if let (Message::Assistant(_), Some(answer)) = (&message, own.clone().next()) {
                    *message = Message::Assistant(answer.clone());
                    own.next();
                }
            }
        }
        let (result, heard) = call(&target, body, &messages, &Cancel::new());
        let answer = result.unwrap();
        assert_eq!(heard.text, answer.text().replace('\n', ""), "{name}");
        assert_eq!(heard.calls.len(), answer.tool_calls().count(), "{name}");
        answers.push(answer);
    }
    let seen = served.join().unwrap();
    for (request, exchange) in seen.iter().zip(&exchanges) {
        assert_eq!(request.path, exchange["path"], "{name}");
        assert_eq!(request.body, exchange["body"].to_string(), "{name}");
        for (key, value) in exchange["headers"].as_object().unwrap() {
            let sent = request.headers.iter().find(|(name, _)| name == key);
            let sent = sent.map(|(_, value)| value.as_str());
            assert_eq!(sent, value.as_str(), "{name}: {key}");
        }
    }
    answers
}

#[test]
fn recorded_text_turns_read_and_write_the_same() {
    for (name, write) in [
        ("openai-completions-text", 0),
        ("openai-completions-image-input", 0),
        ("openai-responses-text", 0),
        ("openai-responses-second-turn", 0),
        ("anthropic-text", 50),
    ] {
        let answers = replay(name);
        assert_eq!(answers[0].text(), "Hello from the fake model.", "{name}");
        assert_eq!(answers[0].stop_reason, StopReason::Stop);
        let usage = &answers[0].usage;
        let counted = [
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
        ];
        assert_eq!(counted, [1000, 34, 200, write], "{name}");
        assert_eq!(usage.total_tokens, 1234 + write, "{name}");
    }
}

#[test]
fn recorded_tool_turns_read_and_write_the_same() {
    for (name, calls) in [
        ("openai-completions-exec", 1),
        ("openai-completions-multi-tool", 2),
        ("openai-completions-text-plus-tool", 1),
        ("openai-responses-exec", 1),
        ("openai-responses-multi-tool", 2),
        ("anthropic-exec", 1),
    ] {
        let answers = replay(name);
        assert_eq!(answers[0].tool_calls().count(), calls, "{name}");
        assert_eq!(answers[0].stop_reason, StopReason::ToolUse, "{name}");
        assert_eq!(answers[1].stop_reason, StopReason::Stop, "{name}");
    }
}

#[test]
fn a_signed_thought_is_kept() {
    let answers = replay("anthropic-thinking");
    let thought = Block::Thinking {
        thinking: "Working it out carefully.".into(),
        thinking_signature: Some("c2lnbmF0dXJl".into()),
    };
    assert_eq!(answers[0].content[0], thought);
}

#[test]
fn refusals_are_classified_and_not_repeated() {
    for (name, message) in [
        (
            "openai-completions-error-401",
            "401 Incorrect API key provided",
        ),
        (
            "anthropic-error-401",
            r#"401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        ),
    ] {
        let exchanges = fixture(name);
        let (url, served) = serve(exchanges[..1].to_vec());
        let body = &exchanges[0]["body"];
        let target = target(name, body, &url);
        let messages = conversation(&target, body);
        let error = call(&target, body, &messages, &Cancel::new())
            .0
            .unwrap_err();
        assert_eq!((error.class, error.status), (Class::Auth, Some(401)));
        assert_eq!(error.message, message);
        let partial = error.partial.unwrap();
        assert_eq!(partial.stop_reason, StopReason::Error);
        assert_eq!(partial.error_message.as_deref(), Some(message));
        assert_eq!(served.join().unwrap().len(), 1);
    }
}

#[test]
fn a_busy_service_is_asked_three_times_with_the_pause_it_wants() {
    let name = "openai-completions-error-429";
    let mut exchanges = fixture(name);
    for exchange in &mut exchanges {
        exchange["responseHeaders"] = json!({"retry-after-ms": "120"});
    }
    let body = exchanges[0]["body"].clone();
    let (url, served) = serve(exchanges);
    let target = target(name, &body, &url);
    let messages = conversation(&target, &body);
    let start = Instant::now();
    let error = call(&target, &body, &messages, &Cancel::new())
        .0
        .unwrap_err();
    let took = start.elapsed();
    assert!((240..1000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(error.class, Class::RateLimit);
    assert_eq!(error.retry_after_ms, Some(120));
    let seen = served.join().unwrap();
    let counts: Vec<&str> = seen
        .iter()
        .map(|s| {
            let count = s.headers.iter();
            let mut count = count.filter(|(name, _)| name == "x-stainless-retry-count");
            count.next().unwrap().1.as_str()
        })
        .collect();
    assert_eq!(counts, ["0", "1", "2"]);
}

#[test]
fn stopping_closes_the_connection_to_the_model_within_100_ms() {
    let name = "openai-completions-text";
    let exchange = fixture(name).remove(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cancel = Cancel::new();
    let server = std::thread::spawn({
        let cancel = cancel.clone();
        let frames = exchange["frames"].clone();
        move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            hear(&mut reader).unwrap();
            let mut stream = reader.into_inner();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream
                .write_all(frames[1].as_str().unwrap().as_bytes())
                .unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            cancel.cancel();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            start.elapsed()
        }
    });
    let body = &exchange["body"];
    let target = target(name, body, &url);
    let messages = conversation(&target, body);
    let (result, heard) = call(&target, body, &messages, &cancel);
    let returned = Instant::now();
    let error = result.unwrap_err();
    assert_eq!(error.class, Class::Aborted);
    assert_eq!(error.message, "Request was aborted.");
    let partial = error.partial.unwrap();
    assert_eq!(partial.stop_reason, StopReason::Aborted);
    assert_eq!(partial.text(), heard.text);
    assert!(!heard.text.is_empty());
    let closed = server.join().unwrap();
    assert!(closed < AT_ONCE, "{closed:?}");
    assert!(returned.elapsed() < AT_ONCE);
}

#[test]
fn a_key_that_the_service_repeats_is_not_shown() {
    let exchange = json!({"status": 401, "responseHeaders": {},
        "frames": [r#"{"error":{"message":"Incorrect API key: sk-fake-oai!"}}"#]});
    let (url, served) = serve(vec![exchange]);
    let name = "openai-completions-text";
    let body = fixture(name).remove(0)["body"].clone();
    let target = target(name, &body, &url);
    let messages = conversation(&target, &body);
    let error = call(&target, &body, &messages, &Cancel::new())
        .0
        .unwrap_err();
    assert_eq!(error.message, "401 Incorrect API key: ***!");
    served.join().unwrap();
}

#[test]
fn what_another_model_said_is_sent_in_a_form_this_one_takes() {
    let done = r#"data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}"#;
    let exchange = json!({"status": 200, "responseHeaders": {},
        "frames": [format!("{done}\n\n"), "data: [DONE]\n\n"]});
    let (url, served) = serve(vec![exchange]);
    let mut other = target("openai-responses-text", &json!({"model": "other"}), "");
    other.provider = "elsewhere".into();
    let call_block = tool_call("call_1|fc_1".into(), &json!("read"), json!({}));
    let thought = Block::Thinking {
        thinking: "hm".into(),
        thinking_signature: Some("{}".into()),
    };
    let mut failed = said(&other, vec![Block::text("half an ans")]);
    if let Message::Assistant(failed) = &mut failed {
        failed.stop_reason = StopReason::Error;
    }
    let messages = [
        user(&json!([{"type": "text", "text": "a \"question\"\n\u{1}"}])),
        said(&other, vec![thought, Block::text("yes"), call_block]),
        result("call_1|fc_1", &json!("out"), false),
        failed,
        user(&json!([{"type": "text", "text": "go on"}])),
    ];
    let body = json!({"model": "m", "messages": [{"content": "sys"}]});
    let mine = target("openai-completions-text", &body, &url);
    call(&mine, &body, &messages, &Cancel::new()).0.unwrap();
    let sent: Value = serde_json::from_str(&served.join().unwrap()[0].body).unwrap();
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "system", "content": "sys"},
            {"role": "user", "content": [{"type": "text", "text": "a \"question\"\n\u{1}"}]},
            {"role": "assistant",
             "content": [{"type": "text", "text": "hm"}, {"type": "text", "text": "yes"}],
             "tool_calls": [{"id": "call_1", "type": "function",
                 "function": {"name": "read", "arguments": "{}"}}]},
            {"role": "tool", "content": "out", "tool_call_id": "call_1"},
            {"role": "user", "content": [{"type": "text", "text": "go on"}]},
        ])
    );
    assert_eq!(sent["tools"], json!([]));
}
