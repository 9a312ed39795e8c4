//! `openclaw acp`: an editor drives a session by the Agent Client Protocol.

use crate::harness::model::Reply;
use crate::harness::{Gateway, skip};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// An editor as a script writes it.
struct Editor {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    /// Of the last `answer`.
    updates: Vec<Value>,
}

impl Editor {
    fn start(gateway: &Gateway, words: &[&str]) -> Editor {
        let mut child = gateway
            .command(env!("CARGO_BIN_EXE_openclaw"))
            .arg("acp")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("every line is JSON");
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        Editor {
            input: child.stdin.take().unwrap(),
            child,
            lines,
            updates: Vec::new(),
        }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    fn answer(&mut self, id: u64) -> Value {
        self.updates.clear();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("an answer");
            if line["method"] == "session/update" {
                self.updates.push(line["params"].clone());
            } else if line["id"] == id {
                return line;
            }
        }
    }

    fn new_session(&mut self, params: Value) -> String {
        self.ask(1, "session/new", params);
        let answer = self.answer(1);
        answer["result"]["sessionId"]
            .as_str()
            .expect("a session")
            .to_string()
    }

    fn prompt(&mut self, id: u64, session: &str, text: &str) {
        let prompt = json!([{"type": "text", "text": text}]);
        self.ask(
            id,
            "session/prompt",
            json!({"sessionId": session, "prompt": prompt}),
        );
    }

    /// What the model said, in the updates of the last answer.
    fn said(&self) -> String {
        let chunks = self.updates.iter().map(|params| &params["update"]);
        let chunks = chunks.filter(|update| update["sessionUpdate"] == "agent_message_chunk");
        chunks
            .filter_map(|update| update["content"]["text"].as_str())
            .collect()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tools are told of only in a session that is verbose.
fn make_verbose(gateway: &Gateway, key: &str) {
    let params = json!({"key": key, "verboseLevel": "on"});
    gateway.connect().call("sessions.patch", params).unwrap();
}

#[test]
fn an_editor_opens_a_session_prompts_it_and_sees_tools_and_the_whole_reply() {
    let gateway = Gateway::with_fake_model();
    let mut editor = Editor::start(&gateway, &[]);
    editor.ask(
        0,
        "initialize",
        json!({"protocolVersion": 1, "clientCapabilities": {}}),
    );
    let hello = editor.answer(0);
    assert_eq!(hello["result"]["protocolVersion"], 1);
    assert_eq!(hello["result"]["agentCapabilities"]["loadSession"], true);
    assert_eq!(hello["result"]["agentInfo"]["name"], "openclaw-acp");

    let session = editor.new_session(json!({"cwd": "/src/x", "mcpServers": []}));
    let told = &editor.updates[0];
    assert_eq!(told["update"]["sessionUpdate"], "available_commands_update");
    assert_eq!(told["sessionId"], session);

    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "echo hi"}),
    )]));
    gateway.model().say(&["One ", "two ", "three."]);
    make_verbose(&gateway, &format!("agent:main:acp:{session}"));
    editor.prompt(2, &session, "count");
    assert_eq!(editor.answer(2)["result"]["stopReason"], "end_turn");
    assert_eq!(editor.said(), "One two three.");
    let kinds: Vec<&str> = editor
        .updates
        .iter()
        .filter_map(|params| params["update"]["sessionUpdate"].as_str())
        .collect();
    assert_eq!(kinds[..2], ["tool_call", "tool_call_update"], "{kinds:?}");
    let update = &editor.updates[0]["update"];
    assert_eq!(update["title"], "exec: command: echo hi");
    assert_eq!(
        (&update["kind"], &update["status"]),
        (&json!("execute"), &json!("in_progress"))
    );
    assert_eq!(editor.updates[1]["update"]["status"], "completed");
    let request = gateway.model().requests().remove(0);
    let message = request["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    assert!(
        message.contains("[Working directory: /src/x]\\n\\ncount"),
        "{message}"
    );

    // Another editor finds the session by its key, and what was said in it.
    let mut other = Editor::start(&gateway, &["--no-prefix-cwd"]);
    let key = format!("agent:main:acp:{session}");
    other.ask(1, "session/list", json!({}));
    let listed = other.answer(1);
    assert_eq!(
        listed["result"]["sessions"][0]["sessionId"], key,
        "{listed}"
    );
    other.ask(
        2,
        "session/load",
        json!({"sessionId": key, "cwd": "/", "mcpServers": []}),
    );
    assert_eq!(other.answer(2)["result"], json!({}));
    let said: Vec<&str> = other
        .updates
        .iter()
        .filter_map(|params| params["update"]["content"]["text"].as_str())
        .collect();
    assert!(said[0].contains("count"), "{said:?}");
    assert_eq!(said.last(), Some(&"One two three."));
    gateway.model().say(&["Again."]);
    other.prompt(3, &key, "more");
    other.answer(3);
    assert_eq!(other.said(), "Again.");
}

#[test]
fn a_prompt_can_be_cancelled_and_what_is_wrong_is_told() {
    let gateway = Gateway::with_fake_model();
    let mut editor = Editor::start(&gateway, &["--session", "agent:main:desk"]);
    let session = editor.new_session(json!({"cwd": "/", "mcpServers": []}));
    make_verbose(&gateway, "agent:main:desk");
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "sleep 60"}),
    )]));
    editor.prompt(2, &session, "wait");
    let started = std::time::Instant::now();
    loop {
        let line = editor.lines.recv_timeout(PATIENCE).unwrap();
        if line["params"]["update"]["sessionUpdate"] == "tool_call" {
            break;
        }
    }
    editor.say(&json!({"jsonrpc": "2.0", "method": "session/cancel",
        "params": {"sessionId": session}}));
    assert_eq!(editor.answer(2)["result"]["stopReason"], "cancelled");
    assert!(started.elapsed() < PATIENCE);

    editor.prompt(3, "no-such", "x");
    let answer = editor.answer(3);
    assert_eq!(answer["error"]["code"], -32603);
    assert_eq!(
        answer["error"]["data"]["details"],
        "Session no-such not found"
    );
    editor.ask(4, "session/fly", json!({}));
    assert_eq!(editor.answer(4)["error"]["code"], -32601);
    writeln!(editor.input, "no JSON").unwrap();
    let line = editor.lines.recv_timeout(PATIENCE).unwrap();
    assert_eq!(line["error"]["code"], -32700);
    let meta = json!({"sessionKey": "agent:main:nowhere", "requireExisting": true});
    editor.ask(
        5,
        "session/new",
        json!({"cwd": "/", "mcpServers": [], "_meta": meta}),
    );
    let details = editor.answer(5)["error"]["data"]["details"].to_string();
    assert!(details.contains("agent:main:nowhere"), "{details}");

    // The gateway dies and comes back: the prompt that waited fails, the next one works.
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "sleep 60"}),
    )]));
    editor.prompt(6, &session, "wait again");
    loop {
        let line = editor.lines.recv_timeout(PATIENCE).unwrap();
        if line["params"]["update"]["sessionUpdate"] == "tool_call" {
            break;
        }
    }
    gateway.kill_core();
    let details = editor.answer(6)["error"]["data"]["details"].to_string();
    assert!(details.contains("Gateway disconnected"), "{details}");
    gateway.model().say(&["Back."]);
    editor.prompt(7, &session, "hello");
    assert_eq!(editor.answer(7)["result"]["stopReason"], "end_turn");
    assert_eq!(editor.said(), "Back.");
}

#[test]
fn our_client_talks_to_our_server() {
    let gateway = Gateway::with_fake_model();
    gateway.model().say(&["Hello you."]);
    let mut client = gateway
        .command(env!("CARGO_BIN_EXE_openclaw"))
        .args(["acp", "client", "--server", env!("CARGO_BIN_EXE_openclaw")])
        .args(["--server-args=--session", "--server-args=agent:main:try"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"hi\nexit\n").unwrap();
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Hello you.\n[end_turn]"), "{text}");
    assert!(text.contains("[commands] /help "), "{text}");
}

/// The protocol's own library, as the official client carries it.
const LIBRARY: &str = r#"
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";
const { ClientSideConnection, ndJsonStream, PROTOCOL_VERSION } = await import(process.argv[2]);
const agent = spawn(process.argv[3], ["acp"], { stdio: ["pipe", "pipe", "inherit"] });
let said = "", updates = [];
const client = new ClientSideConnection(() => ({
  sessionUpdate: async ({ update }) => {
    updates.push(update.sessionUpdate);
    if (update.sessionUpdate === "agent_message_chunk") said += update.content.text;
  },
}), ndJsonStream(Writable.toWeb(agent.stdin), Readable.toWeb(agent.stdout)));
const hello = await client.initialize({ protocolVersion: PROTOCOL_VERSION, clientCapabilities: {} });
const { sessionId } = await client.newSession({ cwd: "/", mcpServers: [] });
const first = await client.prompt({ sessionId, prompt: [{ type: "text", text: "hi" }] });
await client.setSessionMode({ sessionId, modeId: "low" });
let failure = "";
try { await client.loadSession({ cwd: "/", mcpServers: [], sessionId: "x",
  _meta: { sessionLabel: "none such" } }); } catch (err) { failure = err.message; }
console.log(JSON.stringify({ name: hello.agentInfo.name, stop: first.stopReason, said, updates, failure }));
agent.kill();
process.exit(0);
"#;

#[test]
fn the_protocols_own_library_understands_us() {
    let test = "the_protocols_own_library_understands_us";
    let sdk = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/official/node_modules/@agentclientprotocol/sdk/dist/acp.js");
    if !sdk.exists() || Command::new("node").arg("--version").output().is_err() {
        return skip(test, "no node, or the official client is not installed");
    }
    let gateway = Gateway::with_fake_model();
    gateway.model().say(&["Good ", "day."]);
    let script = gateway.dir().join("editor.mjs");
    std::fs::write(&script, LIBRARY).unwrap();
    let output = gateway
        .command("node")
        .arg(&script)
        .arg(&sdk)
        .arg(env!("CARGO_BIN_EXE_openclaw"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{errors}"));
    assert_eq!(
        (&told["name"], &told["stop"]),
        (&json!("openclaw-acp"), &json!("end_turn"))
    );
    assert_eq!(told["said"], "Good day.");
    assert_eq!(told["updates"][0], "available_commands_update");
    assert_ne!(told["failure"], "", "{told}");
}
