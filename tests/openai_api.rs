//! The endpoints that look like a model: with raw sockets, and with OpenAI's own Python package.

use crate::front::{body, connect, exchange};
use crate::harness::{AT_ONCE, Gateway, Setup, skip};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Both endpoints on.
fn setup() -> Setup {
    let mut setup = Setup::with_fake_model();
    switch_on(&mut setup);
    setup
}

pub fn switch_on(setup: &mut Setup) {
    setup.config["gateway"]["http"] = json!({"endpoints": {
        "chatCompletions": {"enabled": true},
        "responses": {"enabled": true},
    }});
}

fn request(gateway: &Gateway, path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        gateway.token(),
        body.len()
    )
}

pub fn post(gateway: &Gateway, path: &str, body: &Value) -> String {
    let text = request(gateway, path, "", &body.to_string());
    exchange(connect(gateway), &text)
}

pub fn json_of(answer: &str) -> Value {
    serde_json::from_str(body(answer)).unwrap_or_else(|err| panic!("{err}: {answer}"))
}

fn status(answer: &str) -> &str {
    &answer[9..12]
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// The events of a stream: name (if any) and data.
fn events(answer: &str) -> Vec<(String, Value)> {
    body(answer)
        .split("\n\n")
        .filter(|block| !block.is_empty() && !block.starts_with(':'))
        .map(|block| {
            let field = |name: &str| {
                let line = block.lines().find_map(|l| l.strip_prefix(name));
                line.unwrap_or_default().to_string()
            };
            let data = field("data: ");
            let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
            (field("event: "), data)
        })
        .collect()
}

#[test]
fn a_chat_completion_is_a_turn_of_an_agent() {
    let gateway = setup().start();
    let answer = post(
        &gateway,
        CHAT,
        &json!({"model": "openclaw", "user": "Ann", "messages": [
            {"role": "system", "content": "Answer in one word, codeword ZEBRA."},
            {"role": "user", "content": "What is it?"},
            {"role": "assistant", "content": "A test."},
            {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
        ]}),
    );
    assert_eq!(status(&answer), "200", "{answer}");
    let said = json_of(&answer);
    assert!(said["id"].as_str().unwrap().starts_with("chatcmpl_"));
    assert_eq!(said["object"], "chat.completion");
    assert_eq!(said["model"], "openclaw");
    assert_eq!(
        said["choices"],
        json!([{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello from the fake model."}}])
    );
    assert_eq!(
        said["usage"],
        json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
    );
    let asked = gateway.model().wait_request(1).to_string();
    assert!(asked.contains("ZEBRA"));
    assert!(asked.contains(
        "[Chat messages since your last reply - for context]\\nUser: What is it?\\n\
         Assistant: A test.\\n\\n[Current message - respond to this]\\nUser: And now?"
    ));
    // The same user talks in the same session.
    let mut ws = gateway.connect();
    let keys = ws.call("sessions.list", json!({})).unwrap().to_string();
    assert!(keys.contains("agent:main:openai-user:ann"), "{keys}");
}

#[test]
fn a_stream_ends_with_its_reason_and_its_usage() {
    let gateway = setup().start();
    let answer = post(
        &gateway,
        CHAT,
        &json!({"stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert!(answer.contains("Content-Type: text/event-stream; charset=utf-8"));
    let events = events(&answer);
    let first = &events[0].1;
    assert_eq!(first["object"], "chat.completion.chunk");
    assert_eq!(
        first["choices"],
        json!([{"index": 0, "delta": {"role": "assistant"}}])
    );
    let text: String = events
        .iter()
        .filter_map(|(_, e)| e["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hello from the fake model.");
    let from_end = |n: usize| &events[events.len() - n].1;
    assert_eq!(from_end(3)["choices"][0]["finish_reason"], "stop");
    assert_eq!(from_end(2)["usage"]["total_tokens"], 110);
    assert_eq!(from_end(2)["choices"], json!([]));
    assert_eq!(*from_end(1), json!("[DONE]"));
}

#[test]
fn each_piece_passes_on_as_the_model_says_it() {
    let gateway = setup().start();
    gateway.model().say_slowly(&["one ", "two ", "three"], 400);
    let mut tcp = connect(&gateway);
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "count"}]});
    let text = request(&gateway, CHAT, "", &body.to_string());
    tcp.write_all(text.as_bytes()).unwrap();
    let mut seen = Vec::new();
    for line in BufReader::new(tcp).lines() {
        let line = line.unwrap();
        if line.contains("\"content\":") {
            seen.push(Instant::now());
        }
    }
    assert!(seen.len() >= 3, "{} pieces", seen.len());
    let spread = *seen.last().unwrap() - seen[0];
    assert!(
        spread >= Duration::from_millis(600),
        "came together: {spread:?}"
    );
}

#[test]
fn a_client_that_goes_ends_its_turn() {
    for streamed in [true, false] {
        let gateway = setup().start();
        gateway.model().reply(crate::harness::model::Reply::Hang);
        let body = json!({"stream": streamed, "messages": [{"role": "user", "content": "x"}]});
        let mut tcp = connect(&gateway);
        let text = request(&gateway, CHAT, "", &body.to_string());
        tcp.write_all(text.as_bytes()).unwrap();
        gateway.model().wait_request(1);
        let left = Instant::now();
        drop(tcp);
        let took = gateway.model().wait_hung_up() - left;
        assert!(took < AT_ONCE, "{took:?}");
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_the_originals_order() {
    let gateway = setup().start();
    let ask = |text: &str| exchange(connect(&gateway), text);
    let get = ask("GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status(&get), "405");
    assert!(get.contains("Allow: POST\r\n") && body(&get) == "Method Not Allowed");
    for header in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Basic eDp5\r\n",
    ] {
        let text = format!(
            "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 2\r\n\r\n{{}}"
        );
        let answer = ask(&text);
        assert_eq!(status(&answer), "401", "{header}");
        assert_eq!(
            json_of(&answer),
            json!({"error": {"message": "Unauthorized", "type": "unauthorized"}})
        );
    }
    let bad = |path: &str, body: &str| {
        let answer = ask(&request(&gateway, path, "", body));
        assert_eq!(status(&answer), "400", "{answer}");
        let error = json_of(&answer)["error"].clone();
        assert_eq!(error["type"], "invalid_request_error");
        error["message"].as_str().unwrap().to_string()
    };
    assert_eq!(bad(CHAT, ""), "Missing user message in `messages`.");
    assert!(!bad(CHAT, "{\"a\":").is_empty());
    assert_eq!(bad(CHAT, &"x".repeat(1024 * 1024 + 1)), "payload too large");
    assert_eq!(
        bad(
            RESPONSES,
            r#"{"model":"m","input":[{"role":"assistant","content":" "}]}"#
        ),
        "Missing user message in `input`."
    );
    assert_eq!(
        bad(RESPONSES, r#"{"model":"m","input":"x","wish":1}"#),
        ": Unrecognized key: \"wish\""
    );
    assert!(gateway.model().requests().is_empty());
}

#[test]
fn a_body_without_a_length_or_end_is_bounded_too() {
    let gateway = setup().start();
    let mut tcp = connect(&gateway);
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        gateway.token()
    );
    tcp.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // Refused long before all of it is sent; then nobody reads any more.
    for _ in 0..64 {
        if tcp.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let answer = exchange(tcp, "");
    assert!(answer.is_empty() || status(&answer) == "400", "{answer}");
}

#[test]
fn endpoints_that_are_off_are_not_there() {
    let gateway = Setup::with_fake_model().start();
    for path in [CHAT, RESPONSES] {
        let answer = post(&gateway, path, &json!({"model": "m", "input": "x"}));
        // The page answers for every path nobody else knows, and takes no POST.
        assert_eq!(status(&answer), "405", "{path}");
    }
    assert!(gateway.model().requests().is_empty());
}

#[test]
fn a_model_that_fails_is_an_answer_and_a_run_that_fails_an_error() {
    let gateway = setup().start();
    let refused = crate::harness::model::Reply::Error(
        401,
        json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}),
    );
    gateway.model().otherwise(refused);
    let ask = json!({"messages": [{"role": "user", "content": "x"}]});
    let answer = post(&gateway, CHAT, &ask);
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(json_of(&answer).to_string().contains("Incorrect API key"));
    let mut streamed = ask.clone();
    streamed["stream"] = true.into();
    let answer = post(&gateway, CHAT, &streamed);
    let said = events(&answer);
    assert!(
        said[1].1.to_string().contains("Incorrect API key"),
        "{answer}"
    );
}

#[test]
fn a_response_has_the_originals_shape() {
    let gateway = setup().start();
    let answer = post(
        &gateway,
        RESPONSES,
        &json!({"model": "openclaw:main", "instructions": "Codeword OTTER.", "input": "hi",
                "max_output_tokens": 77}),
    );
    assert_eq!(status(&answer), "200", "{answer}");
    let said = json_of(&answer);
    assert!(said["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(said["object"], "response");
    assert_eq!(said["status"], "completed");
    assert_eq!(said["output"][0]["type"], "message");
    assert_eq!(said["output"][0]["status"], "completed");
    assert_eq!(
        said["output"][0]["content"][0]["text"],
        "Hello from the fake model."
    );
    assert_eq!(
        said["usage"],
        json!({"input_tokens": 100, "output_tokens": 10, "total_tokens": 110})
    );
    let asked = gateway.model().wait_request(1);
    assert!(asked.to_string().contains("OTTER"));
    let limit = asked
        .get("max_completion_tokens")
        .or(asked.get("max_tokens"));
    assert_eq!(limit, Some(&json!(77)));
}

#[test]
fn a_response_is_told_in_the_originals_events() {
    let gateway = setup().start();
    gateway.model().say(&["Hel", "lo"]);
    let answer = post(
        &gateway,
        RESPONSES,
        &json!({"model": "m", "input": "hi", "stream": true}),
    );
    let events = events(&answer);
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
            "",
        ]
    );
    for (name, data) in &events[..events.len() - 1] {
        assert_eq!(data["type"], name.as_str());
    }
    let done = &events[events.len() - 2].1["response"];
    assert_eq!(done["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(done["usage"]["total_tokens"], 110);
    assert_eq!(events.last().unwrap().1, json!("[DONE]"));
}

#[test]
fn a_call_of_the_clients_own_tool_is_handed_to_the_client() {
    let gateway = setup().start();
    let call = || {
        let call = ("weather".to_string(), json!({"city": "Oslo"}));
        crate::harness::model::Reply::Tools(vec![call])
    };
    gateway.model().reply(call());
    let ask = |stream: bool| {
        json!({"model": "m", "user": "tools", "stream": stream, "tool_choice": "required",
            "input": "How is the weather in Oslo?",
            "tools": [{"type": "function", "function": {"name": "weather",
                "description": "Says the weather.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]})
    };
    let said = json_of(&post(&gateway, RESPONSES, &ask(false)));
    assert_eq!(said["status"], "incomplete", "{said}");
    let output = &said["output"][0];
    assert_eq!(output["type"], "function_call");
    assert_eq!(output["name"], "weather");
    let arguments: Value = serde_json::from_str(output["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "Oslo"}));
    let asked = gateway.model().wait_request(1).to_string();
    assert!(asked.contains("Says the weather."));
    // The model was not asked again: the answer is the client's to give.
    assert_eq!(gateway.model().requests().len(), 1);
    let said = json_of(&post(
        &gateway,
        RESPONSES,
        &json!({"model": "m", "user": "tools", "input": [{"type": "function_call_output",
            "call_id": output["call_id"], "output": "Rain, 4 degrees."}]}),
    ));
    assert_eq!(said["status"], "completed", "{said}");
    assert!(
        gateway
            .model()
            .wait_request(2)
            .to_string()
            .contains("Rain, 4 degrees.")
    );
    gateway.model().reply(call());
    let streamed = events(&post(&gateway, RESPONSES, &ask(true)));
    let added: Vec<&Value> = streamed
        .iter()
        .filter(|(name, _)| name == "response.output_item.added")
        .map(|(_, data)| data)
        .collect();
    assert_eq!(added[1]["output_index"], 1);
    assert_eq!(added[1]["item"]["name"], "weather");
    let done = &streamed[streamed.len() - 2].1["response"];
    assert_eq!(done["status"], "incomplete");
}

#[test]
fn pictures_and_files_reach_the_model_and_private_addresses_are_not_asked() {
    let mut setup = setup();
    setup.config["models"]["providers"]["fake"]["models"][0]["input"] = json!(["text", "image"]);
    let gateway = setup.start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ask = |part: Value| {
        post(
            &gateway,
            RESPONSES,
            &json!({"model": "m", "input": [{"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Look at this."}, part]}]}),
        )
    };
    let image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let answer = ask(json!({"type": "input_image",
        "source": {"type": "base64", "media_type": "image/png", "data": image}}));
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(gateway.model().wait_request(1).to_string().contains(image));
    let answer = ask(json!({"type": "input_file", "source": {"type": "base64",
        "media_type": "text/markdown", "data": "IyBMaXN0CkhBTElCVVQ=", "filename": "list.md"}}));
    assert_eq!(status(&answer), "200", "{answer}");
    let asked = gateway.model().wait_request(2).to_string();
    assert!(
        asked.contains("<file name=\\\"list.md\\\">\\n# List\\nHALIBUT\\n</file>"),
        "{asked}"
    );
    let answer = ask(json!({"type": "input_file", "source": {"type": "base64",
        "media_type": "application/pdf", "data": "JVBERi0xLjc="}}));
    assert_eq!(status(&answer), "400");
    assert!(answer.contains("PDF"));
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let url = format!("http://{host}:{port}/secret.png");
        let answer = ask(json!({"type": "input_image", "source": {"type": "url", "url": url}}));
        assert_eq!(status(&answer), "400", "{answer}");
        assert!(answer.contains("Error: "));
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn agents_are_listed_as_models() {
    let mut setup = setup();
    setup.config["agents"]["list"] = json!([{"id": "main", "default": true}, {"id": "beta"}]);
    let gateway = setup.start();
    let get = |path: &str, token: &str| {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        exchange(connect(&gateway), &text)
    };
    let list = json_of(&get("/v1/models", gateway.token()));
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["openclaw", "openclaw:main", "openclaw:beta"]);
    assert_eq!(
        json_of(&get("/v1/models/openclaw%3Abeta", gateway.token()))["id"],
        "openclaw:beta"
    );
    assert_eq!(status(&get("/v1/models/gpt-5", gateway.token())), "404");
    assert_eq!(status(&get("/v1/models", "wrong")), "401");
    post(
        &gateway,
        CHAT,
        &json!({"model": "openclaw:beta", "user": "u",
                "messages": [{"role": "user", "content": "x"}]}),
    );
    let folder = gateway.state().join("agents/beta/sessions");
    assert!(folder.join("sessions.json").exists());
}

/// A Python with OpenAI's package, installed once below `target/`, or why there is none.
fn python() -> Result<&'static Path, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openai-python");
        let python = dir.join("bin/python3");
        let works = |python: &Path| {
            let mut command = Command::new(python);
            command.args(["-c", "import openai"]);
            run(&mut command).is_ok()
        };
        if works(&python) {
            return Ok(python);
        }
        eprintln!("installing OpenAI's Python package into {}", dir.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--only-binary",
            ":all:",
            "openai",
        ]))?;
        match works(&python) {
            true => Ok(python),
            false => Err("the package was installed and cannot be imported".into()),
        }
    });
    found.as_ref().map(PathBuf::as_path).map_err(String::clone)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|err| format!("{command:?}: {err}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    }
}

/// What the package makes of the gateway, a JSON object.
const SCRIPT: &str = r#"
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
words = [{"role": "user", "content": sys.argv[3]}]
out = {}
out["models"] = [m.id for m in client.models.list()]
said = client.chat.completions.create(model="openclaw", messages=words)
out["chat"] = said.choices[0].message.content
out["reason"] = said.choices[0].finish_reason
out["tokens"] = said.usage.total_tokens
chunks = list(client.chat.completions.create(
    model="openclaw", messages=words, stream=True, stream_options={"include_usage": True}))
out["streamed"] = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
out["last"] = [c.choices[0].finish_reason for c in chunks if c.choices][-1]
out["stream_tokens"] = chunks[-1].usage.total_tokens
out["response"] = client.responses.create(model="openclaw", input=sys.argv[3]).output_text
out["items"] = client.responses.create(model="openclaw", input=words).output_text
text, kinds = "", []
for event in client.responses.create(model="openclaw", input=sys.argv[3], stream=True):
    kinds.append(event.type)
    if event.type == "response.output_text.delta":
        text += event.delta
out["events"], out["response_streamed"] = kinds, text
try:
    openai.OpenAI(base_url=sys.argv[1], api_key="no", max_retries=0).models.list()
except openai.AuthenticationError as err:
    out["refused"] = err.status_code
try:
    client.responses.create(model="openclaw", input=[])
except openai.BadRequestError as err:
    out["bad"] = err.body["message"]
print(json.dumps(out))
"#;

fn talk_with_python(gateway: &Gateway, words: &str) -> Result<Value, String> {
    let url = format!("http://127.0.0.1:{}/v1", gateway.port());
    let mut command = Command::new(python()?);
    command
        .args(["-c", SCRIPT, &url, gateway.token(), words])
        .env_remove("OPENAI_BASE_URL")
        .env("NO_PROXY", "*");
    let said = run(&mut command).unwrap_or_else(|err| panic!("{err}"));
    Ok(serde_json::from_str(&said).expect("the script prints JSON"))
}

#[test]
fn openais_own_package_talks_to_the_gateway() {
    let gateway = setup().start();
    let out = match talk_with_python(&gateway, "hi") {
        Ok(out) => out,
        Err(why) => return skip("openais_own_package_talks_to_the_gateway", &why),
    };
    let hello = "Hello from the fake model.";
    for key in ["chat", "streamed", "response", "items", "response_streamed"] {
        assert_eq!(out[key], hello, "{key}: {out}");
    }
    assert_eq!(
        (&out["reason"], &out["last"]),
        (&json!("stop"), &json!("stop"))
    );
    assert_eq!(
        (&out["tokens"], &out["stream_tokens"]),
        (&json!(110), &json!(110))
    );
    assert_eq!(out["models"][0], "openclaw");
    assert_eq!(
        out["events"].as_array().unwrap().last().unwrap(),
        "response.completed"
    );
    assert_eq!(out["refused"], 401);
    assert_eq!(out["bad"], "Missing user message in `input`.");
}

#[test]
fn openais_own_package_talks_to_the_real_model() {
    const NAME: &str = "openais_own_package_talks_to_the_real_model";
    if let Err(why) = python() {
        return skip(NAME, &why);
    }
    let (mut setup, _tap) = match Setup::with_local_model("openai-completions", 24) {
        Ok(made) => made,
        Err(why) => return skip(NAME, &why),
    };
    switch_on(&mut setup);
    let gateway = setup.start();
    let out = talk_with_python(&gateway, "Say hello.").expect("Python is here");
    for key in ["chat", "streamed", "response", "items", "response_streamed"] {
        let text = out[key].as_str().unwrap();
        assert!(
            !text.trim().is_empty() && !text.contains("Error"),
            "{key}: {out}"
        );
    }
    assert!(out["tokens"].as_u64().unwrap() > 10);
}
