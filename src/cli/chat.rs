//! A chat in the terminal: lines in, replies as they stream, Ctrl-C stops a reply, Ctrl-D ends.

use super::failure::Failure;
use super::output::{Out, Stopped};
use crate::base::id;
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::signals::{Signal, Signals};
use crate::client::{Client, Error, Local};
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// For connecting and for answers that do not wait for a model.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a whole turn: the gateway's own limit and a little more.
const TURN: Duration = Duration::from_secs(630);
/// How soon a Ctrl-C is noticed while a reply streams.
const GLANCE: Duration = Duration::from_millis(100);

pub struct Chat {
    client: Client,
    session: String,
}

/// How a reply ended.
enum End {
    Said,
    Stopped,
}

impl Chat {
    /// The main session of the gateway that `local` names.
    pub fn open(local: &Local) -> Result<Chat, Failure> {
        let client = local.caller()?.connect(PATIENCE)?;
        let session = client.hello()["snapshot"]["sessionDefaults"]["mainSessionKey"]
            .as_str()
            .unwrap_or("main")
            .to_string();
        Ok(Chat { client, session })
    }

    /// One turn; the final answer of the `agent` method.
    pub fn ask(&mut self, message: &str) -> Result<Value, Failure> {
        self.client.set_deadline(Some(Instant::now() + TURN));
        let params = json!({
            "message": message,
            "sessionKey": self.session,
            "idempotencyKey": id::uuid(),
        });
        Ok(self.client.call_expect_final("agent", Some(&params))?)
    }

    /// One turn, printed as it comes.
    fn say(&mut self, message: &str, out: &mut Out, signals: &mut Signals) -> Result<End, Failure> {
        let run = id::uuid();
        let params = json!({
            "sessionKey": self.session,
            "message": message,
            "idempotencyKey": run,
        });
        self.client.set_deadline(Some(Instant::now() + PATIENCE));
        self.client.call("chat.send", Some(&params))?;
        let mut shown = 0;
        loop {
            if signals.take().contains(&Signal::Interrupt) {
                let params = json!({"sessionKey": self.session, "runId": run});
                self.client.set_deadline(Some(Instant::now() + PATIENCE));
                self.client.call("chat.abort", Some(&params))?;
                return Ok(End::Stopped);
            }
            self.client.set_deadline(Some(Instant::now() + GLANCE));
            let event = match self.client.event() {
                Ok(event) => event,
                Err(Error::TimedOut { .. }) => continue,
                Err(err) => return Err(err.into()),
            };
            let chat = &event.payload;
            if event.name != "chat" || chat["runId"] != run.as_str() {
                continue;
            }
            let text = chat["message"]["content"][0]["text"].as_str().unwrap_or("");
            if let Some(new) = text.get(shown..) {
                out.text(new)?;
                out.flush()?;
                shown = text.len();
            }
            match chat["state"].as_str() {
                Some("final") => return Ok(End::Said),
                Some("aborted") => return Ok(End::Stopped),
                Some("error") => {
                    let why = chat["errorMessage"].as_str().unwrap_or("the run failed");
                    eprintln!("openclaw: {why}");
                    return Ok(End::Said);
                }
                _ => {}
            }
        }
    }
}

/// Until the end of the input, or a Ctrl-C at the prompt.
pub fn converse(chat: &mut Chat, out: &mut Out) -> Result<(), Failure> {
    let mut signals = Signals::catch(&[Signal::Interrupt]).map_err(Stopped::from)?;
    let mut input = io::BufReader::new(io::stdin());
    let prompt = io::stdin().is_terminal();
    if prompt {
        out.line("Type a message and Enter. Ctrl-C stops a reply, Ctrl-D ends the chat.")?;
    }
    loop {
        if prompt {
            out.text("\n> ")?;
            out.flush()?;
        }
        let Some(line) = next_line(&mut input, &mut signals).map_err(Stopped::from)? else {
            if prompt {
                out.line("")?;
            }
            return Ok(());
        };
        if line.trim().is_empty() {
            continue;
        }
        match chat.say(line.trim(), out, &mut signals)? {
            End::Said => out.line("")?,
            End::Stopped => out.line(" [stopped]")?,
        }
        out.flush()?;
    }
}

/// `None` at the end of the input and at Ctrl-C.
fn next_line(
    input: &mut io::BufReader<io::Stdin>,
    signals: &mut Signals,
) -> io::Result<Option<String>> {
    if input.buffer().is_empty() {
        let stdin = io::stdin();
        let mut poll = Poll::new();
        let signal = poll.add(signals.fd(), For::Reading);
        poll.add(stdin.as_fd(), For::Reading);
        poll.wait(None)?;
        if poll.ready(signal) {
            drop(poll);
            signals.take();
            return Ok(None);
        }
    }
    let mut line = String::new();
    let read = input.read_line(&mut line)?;
    io::stdout().flush()?;
    Ok((read > 0).then_some(line))
}
