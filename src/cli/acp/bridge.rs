//! The sessions of one editor, and the gateway they are on.

use super::rpc::{self, Reader};
use super::words;
use crate::base::id;
use crate::base::sys::poll::{For, Poll};
use crate::base::time;
use crate::client::{Caller, Client, Error, Event};
use crate::wire::version;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// For connecting and for answers that wait for no model.
const PATIENCE: Duration = Duration::from_secs(30);
/// For frames that are here already.
const GLANCE: Duration = Duration::from_millis(2);
/// Sessions one editor has open; each is a few hundred bytes.
const MAX_SESSIONS: usize = 1024;
/// Messages of a loaded session that are shown again.
const HISTORY: u32 = 200;
/// Sessions listed when the editor does not say how many.
const LISTED: u64 = 100;

/// What the command line says of every session.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub session: Option<String>,
    pub label: Option<String>,
    pub require_existing: bool,
    pub reset: bool,
    pub prefix_cwd: bool,
    pub verbose: bool,
}

struct Session {
    key: String,
    cwd: String,
    prompt: Option<Prompt>,
}

/// A prompt that waits for its end.
struct Prompt {
    request: Value,
    run: String,
    /// Bytes of the reply that the editor has.
    shown: usize,
    tools: HashSet<String>,
}

pub struct Bridge<W: Write> {
    caller: Caller,
    client: Option<Client>,
    /// Came while an answer was waited for.
    backlog: Vec<Event>,
    sessions: HashMap<String, Session>,
    options: Options,
    out: W,
}

impl<W: Write> Bridge<W> {
    pub fn new(caller: Caller, options: Options, out: W) -> Bridge<W> {
        Bridge {
            caller,
            client: None,
            backlog: Vec::new(),
            sessions: HashMap::new(),
            options,
            out,
        }
    }

    /// Until the editor closes its end.
    pub fn serve(&mut self, mut editor: Reader) -> io::Result<()> {
        self.log("ready");
        loop {
            let mut poll = Poll::new();
            let typed = poll.add(editor.fd(), For::Reading);
            let told = self
                .client
                .as_ref()
                .map(|client| poll.add(client.fd(), For::Reading));
            poll.wait(None)?;
            let typed = poll.ready(typed);
            let told = told.is_some_and(|place| poll.ready(place));
            drop(poll);
            if told {
                self.drain()?;
            }
            if typed {
                let more = editor.fill()?;
                while let Some(line) = editor.line() {
                    self.take(&line)?;
                    self.catch_up()?;
                }
                if !more {
                    return Ok(());
                }
            }
        }
    }

    /// Handles every event that is here.
    fn drain(&mut self) -> io::Result<()> {
        while let Some(client) = &mut self.client {
            client.set_deadline(Some(Instant::now() + GLANCE));
            match client.event() {
                Ok(event) => self.on_event(&event)?,
                Err(Error::TimedOut { .. }) => return Ok(()),
                Err(err) => self.lost(&err)?,
            }
        }
        Ok(())
    }

    fn catch_up(&mut self) -> io::Result<()> {
        for event in std::mem::take(&mut self.backlog) {
            self.on_event(&event)?;
        }
        // A frame may be in the client's buffer, where no poll sees it.
        self.drain()
    }

    fn lost(&mut self, why: &Error) -> io::Result<()> {
        self.client = None;
        self.log(&format!("gateway disconnected: {why}"));
        let said = format!("Gateway disconnected: {why}");
        let waiting: Vec<Prompt> = self
            .sessions
            .values_mut()
            .filter_map(|session| session.prompt.take())
            .collect();
        for prompt in waiting {
            self.send(&rpc::error(&prompt.request, rpc::INTERNAL_ERROR, &said))?;
        }
        Ok(())
    }

    /// One line of the editor's.
    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            let said = "a line that is no JSON";
            return self.send(&rpc::error(&Value::Null, rpc::PARSE_ERROR, said));
        };
        let id = message.get("id").cloned();
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            // An answer to nothing we asked, or no message at all.
            return match id {
                Some(id) if message.get("result").or(message.get("error")).is_none() => {
                    self.send(&rpc::error(&id, rpc::INVALID_REQUEST, "it has no method"))
                }
                _ => Ok(()),
            };
        };
        let params = message.get("params").unwrap_or(&Value::Null);
        let Some(id) = id else {
            if method == "session/cancel" {
                return self.cancel(params);
            }
            return Ok(());
        };
        let done = match method {
            "initialize" => Ok(Some(initialize(params))),
            "authenticate" => Ok(Some(json!({}))),
            "session/new" => self.open(params, None),
            "session/load" => self.load(params),
            "session/list" => self.list(params),
            "session/set_mode" => self.set_mode(params),
            "session/prompt" => self.prompt(&id, params),
            _ => {
                return self.send(&rpc::error(&id, rpc::METHOD_NOT_FOUND, method));
            }
        };
        match done {
            Ok(Some(result)) => self.send(&rpc::result(&id, result)),
            // It is answered when the turn ends.
            Ok(None) => Ok(()),
            Err(why) => self.send(&rpc::error(&id, rpc::INTERNAL_ERROR, &why)),
        }?;
        match (method, params["sessionId"].as_str()) {
            ("session/load", Some(session)) if self.sessions.contains_key(session) => {
                self.announce(session)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, params: &Value, given: Option<&str>) -> Result<Option<Value>, String> {
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(format!("{MAX_SESSIONS} sessions are open already"));
        }
        let session = given.map_or_else(id::uuid, str::to_string);
        let fallback = match given {
            Some(given) => given.to_string(),
            None => format!("acp:{session}"),
        };
        let key = self.key(params, fallback)?;
        let reset = words::meta_flag(params, &["resetSession", "reset"]);
        if reset.unwrap_or(self.options.reset) {
            self.call("sessions.reset", &json!({ "key": key }))?;
        }
        self.log(&format!("session {session} is {key}"));
        let cwd = params["cwd"].as_str().unwrap_or_default().to_string();
        let fresh = Session {
            key,
            cwd,
            prompt: None,
        };
        self.sessions.insert(session.clone(), fresh);
        if given.is_none() {
            let told = self.announce(&session);
            told.map_err(|err| err.to_string())?;
        }
        Ok(Some(json!({ "sessionId": session })))
    }

    /// As `open`, and shows what was said in the session.
    fn load(&mut self, params: &Value) -> Result<Option<Value>, String> {
        let given = params["sessionId"]
            .as_str()
            .ok_or("it names no sessionId")?;
        let given = given.to_string();
        self.open(params, Some(&given))?;
        let key = self.sessions[&given].key.clone();
        let asked = json!({"sessionKey": key, "limit": HISTORY});
        // A session that is not there yet has no history.
        let history = self.call("chat.history", &asked).unwrap_or_default();
        for message in history["messages"].as_array().into_iter().flatten() {
            let kind = match message["role"].as_str() {
                Some("user") => "user_message_chunk",
                Some("assistant") => "agent_message_chunk",
                _ => continue,
            };
            let text = words::said(message);
            if !text.is_empty() {
                let content = json!({"type": "text", "text": text});
                let update = json!({"sessionUpdate": kind, "content": content});
                self.update(&given, update).map_err(|err| err.to_string())?;
            }
        }
        Ok(Some(json!({})))
    }

    /// The session's key: what the request says, else the command line, else one of its own.
    fn key(&mut self, params: &Value, fallback: String) -> Result<String, String> {
        let label = words::meta_text(params, &["sessionLabel", "label"]).map(str::to_string);
        let key = words::meta_text(params, &["sessionKey", "session", "key"]).map(str::to_string);
        let must = words::meta_flag(params, &["requireExistingSession", "requireExisting"]);
        let must = must.unwrap_or(self.options.require_existing);
        let (label, key) = match (label, key) {
            (None, None) => (self.options.label.clone(), self.options.session.clone()),
            named => named,
        };
        let (asked, failed) = match (label, key) {
            (Some(label), _) => {
                let failed = format!("Unable to resolve session label: {label}");
                (json!({ "label": label }), failed)
            }
            (None, Some(key)) if must => {
                let failed = format!("Session key not found: {key}");
                (json!({ "key": key }), failed)
            }
            (None, Some(key)) => return Ok(key),
            (None, None) => return Ok(fallback),
        };
        let found = self.call("sessions.resolve", &asked)?;
        found["key"].as_str().map(str::to_string).ok_or(failed)
    }

    fn list(&mut self, params: &Value) -> Result<Option<Value>, String> {
        let limit = words::meta(params, &["limit"]).and_then(Value::as_u64);
        let asked = json!({"limit": limit.unwrap_or(LISTED)});
        let found = self.call("sessions.list", &asked)?;
        let here = std::env::current_dir().unwrap_or_default();
        let cwd = params["cwd"].as_str().map_or(here, Into::into);
        let sessions: Vec<Value> = found["sessions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| {
                let title = ["displayName", "label", "key"];
                let title = title.iter().find_map(|name| row[*name].as_str());
                let at = row["updatedAt"].as_u64().map(time::iso);
                let mut own = Map::new();
                for (name, value) in [
                    ("sessionKey", &row["key"]),
                    ("kind", &row["kind"]),
                    ("channel", &row["channel"]),
                ] {
                    own.insert(name.into(), value.clone());
                }
                json!({"sessionId": row["key"], "cwd": cwd, "title": title, "updatedAt": at,
                    "_meta": own})
            })
            .collect();
        Ok(Some(json!({"sessions": sessions, "nextCursor": null})))
    }

    /// A mode is a thinking level.
    fn set_mode(&mut self, params: &Value) -> Result<Option<Value>, String> {
        let key = self.session(params)?.key.clone();
        if let Some(mode) = params["modeId"].as_str().filter(|mode| !mode.is_empty()) {
            self.call(
                "sessions.patch",
                &json!({"key": key, "thinkingLevel": mode}),
            )?;
        }
        Ok(Some(json!({})))
    }

    fn session(&mut self, params: &Value) -> Result<&mut Session, String> {
        let id = params["sessionId"].as_str().unwrap_or_default();
        let session = self.sessions.get_mut(id);
        session.ok_or_else(|| format!("Session {id} not found"))
    }

    fn prompt(&mut self, id: &Value, params: &Value) -> Result<Option<Value>, String> {
        let session = self.session(params)?;
        let (key, cwd) = (session.key.clone(), session.cwd.clone());
        if session.prompt.is_some() {
            self.cancel(params).map_err(|err| err.to_string())?;
        }
        let prefix = words::meta_flag(params, &["prefixCwd"]).unwrap_or(self.options.prefix_cwd);
        let mut message = words::text(&params["prompt"]);
        if prefix {
            message = format!("[Working directory: {cwd}]\n\n{message}");
        }
        let run = id::uuid();
        let mut asked = json!({"sessionKey": key, "message": message, "idempotencyKey": run});
        let attachments = words::attachments(&params["prompt"]);
        if !attachments.is_empty() {
            asked["attachments"] = attachments.into();
        }
        if let Some(level) = words::meta_text(params, &["thinking", "thinkingLevel"]) {
            asked["thinking"] = level.into();
        }
        if let Some(deliver) = words::meta_flag(params, &["deliver"]) {
            asked["deliver"] = deliver.into();
        }
        if let Some(limit) = words::meta(params, &["timeoutMs"]).filter(|limit| limit.is_number()) {
            asked["timeoutMs"] = limit.clone();
        }
        // Its events may come before the answer.
        self.session(params)?.prompt = Some(Prompt {
            request: id.clone(),
            run,
            shown: 0,
            tools: HashSet::new(),
        });
        let sent = self.call("chat.send", &asked);
        if sent.is_err() {
            // `lost` has answered it when the connection broke.
            let waits = self.session(params)?.prompt.take();
            return match waits {
                Some(_) => Err(sent.err().unwrap_or_default()),
                None => Ok(None),
            };
        }
        Ok(None)
    }

    fn cancel(&mut self, params: &Value) -> io::Result<()> {
        let Ok(session) = self.session(params) else {
            return Ok(());
        };
        let key = session.key.clone();
        let Some(prompt) = session.prompt.take() else {
            return Ok(());
        };
        let asked = json!({"sessionKey": key, "runId": prompt.run});
        if let Err(why) = self.call("chat.abort", &asked) {
            self.log(&format!("cancel: {why}"));
        }
        let stopped = json!({"stopReason": "cancelled"});
        self.send(&rpc::result(&prompt.request, stopped))
    }

    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let run = event.payload["runId"].as_str().unwrap_or_default();
        let waits = |session: &Session| session.prompt.as_ref().is_some_and(|p| p.run == run);
        let mut sessions = self.sessions.iter();
        let Some((id, _)) = sessions.find(|(_, session)| waits(session)) else {
            return Ok(());
        };
        let id = id.clone();
        match event.name.as_str() {
            "chat" => self.on_chat(&id, &event.payload),
            "agent" if event.payload["stream"] == "tool" => {
                self.on_tool(&id, &event.payload["data"])
            }
            _ => Ok(()),
        }
    }

    fn on_chat(&mut self, id: &str, chat: &Value) -> io::Result<()> {
        let mut text = words::said(&chat["message"]);
        let state = chat["state"].as_str().unwrap_or_default();
        let Some(prompt) = self.sessions.get_mut(id).and_then(|s| s.prompt.as_mut()) else {
            return Ok(());
        };
        if state == "error" && text.is_empty() {
            let why = chat["errorMessage"].as_str();
            text = why.unwrap_or("The run failed.").to_string();
        }
        // The last event has the whole text, of which the parts before may lack the end.
        if let Some(new) = text.get(prompt.shown..).filter(|new| !new.is_empty()) {
            let content = json!({"type": "text", "text": new});
            prompt.shown = text.len();
            let update = json!({"sessionUpdate": "agent_message_chunk", "content": content});
            self.update(id, update)?;
        }
        let reason = match state {
            "final" => "end_turn",
            "aborted" => "cancelled",
            "error" => "refusal",
            _ => return Ok(()),
        };
        let ended = self.sessions.get_mut(id).and_then(|s| s.prompt.take());
        match ended {
            Some(prompt) => {
                let stopped = json!({ "stopReason": reason });
                self.send(&rpc::result(&prompt.request, stopped))
            }
            None => Ok(()),
        }
    }

    fn on_tool(&mut self, id: &str, tool: &Value) -> io::Result<()> {
        let Some(call) = tool["toolCallId"].as_str() else {
            return Ok(());
        };
        let name = tool["name"].as_str().unwrap_or("tool");
        let prompt = self.sessions.get_mut(id).and_then(|s| s.prompt.as_mut());
        match tool["phase"].as_str() {
            Some("start") if prompt.is_some_and(|p| p.tools.insert(call.into())) => {
                let arguments = &tool["args"];
                let update = json!({
                    "sessionUpdate": "tool_call",
                    "toolCallId": call,
                    "title": words::title(name, arguments),
                    "status": "in_progress",
                    "rawInput": arguments,
                    "kind": words::kind(name),
                });
                self.update(id, update)
            }
            Some("result") => {
                let failed = tool["isError"] == true;
                let mut update = json!({
                    "sessionUpdate": "tool_call_update",
                    "toolCallId": call,
                    "status": if failed { "failed" } else { "completed" },
                });
                // Told in full only to a session that is fully verbose.
                if let Some(result) = tool.get("result") {
                    update["rawOutput"] = result.clone();
                }
                self.update(id, update)
            }
            _ => Ok(()),
        }
    }

    fn announce(&mut self, id: &str) -> io::Result<()> {
        let commands = words::commands();
        let kind = "available_commands_update";
        self.update(
            id,
            json!({"sessionUpdate": kind, "availableCommands": commands}),
        )
    }

    fn update(&mut self, id: &str, update: Value) -> io::Result<()> {
        let params = json!({"sessionId": id, "update": update});
        self.send(&rpc::notification("session/update", params))
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        rpc::write(&mut self.out, message)
    }

    /// Asks the gateway, dialling it when there is no connection.
    fn call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        if self.client.is_none() {
            let client = self
                .caller
                .connect(PATIENCE)
                .map_err(|err| err.to_string())?;
            self.log("gateway connected");
            self.client = Some(client);
        }
        let client = self.client.as_mut().expect("it was connected just now");
        client.set_deadline(Some(Instant::now() + PATIENCE));
        let backlog = &mut self.backlog;
        let mut hear = |event: &Event| backlog.push(event.clone());
        let answer = client.call_hearing(method, Some(params), false, &mut hear);
        match answer {
            Ok(value) => Ok(value),
            Err(Error::Rpc { message, .. }) => Err(message),
            Err(err) => {
                // What could not be written to the editor fails at the next line.
                let _ = self.lost(&err);
                Err(err.to_string())
            }
        }
    }

    fn log(&self, text: &str) {
        if self.options.verbose {
            eprintln!("[acp] {text}");
        }
    }
}

fn initialize(params: &Value) -> Value {
    // There is one version of the protocol so far, and who asks for a newer one hears of it.
    const PROTOCOL: u64 = 1;
    if let Some(asked) = params["protocolVersion"]
        .as_u64()
        .filter(|v| *v != PROTOCOL)
    {
        log::debug!("the editor speaks version {asked} of the protocol");
    }
    json!({
        "protocolVersion": PROTOCOL,
        "agentCapabilities": {
            "loadSession": true,
            "promptCapabilities": {"image": true, "audio": false, "embeddedContext": true},
            "mcpCapabilities": {"http": false, "sse": false},
            "sessionCapabilities": {"list": {}},
        },
        "agentInfo": {
            "name": "openclaw-acp",
            "title": "OpenClaw ACP Gateway",
            "version": version::BEHAVIOUR,
        },
        "authMethods": [],
    })
}
