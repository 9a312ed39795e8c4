//! `POST /v1/chat/completions`.

use super::conversation::{Conversation, text_of};
use super::talk::{Ask, News, Talk, reply};
use super::{Admitted, KEEP_ALIVE, STREAM, Shared, admit, error, invalid, is_on, place, truthy};
use crate::base::{id, time};
use crate::gateway::http::Exchange;
use crate::gateway::turns::Api;
use crate::wire::gateway::agent::RunResult;
use serde_json::{Value, json};
use std::io::{self, Write};

pub const PATH: &str = "/v1/chat/completions";
pub const SWITCH: &str = "chatCompletions";
/// The original's.
const MAX_BODY: usize = 1024 * 1024;

pub fn serve(core: &Shared, exchange: Exchange) -> Option<Exchange> {
    if exchange.path() != PATH || !is_on(&core.config.current(), SWITCH) {
        return Some(exchange);
    }
    if let Some(admitted) = admit(core, exchange, MAX_BODY) {
        answer(core, admitted);
    }
    None
}

/// What every part of the answer repeats.
struct Answer {
    id: String,
    created: u64,
    model: String,
}

fn answer(core: &Shared, admitted: Admitted) {
    let Admitted { exchange, body, .. } = &admitted;
    let Some(ask) = ask(body) else {
        return invalid(admitted.exchange, "Missing user message in `messages`.");
    };
    let model = body["model"].as_str();
    let place = place(core, exchange, model, body["user"].as_str(), "openai");
    let answer = Answer {
        id: ask.run_id.clone(),
        created: time::now_ms() / 1000,
        model: model.filter(|m| !m.is_empty()).unwrap_or("openclaw").into(),
    };
    let streamed = truthy(&body["stream"]);
    let usage = body["stream_options"]["include_usage"] == true;
    let talk = Talk::begin(core, &place, ask, &exchange.gone);
    let exchange = admitted.exchange;
    match talk {
        Err(why) => exchange.json(500, &error(&format!("Error: {why}"), "api_error")),
        Ok(talk) if streamed => {
            // The client has gone, and its turn with it.
            if let Err(err) = answer.stream(exchange, &talk, usage) {
                log::debug!("{PATH}: {err}");
            }
        }
        Ok(talk) => match talk.end() {
            Ok(result) => exchange.json(200, &answer.whole(&result)),
            Err(why) => exchange.json(500, &error(&format!("Error: {why}"), "api_error")),
        },
    }
}

/// The turn a request asks for; `None` when it says nothing.
fn ask(body: &Value) -> Option<Ask> {
    let mut conversation = Conversation::default();
    for message in body["messages"].as_array().into_iter().flatten() {
        conversation.add(
            message["role"].as_str().unwrap_or_default().trim(),
            message["name"].as_str(),
            &text_of(&message["content"]),
        );
    }
    Some(Ask {
        run_id: format!("chatcmpl_{}", id::uuid()),
        text: conversation.text()?,
        extra: Some(conversation.system.join("\n\n")).filter(|text| !text.is_empty()),
        images: Vec::new(),
        api: Api::default(),
    })
}

impl Answer {
    fn whole(&self, result: &RunResult) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": reply(result)},
                "finish_reason": "stop",
            }],
            "usage": usage(result),
        })
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn stream(&self, exchange: Exchange, talk: &Talk, with_usage: bool) -> io::Result<()> {
        let mut to = exchange.stream(200, &STREAM)?;
        let mut begun = false;
        let mut say = |to: &mut dyn Write, text: &str| {
            if !std::mem::replace(&mut begun, true) {
                let role = json!([{"index": 0, "delta": {"role": "assistant"}}]);
                send(to, &self.chunk(role))?;
            }
            let delta = json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]);
            send(to, &self.chunk(delta))
        };
        let ending = loop {
            match talk.next(KEEP_ALIVE) {
                News::Text(text) => say(&mut to, &text)?,
                News::Silence => keep_alive(&mut to)?,
                News::End(ending) => break ending,
            }
        };
        match *ending {
            Ok(result) => {
                let text = reply(&result);
                let rest = talk.unsaid(&text);
                if !rest.is_empty() {
                    say(&mut to, rest)?;
                }
                let last = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
                send(&mut to, &self.chunk(last))?;
                if with_usage {
                    let mut chunk = self.chunk(json!([]));
                    chunk["usage"] = usage(&result);
                    send(&mut to, &chunk)?;
                }
            }
            Err(why) => {
                let delta = json!({"content": format!("Error: {why}")});
                let last = json!([{"index": 0, "delta": delta, "finish_reason": "stop"}]);
                send(&mut to, &self.chunk(last))?;
            }
        }
        to.write_all(b"data: [DONE]\n\n")?;
        to.flush()
    }
}

fn send(to: &mut dyn Write, value: &Value) -> io::Result<()> {
    to.write_all(format!("data: {value}\n\n").as_bytes())?;
    to.flush()
}

/// A comment, which clients pass over.
pub(super) fn keep_alive(to: &mut dyn Write) -> io::Result<()> {
    to.write_all(b": keep-alive\n\n")?;
    to.flush()
}

/// Of the run's last model call.
fn usage(result: &RunResult) -> Value {
    let used = result.meta.agent_meta.usage.clone().unwrap_or_default();
    let prompt = used.input + used.cache_read + used.cache_write;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": used.output,
        "total_tokens": prompt + used.output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_words_go_to_the_prompt_and_the_rest_is_the_message() {
        let body = json!({"messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
            {"role": "user", "content": "Hello"},
            7,
        ]});
        let ask = ask(&body).unwrap();
        assert_eq!(ask.text, "Hello");
        assert_eq!(ask.extra.as_deref(), Some("Be brief.\n\nIn French."));
        for empty in [json!({}), json!({"messages": "x"}), json!([])] {
            assert!(super::ask(&empty).is_none(), "{empty}");
        }
    }
}
