//! OpenAI's Chat Completions, which most services and local servers speak, each with its own
//! exceptions ([`Quirks`]). Here the request is written; `stream.rs` reads the answer.

mod stream;

use super::call::{self, Call, Framing, Manners};
use super::history::{self, Outcome, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::wire::message::{Assistant, Block, Content};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let call = Call {
        target,
        url: call::join(&target.base_url, "chat/completions"),
        headers: headers(target, request),
        body: body(target, request),
        manners: Manners::Asking,
        framing: Framing::Events,
        error_text: call::openai_error,
    };
    call.run(cancel, on, &mut stream::event)
}

fn headers(target: &Target, request: &Request) -> Vec<(String, String)> {
    let mut headers = options::bearer(target);
    if target.provider == "github-copilot" {
        headers.extend(options::copilot(request));
    }
    headers
}

/// How a service deviates.
struct Quirks {
    store: bool,
    developer: bool,
    effort: bool,
    usage: bool,
    strict: bool,
    max_tokens: &'static str,
    /// Mistral: results name their tool, thinking is plain text, ids have nine characters.
    mistral: bool,
    /// An assistant message must stand between a tool result and a user message.
    assistant_after_result: bool,
    thinking: Thinking,
}

#[derive(PartialEq)]
enum Thinking {
    Effort,
    Zai,
    Qwen,
}

impl Quirks {
    fn of(target: &Target) -> Quirks {
        let is = |id: &str, host: &str| target.provider == id || target.base_url.contains(host);
        let mistral = is("mistral", "mistral.ai");
        let xai = is("xai", "api.x.ai");
        let zai = is("zai", "api.z.ai");
        let chutes = is("chutes", "chutes.ai");
        let plain = mistral
            || xai
            || zai
            || chutes
            || is("cerebras", "cerebras.ai")
            || is("deepseek", "deepseek.com")
            || is("opencode", "opencode.ai");
        let flag = |key: &str, detected: bool| {
            let given = target.compat.get(key).and_then(Value::as_bool);
            given.unwrap_or(detected)
        };
        let text = |key: &str| target.compat.get(key).and_then(Value::as_str);
        Quirks {
            store: flag("supportsStore", !plain),
            developer: flag("supportsDeveloperRole", !plain),
            effort: flag("supportsReasoningEffort", !xai && !zai),
            usage: flag("supportsUsageInStreaming", true),
            strict: flag("supportsStrictMode", true),
            max_tokens: match text("maxTokensField") {
                Some("max_tokens") => "max_tokens",
                None if mistral || chutes => "max_tokens",
                _ => "max_completion_tokens",
            },
            mistral: flag("requiresToolResultName", mistral),
            assistant_after_result: flag("requiresAssistantAfterToolResult", false),
            thinking: match text("thinkingFormat") {
                Some("zai") => Thinking::Zai,
                Some("qwen") => Thinking::Qwen,
                None if zai => Thinking::Zai,
                _ => Thinking::Effort,
            },
        }
    }
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let quirks = Quirks::of(target);
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').pair("model", &target.model);
    json.key("messages").open(b'[');
    if !request.system.is_empty() {
        let developer = target.reasoning && quirks.developer;
        let role = if developer { "developer" } else { "system" };
        json.open(b'{')
            .pair("role", role)
            .pair("content", request.system);
        json.close(b'}');
    }
    let turns = history::turns(target, request.messages);
    messages(&mut json, target, &quirks, &turns);
    json.close(b']').raw_pair("stream", "true");
    if quirks.usage {
        json.raw_pair("stream_options", r#"{"include_usage":true}"#);
    }
    if quirks.store {
        json.raw_pair("store", "false");
    }
    json.key(quirks.max_tokens)
        .value(&options::max_tokens(target, request));
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    let tool_traffic = turns.iter().any(|t| match t {
        Turn::Result(_) => true,
        Turn::Assistant { said, .. } => said.tool_calls().next().is_some(),
        Turn::User(_) => false,
    });
    if !request.tools.is_empty() {
        json.key("tools").open(b'[');
        for tool in request.tools {
            json.open(b'{').pair("type", "function");
            json.key("function").open(b'{').pair("name", &tool.name);
            json.pair("description", &tool.description);
            json.key("parameters").value(&tool.parameters);
            if quirks.strict {
                json.raw_pair("strict", "false");
            }
            json.close(b'}').close(b'}');
        }
        json.close(b']');
        if request.must_call {
            json.pair("tool_choice", "required");
        }
    } else if tool_traffic {
        json.raw_pair("tools", "[]");
    }
    let level = options::thinking(target, request);
    match quirks.thinking {
        Thinking::Zai if target.reasoning => {
            let kind = if level.is_some() {
                "enabled"
            } else {
                "disabled"
            };
            json.key("thinking")
                .open(b'{')
                .pair("type", kind)
                .close(b'}');
        }
        Thinking::Qwen if target.reasoning => {
            let on = if level.is_some() { "true" } else { "false" };
            json.raw_pair("enable_thinking", on);
        }
        Thinking::Effort if quirks.effort => {
            if let Some(level) = level {
                json.pair("reasoning_effort", level);
            }
        }
        _ => {}
    }
    json.close(b'}');
    json.into_bytes()
}

fn messages(json: &mut Json, target: &Target, quirks: &Quirks, turns: &[Turn]) {
    let cached = cached_turn(target, turns);
    let mut after_result = false;
    for (at, turn) in turns.iter().enumerate() {
        let was_result = std::mem::replace(&mut after_result, matches!(turn, Turn::Result(_)));
        match turn {
            Turn::User(content) => {
                if quirks.assistant_after_result && was_result {
                    json.open(b'{').pair("role", "assistant");
                    json.pair("content", "I have processed the tool results.");
                    json.close(b'}');
                }
                user(json, target, content, cached == Some(at));
            }
            Turn::Assistant { said, own } => {
                assistant(json, target, quirks, said, *own, cached == Some(at));
            }
            Turn::Result(outcome) => {
                result(json, target, quirks, outcome);
                let last = !matches!(turns.get(at + 1), Some(Turn::Result(_)));
                if last && target.images {
                    let first = turns[..at]
                        .iter()
                        .rposition(|t| !matches!(t, Turn::Result(_)));
                    images_of(json, &turns[first.map_or(0, |f| f + 1)..=at]);
                }
            }
        }
    }
}

/// OpenRouter passes Anthropic's cache marks on; one belongs on the last message with text.
fn cached_turn(target: &Target, turns: &[Turn]) -> Option<usize> {
    if target.provider != "openrouter" || !target.model.starts_with("anthropic/") {
        return None;
    }
    turns.iter().rposition(|turn| match turn {
        Turn::User(_) => true,
        Turn::Assistant { said, .. } => {
            said.content.iter().any(|b| matches!(b, Block::Text { .. }))
        }
        Turn::Result(_) => false,
    })
}

fn text_part(json: &mut Json, text: &str, cached: bool) {
    json.open(b'{').pair("type", "text").pair("text", text);
    if cached {
        json.raw_pair("cache_control", r#"{"type":"ephemeral"}"#);
    }
    json.close(b'}');
}

fn image_part(json: &mut Json, mime: &str, data: &str) {
    json.open(b'{')
        .pair("type", "image_url")
        .key("image_url")
        .open(b'{');
    json.key("url").strs(&["data:", mime, ";base64,", data]);
    json.close(b'}').close(b'}');
}

fn user(json: &mut Json, target: &Target, content: &Content, cached: bool) {
    let blocks = match content {
        Content::Text(text) if !cached => {
            json.open(b'{')
                .pair("role", "user")
                .pair("content", text)
                .close(b'}');
            return;
        }
        Content::Text(text) => {
            json.open(b'{')
                .pair("role", "user")
                .key("content")
                .open(b'[');
            text_part(json, text, cached);
            json.close(b']').close(b'}');
            return;
        }
        Content::Blocks(blocks) => blocks,
    };
    let sent = |block: &Block| match block {
        Block::Text { .. } => true,
        Block::Image { .. } => target.images,
        _ => false,
    };
    if !blocks.iter().any(sent) {
        return;
    }
    let last_text = blocks.iter().rposition(|b| matches!(b, Block::Text { .. }));
    json.open(b'{')
        .pair("role", "user")
        .key("content")
        .open(b'[');
    for (at, block) in blocks.iter().enumerate().filter(|(_, b)| sent(b)) {
        match block {
            Block::Text { text, .. } => text_part(json, text, cached && last_text == Some(at)),
            Block::Image { data, mime_type } => image_part(json, mime_type, data),
            _ => {}
        }
    }
    json.close(b']').close(b'}');
}

fn assistant(
    json: &mut Json,
    target: &Target,
    quirks: &Quirks,
    said: &Assistant,
    own: bool,
    cached: bool,
) {
    let mut texts: Vec<&str> = Vec::new();
    let mut thoughts: Vec<&str> = Vec::new();
    let mut field = None;
    let mut calls = Vec::new();
    for part in history::said(said, own) {
        match part {
            Said::Text(text, _) if !text.is_empty() => texts.push(text),
            Said::Thinking(text, signature) if !text.trim().is_empty() => {
                thoughts.push(text);
                field = field.or(signature.and_then(thinking_field));
            }
            Said::Call { .. } => calls.push(part),
            _ => {}
        }
    }
    let as_text = quirks.mistral && !thoughts.is_empty();
    let thought = thoughts.join(if as_text { "\n\n" } else { "\n" });
    if as_text {
        texts.insert(0, &thought);
    }
    if texts.is_empty() && calls.is_empty() {
        return;
    }
    json.open(b'{').pair("role", "assistant").key("content");
    match texts.split_last() {
        None if quirks.assistant_after_result => {
            json.str("");
        }
        None => {
            json.raw("null");
        }
        Some(_) if target.provider == "github-copilot" => {
            json.strs(&texts);
        }
        Some((last, before)) => {
            json.open(b'[');
            for text in before {
                text_part(json, text, false);
            }
            text_part(json, last, cached);
            json.close(b']');
        }
    }
    if let (Some(field), false, false) = (field, as_text, thought.is_empty()) {
        json.pair(field, &thought);
    }
    if !calls.is_empty() {
        tool_calls(json, target, quirks, own, &calls);
    }
    json.close(b'}');
}

fn tool_calls(json: &mut Json, target: &Target, quirks: &Quirks, own: bool, calls: &[Said]) {
    json.key("tool_calls").open(b'[');
    let mut details: Vec<&RawValue> = Vec::new();
    for call in calls {
        let Said::Call {
            id,
            name,
            arguments,
            signature,
        } = call
        else {
            continue;
        };
        json.open(b'{')
            .pair("id", &call_id(id, target, quirks, own));
        json.pair("type", "function");
        json.key("function").open(b'{').pair("name", name);
        let arguments = serde_json::to_string(arguments).expect("a JSON object serialises");
        json.pair("arguments", &arguments).close(b'}').close(b'}');
        details.extend(signature.and_then(|s| serde_json::from_str::<&RawValue>(s).ok()));
    }
    json.close(b']');
    if !details.is_empty() {
        json.key("reasoning_details").open(b'[');
        for detail in details {
            json.raw(detail.get());
        }
        json.close(b']');
    }
}

/// The name of the field a thought came in and goes back in.
fn thinking_field(signature: &str) -> Option<&'static str> {
    FIELDS.into_iter().find(|field| *field == signature)
}

/// Fields that services have invented for thoughts.
const FIELDS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_text"];

fn result(json: &mut Json, target: &Target, quirks: &Quirks, outcome: &Outcome) {
    let text = outcome.text();
    let shown = match outcome.images().next() {
        Some(_) if text.is_empty() => "(see attached image)",
        _ => text.as_ref(),
    };
    json.open(b'{').pair("role", "tool").pair("content", shown);
    json.pair(
        "tool_call_id",
        &call_id(outcome.id, target, quirks, outcome.own),
    );
    if quirks.mistral && !outcome.tool.is_empty() {
        json.pair("name", outcome.tool);
    }
    json.close(b'}');
}

/// Tool messages cannot carry images: those of a row of results follow as one user message.
fn images_of(json: &mut Json, row: &[Turn]) {
    let images = || {
        row.iter().flat_map(|turn| match turn {
            Turn::Result(outcome) => Some(outcome.images()),
            _ => None,
        })
    };
    if images().flatten().next().is_none() {
        return;
    }
    json.open(b'{')
        .pair("role", "user")
        .key("content")
        .open(b'[');
    text_part(json, "Attached image(s) from tool result:", false);
    for (mime, data) in images().flatten() {
        image_part(json, mime, data);
    }
    json.close(b']').close(b'}');
}

fn call_id<'a>(id: &'a str, target: &Target, quirks: &Quirks, own: bool) -> Cow<'a, str> {
    if quirks.mistral {
        return Cow::Owned(nine(id));
    }
    if own {
        return Cow::Borrowed(id);
    }
    if let Some((call, _)) = id.split_once('|') {
        return history::plain_id(call, 40);
    }
    if target.provider == "github-copilot" && target.model.to_lowercase().contains("claude") {
        return history::plain_id(id, 64);
    }
    match target.provider.as_str() {
        "openai" => Cow::Owned(id.chars().take(40).collect()),
        _ => Cow::Borrowed(id),
    }
}

/// Mistral takes ids of exactly nine letters and digits.
fn nine(id: &str) -> String {
    let plain: String = id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(9)
        .collect();
    if plain.len() == 9 {
        return plain;
    }
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, id.as_bytes());
    crate::base::hex::encode(hash.as_ref())[..9].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{Message, StopReason, User};

    fn history(pairs: usize) -> Vec<Message> {
        let user = Message::User(User {
            content: Content::Blocks(vec![Block::text(
                "a question of usual length, with \"quotes\"",
            )]),
            timestamp: 0,
        });
        let answer = Message::Assistant(Assistant {
            content: vec![Block::text(
                "an answer\nof two lines that is somewhat longer than it",
            )],
            api: "openai-completions".into(),
            provider: "p".into(),
            model: "m".into(),
            usage: Default::default(),
            stop_reason: StopReason::Stop,
            error_message: None,
            timestamp: 0,
        });
        let pair = [user, answer];
        pair.iter().cycle().take(pairs * 2).cloned().collect()
    }

    #[test]
    fn a_long_history_is_written_in_one_pass() {
        let messages = history(5_000);
        let target = Target {
            provider: "p".into(),
            model: "m".into(),
            ..Target::default()
        };
        let request = Request {
            system: "s",
            messages: &messages,
            tools: &[],
            thinking: "off",
            session_id: "",
            max_tokens: None,
            must_call: false,
        };
        let timed = |_| {
            let started = std::time::Instant::now();
            std::hint::black_box(body(&target, &request));
            started.elapsed()
        };
        // Shown, not asserted: what a debug build on a busy machine takes says nothing.
        let best = (0..5).map(timed).min();
        let bytes = body(&target, &request);
        eprintln!("{} bytes in {best:?}", bytes.len());
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["messages"].as_array().unwrap().len(), 10_001);
        assert!(bytes.capacity() < bytes.len() * 2);
    }
}
