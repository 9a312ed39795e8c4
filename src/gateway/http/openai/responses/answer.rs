//! The response object, whole or told in events.

use super::named;
use crate::base::time;
use crate::gateway::http::Exchange;
use crate::gateway::http::openai::chat::keep_alive;
use crate::gateway::http::openai::talk::{News, Talk, reply};
use crate::gateway::http::openai::{KEEP_ALIVE, STREAM};
use crate::wire::gateway::agent::{PendingCall, RunResult, Tokens};
use serde_json::{Value, json};
use std::io::{self, Write};

pub struct Answer {
    id: String,
    /// Of the message in it.
    message: String,
    created: u64,
    model: String,
}

/// A stream that counts its events.
struct Events {
    to: Box<dyn Write + Send>,
    sent: u64,
}

impl Answer {
    pub fn new(model: String) -> Answer {
        Answer {
            id: named("resp"),
            message: named("msg"),
            created: time::now_ms() / 1000,
            model,
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    fn response(&self, status: &str, output: Value, used: &Tokens) -> Value {
        let total = match used.total {
            0 => used.input + used.output + used.cache_read + used.cache_write,
            total => total,
        };
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.model,
            "output": output,
            "usage": {
                "input_tokens": used.input,
                "output_tokens": used.output,
                "total_tokens": total,
            },
        })
    }

    pub fn failed(&self, why: &str) -> Value {
        let mut response = self.response("failed", json!([]), &Tokens::default());
        response["error"] = json!({"code": "api_error", "message": format!("Error: {why}")});
        response
    }

    pub fn of(&self, result: &RunResult) -> Value {
        let used = usage(result);
        match result.meta.pending_tool_calls.first() {
            Some(call) => self.response("incomplete", json!([function_call(call)]), &used),
            None => {
                let text = reply(result);
                self.response("completed", json!([self.item(Some(&text))]), &used)
            }
        }
    }

    /// The message; without a text it has only begun.
    fn item(&self, text: Option<&str>) -> Value {
        json!({
            "type": "message",
            "id": self.message,
            "role": "assistant",
            "content": text.map(part).into_iter().collect::<Vec<_>>(),
            "status": if text.is_some() { "completed" } else { "in_progress" },
        })
    }

    pub fn stream(&self, exchange: Exchange, talk: &Talk) -> io::Result<()> {
        let mut events = Events {
            to: exchange.stream(200, &STREAM)?,
            sent: 0,
        };
        let begun = self.response("in_progress", json!([]), &Tokens::default());
        for name in ["response.created", "response.in_progress"] {
            events.send(name, json!({"response": begun}))?;
        }
        let item = json!({"output_index": 0, "item": self.item(None)});
        events.send("response.output_item.added", item)?;
        let empty = self.placed("part", part(""));
        events.send("response.content_part.added", empty)?;
        let mut said = String::new();
        let ending = loop {
            match talk.next(KEEP_ALIVE) {
                News::Text(text) => {
                    said.push_str(&text);
                    self.delta(&mut events, &text)?;
                }
                News::Silence => keep_alive(&mut events.to)?,
                News::End(ending) => break ending,
            }
        };
        match *ending {
            Ok(result) => self.finish(&mut events, talk, &result, said)?,
            Err(why) => events.send("response.failed", json!({"response": self.failed(&why)}))?,
        }
        events.to.write_all(b"data: [DONE]\n\n")?;
        events.to.flush()
    }

    fn finish(
        &self,
        events: &mut Events,
        talk: &Talk,
        result: &RunResult,
        mut said: String,
    ) -> io::Result<()> {
        let call = result.meta.pending_tool_calls.first();
        if call.is_none() {
            let text = reply(result);
            let rest = talk.unsaid(&text);
            if !rest.is_empty() {
                said.push_str(rest);
                self.delta(events, rest)?;
            }
        }
        let done = self.placed("text", json!(said));
        events.send("response.output_text.done", done)?;
        events.send(
            "response.content_part.done",
            self.placed("part", part(&said)),
        )?;
        let item = self.item(Some(&said));
        let done = json!({"output_index": 0, "item": item});
        events.send("response.output_item.done", done)?;
        let used = usage(result);
        let response = match call {
            None => self.response("completed", json!([item]), &used),
            Some(call) => {
                let call = function_call(call);
                for name in ["response.output_item.added", "response.output_item.done"] {
                    events.send(name, json!({"output_index": 1, "item": call}))?;
                }
                self.response("incomplete", json!([item, call]), &used)
            }
        };
        events.send("response.completed", json!({"response": response}))
    }

    fn delta(&self, events: &mut Events, text: &str) -> io::Result<()> {
        events.send(
            "response.output_text.delta",
            self.placed("delta", json!(text)),
        )
    }

    fn placed(&self, key: &str, value: Value) -> Value {
        let mut data = json!({
            "item_id": self.message,
            "output_index": 0,
            "content_index": 0,
        });
        data[key] = value;
        data
    }
}

impl Events {
    fn send(&mut self, name: &str, data: Value) -> io::Result<()> {
        let mut event = json!({"type": name, "sequence_number": self.sent});
        self.sent += 1;
        if let (Value::Object(event), Value::Object(data)) = (&mut event, data) {
            event.extend(data);
        }
        let text = format!("event: {name}\ndata: {event}\n\n");
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn function_call(call: &PendingCall) -> Value {
    json!({
        "type": "function_call",
        "id": named("call"),
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    })
}

fn usage(result: &RunResult) -> Tokens {
    result.meta.agent_meta.usage.clone().unwrap_or_default()
}
