//! The original's recorded exchanges with models, played through our gateway: the same questions are
//! put to it, the recorded answers come back, and what it sends must be what the original sent, but
//! for our own prose and set of tools. Skipped where the recordings are not.

mod company;
mod ours;
mod ways;
mod words;

use crate::harness::heard::hear;
use crate::harness::{Gateway, Setup, skip};
use crate::turn::{agent, transcript};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/model-requests");
const MAIN: &str = "agent:main:main";
/// Stands in a recording where the client ended the connection.
const GONE: &str = "<client disconnected>";

fn recording(name: &str) -> Option<Vec<Value>> {
    let path = Path::new(RECORDINGS).join(format!("{name}.json"));
    let text = std::fs::read_to_string(path).ok()?;
    let mut recording: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let Value::Array(mut exchanges) = recording["exchanges"].take() else {
        return None;
    };
    // "<identical to exchange 1>"
    let first = exchanges[0]["body"].clone();
    for exchange in &mut exchanges {
        if exchange["body"].is_string() {
            exchange["body"] = first.clone();
        }
    }
    Some(exchanges)
}

struct Seen {
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
}

/// What came over the wire, in the order it came.
type Sent = Arc<Mutex<Vec<Seen>>>;

/// Answers with the recorded responses in order, whoever asks.
fn serve(exchanges: Vec<Value>) -> (u16, Sent) {
    serve_choosing(exchanges, |_, _| true)
}

/// Answers with the first response left that fits the request: the recorded body, the one that came.
fn serve_choosing(exchanges: Vec<Value>, fits: fn(&Value, &Value) -> bool) -> (u16, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let seen = Sent::default();
    let kept = seen.clone();
    let rest = Arc::new(Mutex::new(VecDeque::from(exchanges)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (kept, rest) = (kept.clone(), rest.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some(request) = read(&mut reader) {
                    let exchange = {
                        let mut rest = rest.lock().expect("no panic");
                        let fits = |e: &Value| fits(&e["body"], &request.body);
                        let at = rest.iter().position(fits);
                        kept.lock().expect("no panic").push(request);
                        at.and_then(|at| rest.remove(at))
                    };
                    let Some(exchange) = exchange else { return };
                    if answer(reader.get_mut(), &exchange["response"]).is_none() {
                        return;
                    }
                }
            });
        }
    });
    (port, seen)
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let heard = hear(reader)?;
    Some(Seen {
        path: heard.path,
        headers: heard.headers,
        body: serde_json::from_str(&heard.body).ok()?,
    })
}

fn answer(stream: &mut TcpStream, response: &Value) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", response["status"]);
    for (name, value) in response["headers"].as_object()? {
        head += &format!("{name}: {}\r\n", value.as_str()?);
    }
    head += "transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    for frame in response["frames"].as_array()? {
        let bytes = match frame {
            Value::String(text) if text == GONE => {
                // Here the original's client had hung up.
                let _ = stream.read(&mut [0]);
                return None;
            }
            Value::String(text) => text.as_bytes().to_vec(),
            bytes => serde_json::from_value(bytes.clone()).ok()?,
        };
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(&bytes);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).ok()?;
    }
    stream.write_all(b"0\r\n\r\n").ok()
}

/// How the recorded gateway was set up for the provider of a recording.
fn provider(name: &str, model: &str, port: u16) -> Value {
    let (api, base, key, max, reasoning) = match name.split('-').next() {
        Some("anthropic") => ("anthropic-messages", "", "sk-fake-anth", 64_000, true),
        Some("google") => ("google-generative-ai", "/v1beta", "fake-goo", 65_536, true),
        _ if name.starts_with("openai-responses") => {
            ("openai-responses", "/v1", "sk-fake-resp", 16_384, true)
        }
        _ => ("openai-completions", "/v1", "sk-fake-oai", 8192, false),
    };
    json!({
        "baseUrl": format!("http://127.0.0.1:{port}{base}"), "apiKey": key, "api": api,
        "models": [{
            "id": model, "name": "Fake", "reasoning": reasoning, "input": ["text", "image"],
            "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 200000, "maxTokens": max,
        }],
    })
}

fn setup(name: &str, model: &str, port: u16) -> Setup {
    let mut setup = Setup::new();
    setup.config["models"] = json!({"providers": {"fake": provider(name, model, port)}});
    setup.config["agents"]["defaults"]["model"] = json!({"primary": format!("fake/{model}")});
    // The recordings are from when it was Saturday morning in this zone.
    setup.config["agents"]["defaults"]["userTimezone"] = json!("UTC");
    let file = |name: &str, text: &str| {
        let path = setup.dir.path().join("workspace").join(name);
        std::fs::write(path, text).expect("a file");
    };
    file("notes.txt", "alpha\nbeta\n");
    let lines: Vec<String> = (1..=5000).map(|n| n.to_string()).collect();
    file("big.txt", &(lines.join("\n") + "\n"));
    setup
}

/// The model's name: in the body, or in the path.
fn model(exchange: &Value) -> String {
    match exchange["body"]["model"].as_str() {
        Some(model) => model.to_string(),
        None => {
            let path = exchange["path"].as_str().expect("a path");
            let rest = path.split("/models/").nth(1).expect("a model");
            rest.split(':').next().expect("a model").to_string()
        }
    }
}

/// A request with what is ours, or of the moment, put out of sight; the order of keys stays.
fn comparable(body: &Value) -> Value {
    let mut body = body.clone();
    hide(&mut body);
    for key in ["system", "systemInstruction"] {
        if let Some(system) = body.get_mut(key) {
            *system = shape(system);
        }
    }
    for list in ["messages", "input"] {
        let first = body.get_mut(list).and_then(|l| l.get_mut(0));
        if let Some(first) = first.filter(|m| m["content"].is_string()) {
            first["content"] = json!("prompt");
        }
    }
    if let Some(key) = body.get_mut("prompt_cache_key") {
        *key = json!("session");
    }
    if let Some(tools) = body.get_mut("tools") {
        let list = match tools.pointer("/0/functionDeclarations") {
            Some(declared) => declared.clone(),
            None => tools.clone(),
        };
        *tools = shape(&list[0]);
    }
    body
}

/// The keys, and what texts are for their form.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let kept = ["type", "role", "strict", "cache_control"].contains(&key.as_str());
                let opaque = ["parameters", "input_schema"].contains(&key.as_str());
                let value = match (kept, opaque) {
                    (true, _) => value.clone(),
                    (_, true) => json!("schema"),
                    _ => shape(value),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        other => other.clone(),
    }
}

/// Times and ids in the texts.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => {
            let dated = text.starts_with('[') && text.get(4..6).is_some_and(|s| s.starts_with(' '));
            if let (true, Some(end)) = (dated, text.find("] ")) {
                *text = text[end + 2..].to_string();
            }
            if let Some(at) = text.find("\n[message_id:") {
                text.truncate(at);
            }
            // What a tool's check says is ours to word.
            if text.starts_with("Validation failed for tool") {
                text.truncate("Validation failed for tool".len());
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::Object(map) => map.values_mut().for_each(hide),
        _ => {}
    }
}

/// The words of the last user message and its picture.
fn asked(body: &Value) -> (String, Option<Value>) {
    let lists = ["messages", "input", "contents"];
    let list = lists.iter().find_map(|key| body.get(*key)?.as_array());
    let last = list.and_then(|l| l.last()).expect("a message");
    let parts = last.get("content").or(last.get("parts")).expect("parts");
    let mut text = parts[0]["text"].clone();
    hide(&mut text);
    let picture = parts[1]["image_url"]["url"].as_str().map(|url| {
        let data = url.split_once(";base64,").expect("a data URL").1;
        json!([{"type": "image", "mimeType": "image/png", "content": data, "fileName": "a.png"}])
    });
    (text.as_str().expect("text").to_string(), picture)
}

fn level(body: &Value) -> Option<&'static str> {
    match body["thinking"]["budget_tokens"].as_u64()? {
        8192 => Some("medium"),
        _ => Some("low"),
    }
}

/// Puts the recorded question; what the run's caller gets, and the transcript.
fn play(name: &str) -> Option<(Value, Vec<Value>)> {
    let Some(exchanges) = recording(name) else {
        skip(name, "no recordings here");
        return None;
    };
    let (port, seen) = serve(exchanges.clone());
    let gateway = setup(name, &model(&exchanges[0]), port).start();
    let last = ask(&gateway, &exchanges[0]["body"]);
    compare(name, &seen, &exchanges);
    Some((last, transcript(&gateway)))
}

/// Puts the question that the recorded request ends with.
fn ask(gateway: &Gateway, body: &Value) -> Value {
    let (text, picture) = asked(body);
    let run = openclaw::base::id::short();
    let mut params = json!({"message": text, "sessionKey": MAIN, "idempotencyKey": run});
    if let Some(level) = level(body) {
        params["thinking"] = json!(level);
    }
    if let Some(picture) = picture {
        params["attachments"] = picture;
    }
    agent(&mut gateway.connect(), params).1
}

/// What was sent is what the original sent.
fn compare(name: &str, seen: &Sent, exchanges: &[Value]) {
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), exchanges.len(), "{name}");
    for (ours, theirs) in seen.iter().zip(exchanges) {
        assert_eq!(ours.path, theirs["path"], "{name}");
        let (mut own, original) = (comparable(&ours.body), comparable(&theirs["body"]));
        omit(&mut own, &original);
        assert_eq!(own.to_string(), original.to_string(), "{name}");
        same_headers(name, ours, theirs);
    }
}

fn same_headers(name: &str, ours: &Seen, theirs: &Value) {
    for (key, value) in theirs["headers"].as_object().expect("headers") {
        if key == "user-agent" {
            continue;
        }
        let sent = ours.headers.iter().find(|(name, _)| name == key);
        let sent = sent.map(|(_, value)| value.as_str());
        assert_eq!(sent, value.as_str(), "{name}: {key}");
    }
}

/// Long texts are recorded without their middle: where the ends are the same, so is the text.
fn omit(own: &mut Value, original: &Value) {
    match (own, original) {
        (Value::String(own), Value::String(original)) => {
            let Some((head, rest)) = original.split_once("<… ") else {
                return;
            };
            let Some((count, tail)) = rest.split_once(" chars omitted …>") else {
                return;
            };
            let count: usize = count.parse().expect("a number of characters");
            let whole = own.chars().count() == head.chars().count() + count + tail.chars().count();
            if whole && own.starts_with(head) && own.ends_with(tail) {
                own.clone_from(original);
            }
        }
        (Value::Array(own), Value::Array(original)) => {
            own.iter_mut().zip(original).for_each(|(a, b)| omit(a, b));
        }
        (Value::Object(own), Value::Object(original)) => {
            for (key, value) in own {
                if let Some(other) = original.get(key) {
                    omit(value, other);
                }
            }
        }
        _ => {}
    }
}

fn roles(messages: &[Value]) -> Vec<&str> {
    let role = |m: &Value| m["role"].as_str().map(str::len);
    assert!(messages.iter().all(|m| role(m).is_some()));
    messages.iter().filter_map(|m| m["role"].as_str()).collect()
}

/// An assistant message has the original's fields and its counts.
fn is_counted(name: &str, message: &Value) {
    for field in [
        "content",
        "api",
        "provider",
        "model",
        "usage",
        "stopReason",
        "timestamp",
    ] {
        assert!(message.get(field).is_some(), "{name}: {field} of {message}");
    }
    let input = if name.starts_with("google") {
        1200
    } else {
        1000
    };
    let usage = &message["usage"];
    let counted = [&usage["input"], &usage["output"], &usage["cacheRead"]];
    assert_eq!(counted, [&json!(input), &json!(34), &json!(200)], "{name}");
    assert!(usage["cost"]["total"].as_f64() > Some(0.0), "{name}");
}
