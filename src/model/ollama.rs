//! Ollama's own API: a JSON text on each line. Unlike its OpenAI-compatible one it is told how large
//! a window to keep, where that one silently forgets the beginning of a long conversation.

use super::call::{self, Call, Flow, Framing, Manners};
use super::catalogue::CONTEXT_WINDOW;
use super::draft::{Draft, Part};
use super::history::{self, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::wire::message::{Assistant, Block, Content, StopReason};
use serde_json::Value;

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let call = Call {
        target,
        url: call::join(&target.base_url, "api/chat"),
        headers: options::bearer(target),
        body: body(target, request),
        manners: Manners::Asking,
        framing: Framing::Lines,
        error_text: call::openai_error,
    };
    call.run(cancel, on, &mut event)
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').pair("model", &target.model);
    json.key("messages").open(b'[');
    if !request.system.is_empty() {
        said_by(&mut json, "system", request.system);
        json.close(b'}');
    }
    for turn in &history::turns(target, request.messages) {
        match turn {
            Turn::User(content) => user(&mut json, target, content),
            Turn::Assistant { said, own } => assistant(&mut json, said, *own),
            Turn::Result(outcome) => {
                said_by(&mut json, "tool", &outcome.text());
                json.pair("tool_name", outcome.tool);
                images(&mut json, target, outcome.images());
                json.close(b'}');
            }
        }
    }
    json.close(b']').raw_pair("stream", "true");
    if !request.tools.is_empty() {
        json.key("tools").open(b'[');
        for tool in request.tools {
            json.open(b'{').pair("type", "function");
            json.key("function").open(b'{').pair("name", &tool.name);
            json.pair("description", &tool.description);
            json.key("parameters").value(&tool.parameters);
            json.close(b'}').close(b'}');
        }
        json.close(b']');
    }
    if target.reasoning {
        match options::thinking(target, request) {
            None => json.raw_pair("think", "false"),
            // The only family that is asked for a level.
            Some(level) if target.model.contains("gpt-oss") => {
                let level = if level == "minimal" { "low" } else { level };
                json.pair("think", level)
            }
            Some(_) => json.raw_pair("think", "true"),
        };
    }
    json.key("options").open(b'{');
    // A window nobody chose could be larger than the machine's memory.
    if target.context_window != CONTEXT_WINDOW {
        json.key("num_ctx").value(&target.context_window);
    }
    json.key("num_predict")
        .value(&options::max_tokens(target, request));
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    json.close(b'}').close(b'}');
    json.into_bytes()
}

/// Opens a message.
fn said_by(json: &mut Json, role: &str, text: &str) {
    json.open(b'{').pair("role", role).pair("content", text);
}

fn images<'a>(json: &mut Json, target: &Target, images: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut images = images.filter(|_| target.images).peekable();
    if images.peek().is_none() {
        return;
    }
    json.key("images").open(b'[');
    for (_, data) in images {
        json.str(data);
    }
    json.close(b']');
}

fn user(json: &mut Json, target: &Target, content: &Content) {
    let blocks: &[Block] = match content {
        Content::Text(_) => &[],
        Content::Blocks(blocks) => blocks,
    };
    let text = content.text();
    let pictures = target.images && history::images(blocks).next().is_some();
    if text.is_empty() && !pictures {
        return;
    }
    said_by(json, "user", &text);
    images(json, target, history::images(blocks));
    json.close(b'}');
}

fn assistant(json: &mut Json, said: &Assistant, own: bool) {
    let parts: Vec<Said> = history::said(said, own).collect();
    let joined = |pick: fn(&Said) -> Option<String>| {
        let texts: Vec<String> = parts.iter().filter_map(pick).collect();
        texts.join("\n")
    };
    let text = joined(|part| match part {
        Said::Text(text, _) => Some(text.to_string()),
        _ => None,
    });
    let thought = joined(|part| match part {
        Said::Thinking(text, _) => Some(text.to_string()),
        _ => None,
    });
    let calls = parts.iter().any(|p| matches!(p, Said::Call { .. }));
    if text.is_empty() && !calls {
        return;
    }
    said_by(json, "assistant", &text);
    if !thought.is_empty() {
        json.pair("thinking", &thought);
    }
    if calls {
        json.key("tool_calls").open(b'[');
        for part in &parts {
            if let Said::Call {
                name, arguments, ..
            } = part
            {
                json.open(b'{').key("function").open(b'{');
                json.pair("name", name).key("arguments").value(arguments);
                json.close(b'}').close(b'}');
            }
        }
        json.close(b']');
    }
    json.close(b'}');
}

fn event(data: &str, draft: &mut Draft) -> Result<Flow, String> {
    let event: Value = serde_json::from_str(data)
        .map_err(|err| format!("The service sent a line that is not understood: {err}"))?;
    if let Some(error) = event["error"].as_str() {
        return Err(error.to_string());
    }
    let message = &event["message"];
    let text = |key: &str| message[key].as_str().filter(|text| !text.is_empty());
    if let Some(thought) = text("thinking") {
        draft.thinking(thought, None)?;
    }
    if let Some(said) = text("content") {
        draft.text(said)?;
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        draft.start(Part::Tool {
            // Calls have no names of their own here.
            id: format!("call_{}", crate::base::id::short()),
            name: function["name"].as_str().unwrap_or_default().to_string(),
            json: match &function["arguments"] {
                Value::String(text) => text.clone(),
                Value::Object(map) if !map.is_empty() => function["arguments"].to_string(),
                _ => String::new(),
            },
            signature: None,
        })?;
        draft.end();
    }
    if event["done"] != true {
        return Ok(Flow::More);
    }
    draft.stop = Some(match event["done_reason"].as_str() {
        Some("length") => StopReason::Length,
        _ => StopReason::Stop,
    });
    let number = |key: &str| event[key].as_u64().unwrap_or(0);
    let out = &mut draft.usage;
    out.input = number("prompt_eval_count");
    out.output = number("eval_count");
    out.total_tokens = out.input + out.output;
    Ok(Flow::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Message;
    use serde_json::json;

    fn target() -> Target {
        Target {
            provider: "ollama".into(),
            model: "qwen3".into(),
            api: "ollama".into(),
            reasoning: true,
            images: true,
            context_window: 16_384,
            max_tokens: 2048,
            ..Target::default()
        }
    }

    #[test]
    fn a_conversation_is_told_with_its_window() {
        let messages = json!([
            {"role": "user", "timestamp": 1, "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "data": "AAAA", "mimeType": "image/png"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "toolCall", "id": "c1", "name": "t", "arguments": {"a": 1}}],
             "api": "ollama", "provider": "ollama", "model": "qwen3",
             "stopReason": "toolUse", "timestamp": 1},
            {"role": "toolResult", "toolCallId": "c1", "toolName": "t", "isError": false,
             "content": [{"type": "text", "text": "out"}], "timestamp": 1},
        ]);
        let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
        let request = Request {
            system: "s",
            messages: &messages,
            tools: &[],
            thinking: "low",
            session_id: "",
            max_tokens: None,
            must_call: false,
        };
        let sent: Value = serde_json::from_slice(&body(&target(), &request)).unwrap();
        assert_eq!(
            sent,
            json!({"model": "qwen3", "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "look", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "thinking": "hm",
                 "tool_calls": [{"function": {"name": "t", "arguments": {"a": 1}}}]},
                {"role": "tool", "content": "out", "tool_name": "t"}],
                "stream": true, "think": true,
                "options": {"num_ctx": 16384, "num_predict": 2048}})
        );
    }

    #[test]
    fn lines_become_an_answer_and_an_error_line_a_failure() {
        let target = target();
        let mut on = |_: Delta| {};
        let mut draft = Draft::new(&target, &mut on);
        for line in [
            json!({"message": {"role": "assistant", "thinking": "hm"}, "done": false}),
            json!({"message": {"content": "Hi"}, "done": false}),
            json!({"message": {"content": "", "tool_calls": [
                {"function": {"name": "t", "arguments": {"a": 1}}}]}, "done": false}),
            json!({"message": {"content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": 7, "eval_count": 3}),
        ] {
            event(&line.to_string(), &mut draft).unwrap();
        }
        let answer = draft.finish();
        assert_eq!(answer.stop_reason, StopReason::ToolUse);
        assert_eq!((answer.usage.input, answer.usage.total_tokens), (7, 10));
        assert_eq!(answer.text(), "Hi");
        let mut draft = Draft::new(&target, &mut on);
        let why = event(r#"{"error":"model not found"}"#, &mut draft);
        assert_eq!(why.err().as_deref(), Some("model not found"));
    }
}
