//! Services that misbehave: each fault costs bounded time and memory, is taken for what it is, and
//! is told in words that help.

use crate::harness::{Gateway, Setup, Ws, proc};
use crate::turn::agent;
use openclaw::base::cancel::Cancel;
use openclaw::model::{Class, Client, Live, Request, Target};
use openclaw::wire::message::{Content, Message, User};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest any of these faults may take, with a second of patience for each request.
const SOON: Duration = Duration::from_secs(10);
/// What the core may grow while a service sends a hundred times as much.
const GROWTH_KIB: u64 = 40 * 1024;
const FLOOD: usize = 100 * 1024 * 1024;

/// When which provider was asked.
type Asked = Arc<Mutex<Vec<(String, Instant)>>>;

/// A server whose first folder says what is wrong with it.
fn serve() -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let asked = Asked::default();
    let kept = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some(fault) = request(&mut reader) {
                    let nth = {
                        let mut kept = kept.lock().expect("no panic");
                        kept.push((fault.clone(), Instant::now()));
                        kept.iter().filter(|(name, _)| *name == fault).count()
                    };
                    if answer(reader.get_mut(), &fault, nth).is_none() {
                        return;
                    }
                }
            });
        }
    });
    (port, asked)
}

/// A port where nobody knows TLS.
fn without_tls() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    port
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let fault = line.split('/').nth(1)?.to_string();
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(fault)
}

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn chunk(delta: &Value, finish: Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"choices": [choice]}))
}

fn said(text: &str) -> String {
    chunk(&json!({"content": text}), Value::Null)
}

fn end() -> String {
    chunk(&json!({}), json!("stop")) + "data: [DONE]\n\n"
}

fn refusal(status: u16, headers: &str, message: &str) -> String {
    let body = json!({"error": {"message": message}}).to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// `None` ends the connection.
fn answer(to: &mut TcpStream, fault: &str, nth: usize) -> Option<()> {
    let mut send = |bytes: &[u8]| to.write_all(bytes).ok();
    match (fault, nth) {
        ("silent", _) => {
            let _ = to.read(&mut [0]);
        }
        ("stalls", _) => {
            send(STREAM.as_bytes())?;
            send(said("half an ans").as_bytes())?;
            let _ = to.read(&mut [0]);
        }
        ("drips", _) => {
            send(STREAM.as_bytes())?;
            for byte in said(&"x".repeat(4096)).bytes() {
                send(&[byte])?;
                std::thread::sleep(Duration::from_millis(40));
            }
        }
        ("breaks", 1) => {
            send(STREAM.as_bytes())?;
            let event = said("lost words");
            send(&event.as_bytes()[..event.len() / 2])?;
        }
        ("floods" | "babbles", _) => {
            send(STREAM.as_bytes())?;
            let text = "x".repeat(64 * 1024);
            let event = match fault {
                "babbles" => said(&text),
                // Signs of life, as services send them, but no answer.
                _ => format!(": {text}\n\n"),
            };
            for _ in 0..FLOOD / event.len() {
                send(event.as_bytes())?;
            }
        }
        ("endless", _) => {
            send(STREAM.as_bytes())?;
            let line = vec![b'x'; 64 * 1024];
            for _ in 0..FLOOD / line.len() {
                send(&line)?;
            }
        }
        ("latin", _) => {
            send(STREAM.as_bytes())?;
            let event = said("gr?n").replace('?', "\u{1}");
            let bytes: Vec<u8> = event.replace("\\u0001", "\u{1}").into_bytes();
            let bytes: Vec<u8> = bytes
                .iter()
                .map(|b| if *b == 1 { 0xfc } else { *b })
                .collect();
            send(&bytes)?;
            send(end().as_bytes())?;
        }
        ("cut", _) => {
            send(STREAM.as_bytes())?;
            let halves = said("a smile: ?") + &said("!.");
            let halves = halves.replace('?', "\\ud83d").replace('!', "\\ude00");
            send((halves + &end()).as_bytes())?;
        }
        ("sloppy", 1) => {
            send(STREAM.as_bytes())?;
            let arguments = "{\"command\": \"echo mended\",";
            let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "exec", "arguments": arguments}}]});
            send((chunk(&call, json!("tool_calls")) + "data: [DONE]\n\n").as_bytes())?;
        }
        ("garbage", _) => {
            send(STREAM.as_bytes())?;
            send(b"data: {\"choices\": oops\n\n")?;
        }
        ("busy", 1) => send(refusal(429, "", "Rate limit reached").as_bytes())?,
        ("asks", 1) => {
            return send(refusal(429, "retry-after: 1\r\n", "Rate limit reached").as_bytes());
        }
        ("closed", _) => {
            return send(refusal(429, "retry-after: 300\r\n", "Come back later").as_bytes());
        }
        ("down", _) => {
            return send(refusal(503, "retry-after-ms: 5\r\n", "no backend").as_bytes());
        }
        ("large", _) => {
            send(b"HTTP/1.1 500 X\r\nconnection: close\r\n\r\n")?;
            let page = vec![b'x'; 64 * 1024];
            for _ in 0..FLOOD / page.len() {
                send(&page)?;
            }
        }
        _ => {
            send(STREAM.as_bytes())?;
            send(said("All is well.").as_bytes())?;
            send(end().as_bytes())?;
        }
    }
    None
}

/// A gateway in which each fault is a provider with one model, and an agent that knows only this.
fn setup(faults: &[&str], retries: usize) -> (Setup, Asked) {
    let (port, asked) = serve();
    let mut setup = Setup::new();
    setup.config["agents"]["defaults"]["maxConcurrent"] = json!(16);
    let state = setup.dir.path().join("state/agents");
    let folder = |agent: &str| state.join(agent).join("agent");
    let write = |folder: PathBuf, name: &str, value: &Value| {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), value.to_string()).expect("a file");
    };
    let hasty = json!({"retry": {"baseDelayMs": 10, "maxRetries": retries}});
    let mut agents = vec![json!({"id": "main", "default": true, "model": "good/m"})];
    let mut profiles = json!({"version": 1, "profiles": {}});
    for fault in faults.iter().chain(&["good"]) {
        let base = match *fault {
            "plain" => format!("https://127.0.0.1:{}/v1", without_tls()),
            "unknown" => "http://no-such-host.invalid/v1".to_string(),
            _ => format!("http://127.0.0.1:{port}/{fault}"),
        };
        setup.config["models"]["providers"][fault] = json!({
            "baseUrl": base, "api": "openai-completions",
            "models": [{"id": "m", "name": "M", "contextWindow": 128_000, "maxTokens": 4096}],
        });
        let short = json!({"params": {"timeoutSeconds": 1}});
        setup.config["agents"]["defaults"]["models"][format!("{fault}/m")] = short;
        let key = json!({"type": "api_key", "provider": fault, "key": "sk-fault"});
        profiles["profiles"][format!("{fault}:default")] = key;
        let model = json!({"primary": format!("{fault}/m"), "fallbacks": []});
        agents.push(json!({"id": fault, "model": model}));
        write(folder(fault), "settings.json", &hasty);
    }
    write(folder("main"), "auth-profiles.json", &profiles);
    setup.config["agents"]["list"] = json!(agents);
    (setup, asked)
}

fn say(ws: &mut Ws, fault: &str) -> String {
    let key = format!("agent:{fault}:main");
    let run = openclaw::base::id::short();
    let params = json!({"message": "How are you?", "sessionKey": key, "idempotencyKey": run});
    let (_, last) = agent(ws, params);
    let told = last["payload"]["result"]["payloads"].as_array().cloned();
    let told = told.unwrap_or_default();
    let told = told.last().and_then(|p| p["text"].as_str());
    told.unwrap_or_else(|| panic!("{fault}: no answer in {last}"))
        .to_string()
}

fn count(asked: &Asked, fault: &str) -> usize {
    let asked = asked.lock().expect("no panic");
    asked.iter().filter(|(name, _)| name == fault).count()
}

/// What the failures of the provider's key were put down to.
fn blamed(gateway: &Gateway, fault: &str) -> Value {
    let file = gateway.state().join("agents/main/agent/auth-profiles.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    kept["usageStats"][format!("{fault}:default")]["failureCounts"].clone()
}

#[test]
fn every_fault_of_a_service_is_bounded_and_told_for_what_it_is() {
    let timeout = json!({"timeout": 1});
    let format = json!({"format": 1});
    // The fault, words of the reply, requests, what its key is blamed for.
    let cases: [(&str, &str, usize, Value); 16] = [
        ("silent", "timed out", 3, timeout.clone()),
        ("stalls", "timed out", 1, timeout.clone()),
        ("drips", "timed out", 1, timeout),
        ("breaks", "All is well.", 2, Value::Null),
        ("floods", "larger than 67108864 bytes", 1, format.clone()),
        ("endless", "larger than 8388608 bytes", 1, format),
        ("latin", "gr\u{fffd}n", 1, Value::Null),
        ("cut", "a smile: \u{1f600}.", 1, Value::Null),
        ("sloppy", "All is well.", 2, Value::Null),
        ("garbage", "not understood", 1, Value::Null),
        ("busy", "All is well.", 2, Value::Null),
        ("asks", "All is well.", 2, Value::Null),
        ("down", "503 no backend", 6, Value::Null),
        ("plain", "TLS", 0, Value::Null),
        ("stranger", "certificate", 0, Value::Null),
        (
            "unknown",
            "no-such-host.invalid: name not found",
            0,
            Value::Null,
        ),
    ];
    let faults = cases.each_ref().map(|(fault, ..)| *fault);
    let (mut setup, asked) = setup(&faults, 1);
    // Nobody vouches for a certificate that one made for oneself.
    let mut stranger = Setup::new();
    stranger.config["gateway"]["tls"] = json!({"enabled": true});
    let stranger = stranger.start();
    let base = format!("https://127.0.0.1:{}/v1", stranger.port());
    setup.config["models"]["providers"]["stranger"]["baseUrl"] = json!(base);
    let gateway = setup.start();
    let told: Vec<(String, Duration)> = std::thread::scope(|scope| {
        let say = |fault| {
            let mut ws = gateway.connect();
            move || {
                let started = Instant::now();
                (say(&mut ws, fault), started.elapsed())
            }
        };
        let running: Vec<_> = faults.into_iter().map(|f| scope.spawn(say(f))).collect();
        running
            .into_iter()
            .map(|run| run.join().expect("a reply"))
            .collect()
    });
    for ((fault, words, requests, reason), (text, took)) in cases.iter().zip(told) {
        assert!(text.contains(words), "{fault}: {text}");
        assert!(
            text.len() < 1000 && !text.contains("sk-fault"),
            "{fault}: {text}"
        );
        assert!(took < SOON, "{fault}: {took:?}");
        assert_eq!(count(&asked, fault), *requests, "{fault}: {text}");
        assert_eq!(blamed(&gateway, fault), *reason, "{fault}");
    }
    let asked = asked.lock().expect("no panic");
    let pauses = asked.iter().filter(|(name, _)| name == "asks");
    let times: Vec<Instant> = pauses.map(|(_, at)| *at).collect();
    assert!(times[1] - times[0] >= Duration::from_secs(1), "as it asked");
}

#[test]
fn a_service_that_sends_a_hundred_megabytes_costs_a_bounded_part_of_them() {
    let (setup, _) = setup(&["floods", "endless", "large"], 0);
    let gateway = setup.start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    assert_eq!(say(&mut ws, "good"), "All is well.");
    let before = proc::status(core, "VmHWM");
    for fault in ["floods", "endless", "large"] {
        let started = Instant::now();
        say(&mut ws, fault);
        assert!(started.elapsed() < SOON, "{fault}: {:?}", started.elapsed());
    }
    let grown = proc::status(core, "VmHWM") - before;
    assert!(grown < GROWTH_KIB, "{grown} KiB");
}

#[test]
fn an_answer_that_does_not_end_is_cut_where_no_answer_should_get() {
    let (port, _) = serve();
    let target = Target {
        provider: "babbles".into(),
        model: "m".into(),
        api: "openai-completions".into(),
        base_url: format!("http://127.0.0.1:{port}/babbles"),
        max_tokens: 4096,
        ..Target::default()
    };
    let messages = [Message::User(User {
        content: Content::Text("How are you?".into()),
        timestamp: 0,
    })];
    let request = Request {
        system: "",
        messages: &messages,
        tools: &[],
        thinking: "off",
        session_id: "s",
        max_tokens: None,
        must_call: false,
    };
    let error = Live::default().stream(&target, &request, &Cancel::new(), &mut |_| {});
    let error = error.expect_err("no answer");
    assert_eq!(error.class, Class::Format, "{error}");
    assert!(
        error.message.contains("larger than 2097152 bytes"),
        "{error}"
    );
    let kept = error.partial.expect("what came").text().len();
    assert!(kept < 3 * 1024 * 1024, "{kept}");
}

#[test]
fn a_service_that_keeps_failing_is_left_alone_and_another_model_answers_at_once() {
    let (setup, asked) = setup(&["down", "closed"], 2);
    let gateway = setup.start();
    let mut ws = gateway.connect();
    for run in 1..=2 {
        assert_eq!(say(&mut ws, "down"), "503 no backend");
        assert_eq!(count(&asked, "down"), run * 9);
    }
    let told = say(&mut ws, "down");
    assert!(
        told.starts_with("down/m is left alone for now: it failed 6 times in a row."),
        "{told}"
    );
    assert!(told.ends_with("Last failure: 503 no backend"), "{told}");
    assert_eq!(count(&asked, "down"), 18, "no request");

    // One that says itself when it will be back is believed.
    assert!(say(&mut ws, "closed").contains("Come back later"));
    let told = say(&mut ws, "closed");
    assert!(
        told.contains("It is tried again in 2") || told.contains("in 300 s"),
        "{told}"
    );
    assert_eq!(count(&asked, "closed"), 1);
    assert_eq!(blamed(&gateway, "closed"), json!({"rate_limit": 1}), "once");

    // With another model at hand nobody waits for one that is left alone.
    let switched = json!({"key": "agent:main:main", "model": "down/m"});
    ws.call("sessions.patch", switched).expect("a model");
    assert_eq!(say(&mut ws, "main"), "All is well.");
    assert_eq!(count(&asked, "down"), 18);
}
