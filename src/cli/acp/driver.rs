//! The other side of the protocol, for trying it: starts a server, opens a session, and sends it what
//! is typed.

use super::rpc::{self, Reader};
use crate::cli::failure::Failure;
use crate::cli::output::{Out, Stopped};
use serde_json::{Value, json};
use std::io::{self, BufRead};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

pub struct Driver {
    server: Child,
    input: ChildStdin,
    output: Reader,
    asked: u64,
    verbose: bool,
}

impl Driver {
    pub fn start(
        command: &str,
        words: &[String],
        cwd: &PathBuf,
        verbose: bool,
    ) -> io::Result<Driver> {
        let mut server = Command::new(command)
            .args(words)
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (server.stdin.take(), server.stdout.take());
        Ok(Driver {
            input: input.expect("it was asked for"),
            output: Reader::new(OwnedFd::from(output.expect("it was asked for"))),
            server,
            asked: 0,
            verbose,
        })
    }

    /// Asks, and shows what comes before the answer.
    pub fn ask(&mut self, method: &str, params: Value, out: &mut Out) -> Result<Value, Failure> {
        self.asked += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params});
        self.log(method);
        rpc::write(&mut self.input, &request).map_err(Stopped::from)?;
        loop {
            while let Some(line) = self.output.line() {
                let Ok(message) = serde_json::from_slice::<Value>(&line) else {
                    return Err(Failure::said(
                        "acp client: the server wrote a line that is no JSON",
                    ));
                };
                if message["id"] == self.asked && message.get("method").is_none() {
                    return match message.get("error") {
                        None => Ok(message["result"].clone()),
                        Some(error) => {
                            let details = error["data"]["details"].as_str();
                            let said = details.or(error["message"].as_str());
                            // The conversation goes on after it, see `converse`.
                            Err(Failure::Error {
                                text: said.unwrap_or("the server refused").to_string(),
                                hint: None,
                            })
                        }
                    };
                }
                self.hear(&message, out)?;
            }
            if !self.output.fill().map_err(Stopped::from)? {
                return Err(Failure::said("acp client: the server ended"));
            }
        }
    }

    fn hear(&mut self, message: &Value, out: &mut Out) -> Result<(), Failure> {
        let Some(method) = message["method"].as_str() else {
            return Ok(());
        };
        if method == "session/request_permission" {
            return self.permit(message, out);
        }
        if let Some(id) = message.get("id") {
            let refusal = rpc::error(id, rpc::METHOD_NOT_FOUND, method);
            return Ok(rpc::write(&mut self.input, &refusal).map_err(Stopped::from)?);
        }
        let update = &message["params"]["update"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        match update["sessionUpdate"].as_str() {
            Some("agent_message_chunk") => out.text(&text(&update["content"]["text"]))?,
            Some("tool_call") => {
                let (title, status) = (text(&update["title"]), text(&update["status"]));
                out.line(format!("\n[tool] {title} ({status})"))?;
            }
            Some("tool_call_update") => {
                let (id, status) = (text(&update["toolCallId"]), text(&update["status"]));
                out.line(format!("[tool update] {id}: {status}"))?;
            }
            Some("available_commands_update") => {
                let names: Vec<String> = update["availableCommands"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|command| format!("/{}", text(&command["name"])))
                    .collect();
                out.line(format!("\n[commands] {}", names.join(" ")))?;
            }
            _ => {}
        }
        Ok(out.flush()?)
    }

    /// This client is for trying things, so it says yes, once.
    fn permit(&mut self, message: &Value, out: &mut Out) -> Result<(), Failure> {
        let params = &message["params"];
        let what = params["toolCall"]["title"].as_str().unwrap_or("tool");
        out.line(format!("\n[permission requested] {what}"))?;
        let options = params["options"].as_array().map(Vec::as_slice);
        let options = options.unwrap_or_default();
        let once = options.iter().find(|option| option["kind"] == "allow_once");
        let chosen = once
            .or(options.first())
            .map_or(json!("allow"), |option| option["optionId"].clone());
        let outcome = json!({"outcome": {"outcome": "selected", "optionId": chosen}});
        let answer = rpc::result(&message["id"], outcome);
        Ok(rpc::write(&mut self.input, &answer).map_err(Stopped::from)?)
    }

    /// A prompt a line, until `exit` or the end of the input.
    pub fn converse(&mut self, session: &Value, out: &mut Out) -> Result<(), Failure> {
        let stdin = io::stdin();
        let mut line = String::new();
        loop {
            out.text("> ")?;
            out.flush()?;
            line.clear();
            if stdin.lock().read_line(&mut line).map_err(Stopped::from)? == 0 {
                return Ok(out.line("")?);
            }
            match line.trim() {
                "" => continue,
                "exit" | "quit" => return Ok(()),
                text => {
                    let prompt = json!([{"type": "text", "text": text}]);
                    let params = json!({"sessionId": session, "prompt": prompt});
                    match self.ask("session/prompt", params, out) {
                        Ok(answer) => {
                            let reason = answer["stopReason"].as_str().unwrap_or_default();
                            out.line(format!("\n[{reason}]\n"))?;
                        }
                        Err(Failure::Error { text, .. }) => {
                            out.line(format!("\n[error] {text}\n"))?
                        }
                        Err(other) => return Err(other),
                    }
                }
            }
        }
    }

    fn log(&self, text: &str) {
        if self.verbose {
            eprintln!("[acp-client] {text}");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
