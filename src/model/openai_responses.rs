//! OpenAI's Responses. Nothing is stored with the service: each request repeats the conversation,
//! with reasoning as the encrypted items the service gave us.

use super::call::{self, Call, Flow, Framing, Manners};
use super::draft::{Draft, Part};
use super::history::{self, Outcome, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target, ToolSpec};
use crate::base::cancel::Cancel;
use crate::wire::message::{Assistant, Block, Content, StopReason};
use serde_json::Value;
use std::borrow::Cow;

/// The same at Microsoft's: another header, and each customer has an address.
pub(super) const AZURE: &str = "azure-openai-responses";
const MAX_ID: usize = 64;
/// How GPT-5 models are told not to reason at all.
const NO_REASONING: &str = "# Juice: 0 !important";

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let azure = target.api == AZURE;
    let mut headers = match &target.key {
        Some(key) if azure => vec![("api-key".into(), key.expose().into())],
        _ => options::bearer(target),
    };
    if target.provider == "github-copilot" {
        headers.extend(options::copilot(request));
    }
    let path = match azure {
        true => "responses?api-version=v1",
        false => "responses",
    };
    let call = Call {
        target,
        url: call::join(&target.base_url, path),
        headers,
        body: body(target, request),
        manners: Manners::Asking,
        framing: Framing::Events,
        error_text: call::openai_error,
    };
    let mut part_open = false;
    call.run(cancel, on, &mut |data, draft| {
        event(data, draft, &mut part_open)
    })
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').pair("model", &target.model);
    json.key("input").open(b'[');
    if !request.system.is_empty() {
        let role = if target.reasoning {
            "developer"
        } else {
            "system"
        };
        json.open(b'{')
            .pair("role", role)
            .pair("content", request.system);
        json.close(b'}');
    }
    let turns = history::turns(target, request.messages);
    conversation(&mut json, target, &turns);
    let level = options::thinking(target, request);
    if target.reasoning && level.is_none() && target.name.to_lowercase().starts_with("gpt-5") {
        json.open(b'{')
            .pair("role", "developer")
            .key("content")
            .open(b'[');
        text_part(&mut json, "input_text", NO_REASONING);
        json.close(b']').close(b'}');
    }
    json.close(b']').raw_pair("stream", "true");
    let retention = options::retention(target);
    if retention != "none" && !request.session_id.is_empty() {
        json.pair("prompt_cache_key", request.session_id);
        if retention == "long" && target.base_url.contains("api.openai.com") {
            json.pair("prompt_cache_retention", "24h");
        }
    }
    json.key("max_output_tokens")
        .value(&options::max_tokens(target, request));
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    if !request.tools.is_empty() {
        tools(&mut json, request.tools);
        if request.must_call {
            json.pair("tool_choice", "required");
        }
    }
    if let Some(level) = level {
        json.key("reasoning").open(b'{').pair("effort", level);
        json.pair("summary", "auto").close(b'}');
        json.raw_pair("include", r#"["reasoning.encrypted_content"]"#);
    }
    json.close(b'}');
    json.into_bytes()
}

/// The items of `input`.
pub(super) fn conversation(json: &mut Json, target: &Target, turns: &[Turn]) {
    for (at, turn) in turns.iter().enumerate() {
        match turn {
            Turn::User(content) => user(json, target, content),
            Turn::Assistant { said, own } => assistant(json, said, *own, at),
            Turn::Result(outcome) => result(json, target, outcome),
        }
    }
}

pub(super) fn tools(json: &mut Json, tools: &[ToolSpec]) {
    json.key("tools").open(b'[');
    for tool in tools {
        json.open(b'{')
            .pair("type", "function")
            .pair("name", &tool.name);
        json.pair("description", &tool.description);
        json.key("parameters").value(&tool.parameters);
        json.raw_pair("strict", "false").close(b'}');
    }
    json.close(b']');
}

fn text_part(json: &mut Json, kind: &str, text: &str) {
    json.open(b'{')
        .pair("type", kind)
        .pair("text", text)
        .close(b'}');
}

fn image_part(json: &mut Json, mime: &str, data: &str) {
    json.open(b'{')
        .pair("type", "input_image")
        .pair("detail", "auto");
    json.key("image_url")
        .strs(&["data:", mime, ";base64,", data]);
    json.close(b'}');
}

fn user(json: &mut Json, target: &Target, content: &Content) {
    let sent = |block: &Block| match block {
        Block::Text { .. } => true,
        Block::Image { .. } => target.images,
        _ => false,
    };
    if let Content::Blocks(blocks) = content {
        if !blocks.iter().any(sent) {
            return;
        }
    }
    json.open(b'{')
        .pair("role", "user")
        .key("content")
        .open(b'[');
    match content {
        Content::Text(text) => text_part(json, "input_text", text),
        Content::Blocks(blocks) => {
            for block in blocks.iter().filter(|b| sent(b)) {
                match block {
                    Block::Text { text, .. } => text_part(json, "input_text", text),
                    Block::Image { data, mime_type } => image_part(json, mime_type, data),
                    _ => {}
                }
            }
        }
    }
    json.close(b']').close(b'}');
}

fn assistant(json: &mut Json, said: &Assistant, own: bool, at: usize) {
    let parts: Vec<Said> = history::said(said, own).collect();
    // The service refuses reasoning that nothing follows.
    let follows = |part: &Said| !matches!(part, Said::Thinking(..));
    let used = parts.iter().rposition(follows).map_or(0, |last| last + 1);
    for part in &parts[..used] {
        match part {
            Said::Thinking(_, Some(item)) => {
                // Only an item of the service goes back; a signature of another kind would not parse.
                if serde_json::from_str::<&serde_json::value::RawValue>(item).is_ok() {
                    json.raw(item);
                }
            }
            Said::Thinking(_, None) => {}
            Said::Text(text, id) => {
                json.open(b'{')
                    .pair("type", "message")
                    .pair("role", "assistant");
                json.key("content").open(b'[').open(b'{');
                json.pair("type", "output_text").pair("text", text);
                json.raw_pair("annotations", "[]").close(b'}').close(b']');
                json.pair("status", "completed");
                json.pair("id", &message_id(*id, at)).close(b'}');
            }
            Said::Call {
                id,
                name,
                arguments,
                ..
            } => {
                json.open(b'{').pair("type", "function_call");
                let (call, item) = split_id(id);
                if let (true, Some(item)) = (own, item) {
                    json.pair("id", item);
                }
                json.pair("call_id", &call_id(call, own)).pair("name", name);
                let arguments = serde_json::to_string(arguments).expect("a JSON object serialises");
                json.pair("arguments", &arguments).close(b'}');
            }
        }
    }
}

/// The service's id of a message, or one made up from its place.
fn message_id(id: Option<&str>, at: usize) -> Cow<'_, str> {
    match id.filter(|id| !id.is_empty()) {
        None => Cow::Owned(format!("msg_{at}")),
        Some(id) if id.len() <= MAX_ID => Cow::Borrowed(id),
        Some(id) => {
            let hash = crate::base::hex::sha256(id.as_bytes());
            Cow::Owned(format!("msg_{}", &hash[..32]))
        }
    }
}

/// `<call id>|<item id>` as we store it.
fn split_id(id: &str) -> (&str, Option<&str>) {
    match id.split_once('|') {
        Some((call, item)) => (call, Some(item)),
        None => (id, None),
    }
}

fn call_id(call: &str, own: bool) -> Cow<'_, str> {
    if own {
        return Cow::Borrowed(call);
    }
    history::plain_id(call, MAX_ID)
}

fn result(json: &mut Json, target: &Target, outcome: &Outcome) {
    let text = outcome.text();
    let pictures = outcome.images().next().is_some();
    json.open(b'{').pair("type", "function_call_output");
    json.pair("call_id", &call_id(split_id(outcome.id).0, outcome.own));
    let empty = text.is_empty() && pictures;
    json.pair("output", if empty { "(see attached image)" } else { &text });
    json.close(b'}');
    if pictures && target.images {
        json.open(b'{')
            .pair("role", "user")
            .key("content")
            .open(b'[');
        text_part(json, "input_text", "Attached image(s) from tool result:");
        for (mime, data) in outcome.images() {
            image_part(json, mime, data);
        }
        json.close(b']').close(b'}');
    }
}

/// `part_open`: the service announced a content part, without which its text is not to be shown.
pub(super) fn event(data: &str, draft: &mut Draft, part_open: &mut bool) -> Result<Flow, String> {
    if data == "[DONE]" {
        return Ok(Flow::Done);
    }
    let event: Value = serde_json::from_str(data)
        .map_err(|err| format!("The service sent an event that is not understood: {err}"))?;
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    match text("type") {
        "response.output_item.added" => {
            *part_open = false;
            if let Some(part) = begun(&event["item"]) {
                draft.start(part)?;
            }
        }
        "response.reasoning_summary_text.delta" => draft.thinking(text("delta"), None)?,
        "response.reasoning_summary_part.done" => {
            if matches!(draft.current(), Some(Part::Thinking { .. })) {
                draft.thinking("\n\n", None)?;
            }
        }
        "response.content_part.added" => *part_open = true,
        "response.output_text.delta" | "response.refusal.delta" if *part_open => {
            draft.text(text("delta"))?;
        }
        "response.function_call_arguments.delta" => {
            if let Some(Part::Tool { json, .. }) = draft.current() {
                json.push_str(text("delta"));
            }
        }
        "response.function_call_arguments.done" => {
            if let Some(Part::Tool { json, .. }) = draft.current() {
                *json = text("arguments").to_string();
            }
        }
        "response.output_item.done" => done(&event["item"], draft),
        "response.completed" | "response.done" | "response.incomplete" => {
            finish(&event["response"], draft);
            return Ok(Flow::Done);
        }
        "response.failed" => {
            let message = event
                .pointer("/response/error/message")
                .and_then(Value::as_str);
            return Err(message
                .unwrap_or("The service failed to answer.")
                .to_string());
        }
        "error" => {
            return Err(format!("Error Code {}: {}", text("code"), text("message")));
        }
        _ => {}
    }
    Ok(Flow::More)
}

fn begun(item: &Value) -> Option<Part> {
    let text = |key: &str| item[key].as_str().unwrap_or_default().to_string();
    Some(match item["type"].as_str()? {
        "reasoning" => Part::Thinking {
            text: String::new(),
            signature: None,
        },
        "message" => Part::Text {
            text: String::new(),
            signature: None,
        },
        "function_call" => Part::Tool {
            id: stored_id(item),
            name: text("name"),
            json: text("arguments"),
            signature: None,
        },
        _ => return None,
    })
}

fn stored_id(item: &Value) -> String {
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    format!("{}|{}", text("call_id"), text("id"))
}

/// A finished item is authoritative for what its deltas said.
fn done(item: &Value, draft: &mut Draft) {
    let joined = |list: &Value, keys: [&str; 2], between: &str| {
        let parts = list.as_array().into_iter().flatten();
        let texts: Vec<&str> = parts
            .filter_map(|part| keys.iter().find_map(|key| part[*key].as_str()))
            .collect();
        texts.join(between)
    };
    match (item["type"].as_str(), draft.current()) {
        (Some("reasoning"), Some(Part::Thinking { text, signature })) => {
            let whole = joined(&item["summary"], ["text", "text"], "\n\n");
            if !whole.is_empty() || item["summary"].is_array() {
                *text = whole;
            }
            *signature = Some(item.to_string());
        }
        (Some("message"), Some(Part::Text { text, signature })) => {
            let whole = joined(&item["content"], ["text", "refusal"], "");
            if !whole.is_empty() {
                *text = whole;
            }
            *signature = item["id"].as_str().map(str::to_string);
        }
        (Some("function_call"), Some(Part::Tool { id, name, json, .. })) => {
            *id = stored_id(item);
            if let Some(given) = item["name"].as_str() {
                *name = given.to_string();
            }
            if let Some(given) = item["arguments"].as_str() {
                *json = given.to_string();
            }
        }
        _ => {}
    }
    draft.end();
}

fn finish(response: &Value, draft: &mut Draft) {
    let number = |pointer: &str| response.pointer(pointer).and_then(Value::as_u64);
    let cached = number("/usage/input_tokens_details/cached_tokens").unwrap_or(0);
    let input = number("/usage/input_tokens")
        .unwrap_or(0)
        .saturating_sub(cached);
    let output = number("/usage/output_tokens").unwrap_or(0);
    let usage = &mut draft.usage;
    usage.input = input;
    usage.output = output;
    usage.cache_read = cached;
    usage.total_tokens = number("/usage/total_tokens").unwrap_or(input + output + cached);
    draft.cost_factor = match response["service_tier"].as_str() {
        Some("flex") => 0.5,
        Some("priority") => 2.0,
        _ => 1.0,
    };
    draft.stop = Some(match response["status"].as_str() {
        Some("incomplete") => StopReason::Length,
        Some("failed" | "cancelled") => StopReason::Error,
        _ => StopReason::Stop,
    });
}
