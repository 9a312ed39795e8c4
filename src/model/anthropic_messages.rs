//! Anthropic's Messages.
//!
//! A key of the `sk-ant-oat` kind belongs to a subscription: the endpoint then takes the request
//! only in the form its own command line tool sends it (headers, first system sentence, casing of
//! some tool names).

use super::call::{self, Call, Flow, Framing, Manners};
use super::draft::{Draft, Part};
use super::history::{self, Outcome, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::wire::message::{Assistant, Block, Content, StopReason};
use serde_json::Value;
use std::borrow::Cow;

const BETA: &str = "fine-grained-tool-streaming-2025-05-14,interleaved-thinking-2025-05-14";
const SUBSCRIPTION_BETA: &str = "claude-code-20250219,oauth-2025-04-20,";
const SUBSCRIPTION_SYSTEM: &str = "You are Claude Code, Anthropic's official CLI for Claude.";
/// Tool names the subscription endpoint knows, in its casing.
const SUBSCRIPTION_TOOLS: [&str; 17] = [
    "Read",
    "Write",
    "Edit",
    "Bash",
    "Grep",
    "Glob",
    "AskUserQuestion",
    "EnterPlanMode",
    "ExitPlanMode",
    "KillShell",
    "NotebookEdit",
    "Skill",
    "Task",
    "TaskOutput",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
];
/// A vendor's test string that makes the model refuse, wherever it stands.
const REFUSAL_TEST: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL";
const REFUSAL_SCRUBBED: &str = "ANTHROPIC MAGIC STRING TRIGGER REFUSAL (redacted)";
/// Left for the answer itself when the thinking budget would take everything.
const LEAST_ANSWER: u64 = 1024;
const MAX_ID: usize = 64;

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let call = Call {
        target,
        url: call::join(&target.base_url, "v1/messages"),
        headers: headers(target),
        body: body(target, request),
        manners: Manners::Asking,
        framing: Framing::Events,
        error_text: call::anthropic_error,
    };
    let mut reading = Reading {
        request,
        subscription: subscription(target),
        blocks: Vec::new(),
    };
    call.run(cancel, on, &mut |data, draft| reading.event(data, draft))
}

fn subscription(target: &Target) -> bool {
    let key = target.key.as_ref();
    key.is_some_and(|key| key.expose().contains("sk-ant-oat"))
}

fn headers(target: &Target) -> Vec<(String, String)> {
    let mut headers = vec![
        ("anthropic-version", "2023-06-01".to_string()),
        ("anthropic-dangerous-direct-browser-access", "true".into()),
    ];
    if subscription(target) {
        headers.push(("anthropic-beta", format!("{SUBSCRIPTION_BETA}{BETA}")));
        headers.push(("user-agent", "claude-cli/2.1.2 (external, cli)".into()));
        headers.push(("x-app", "cli".into()));
    } else {
        headers.push(("anthropic-beta", BETA.into()));
    }
    let mut headers: Vec<(String, String)> = headers
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    match &target.key {
        Some(_) if subscription(target) => headers.extend(options::bearer(target)),
        Some(key) if !key.is_empty() => {
            headers.push(("x-api-key".into(), key.expose().to_string()));
        }
        _ => {}
    }
    headers
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mark = cache_mark(target);
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').pair("model", &target.model);
    json.key("messages").open(b'[');
    let turns = history::turns(target, request.messages);
    messages(&mut json, target, &turns, mark);
    json.close(b']');
    let (max_tokens, budget) = limits(target, request);
    json.key("max_tokens").value(&max_tokens);
    json.raw_pair("stream", "true");
    if !request.system.is_empty() || subscription(target) {
        json.key("system").open(b'[');
        if subscription(target) {
            text_block(&mut json, SUBSCRIPTION_SYSTEM, mark);
        }
        if !request.system.is_empty() {
            text_block(&mut json, &scrub(target, request.system), mark);
        }
        json.close(b']');
    }
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    tools(&mut json, target, request);
    if let Some(budget) = budget {
        json.key("thinking").open(b'{').pair("type", "enabled");
        json.key("budget_tokens").value(&budget).close(b'}');
    }
    if request.must_call && !request.tools.is_empty() {
        json.raw_pair("tool_choice", r#"{"type":"any"}"#);
    }
    json.close(b'}');
    json.into_bytes()
}

/// The mark that ends what the provider should keep of the prompt.
fn cache_mark(target: &Target) -> Option<&'static str> {
    match options::retention(target) {
        "none" => None,
        "long" if target.base_url.contains("api.anthropic.com") => {
            Some(r#"{"type":"ephemeral","ttl":"1h"}"#)
        }
        _ => Some(r#"{"type":"ephemeral"}"#),
    }
}

/// `max_tokens` and the part of it that is for thinking.
fn limits(target: &Target, request: &Request) -> (u64, Option<u64>) {
    let base = options::max_tokens(target, request);
    let budget = match options::thinking(target, request) {
        // Who must call a tool cannot think: the service refuses both together.
        None => return (base, None),
        Some(_) if request.must_call => return (base, None),
        Some("minimal") => 1024,
        Some("low") => 2048,
        Some("medium") => 8192,
        Some(_) => 16384,
    };
    let max = (base + budget).min(target.max_tokens);
    let budget = if max <= budget {
        max.saturating_sub(LEAST_ANSWER)
    } else {
        budget
    };
    (max, Some(budget))
}

fn scrub<'a>(target: &Target, text: &'a str) -> Cow<'a, str> {
    if target.provider == "anthropic" && text.contains(REFUSAL_TEST) {
        return Cow::Owned(text.replace(REFUSAL_TEST, REFUSAL_SCRUBBED));
    }
    Cow::Borrowed(text)
}

fn tools(json: &mut Json, target: &Target, request: &Request) {
    if request.tools.is_empty() {
        return;
    }
    json.key("tools").open(b'[');
    for tool in request.tools {
        json.open(b'{').pair("name", tool_name(target, &tool.name));
        json.pair("description", &tool.description);
        json.key("input_schema").open(b'{').pair("type", "object");
        let schema = |key: &str| tool.parameters.get(key);
        match schema("properties") {
            Some(properties) => json.key("properties").value(properties),
            None => json.raw_pair("properties", "{}"),
        };
        match schema("required") {
            Some(required) => json.key("required").value(required),
            None => json.raw_pair("required", "[]"),
        };
        json.close(b'}').close(b'}');
    }
    json.close(b']');
}

fn tool_name<'a>(target: &Target, name: &'a str) -> &'a str {
    if !subscription(target) {
        return name;
    }
    let known = SUBSCRIPTION_TOOLS.iter();
    let mut known = known.filter(|known| known.eq_ignore_ascii_case(name));
    known.next().copied().unwrap_or(name)
}

/// A block of a user message.
enum Sent<'a> {
    Text(&'a str),
    Image(&'a str, &'a str),
    Result(&'a Outcome<'a>),
}

fn messages(json: &mut Json, target: &Target, turns: &[Turn], mark: Option<&str>) {
    let mut at = 0;
    while let Some(turn) = turns.get(at) {
        let alike = |other: &&Turn| std::mem::discriminant(*other) == std::mem::discriminant(turn);
        let row = match turn {
            Turn::Assistant { .. } => 1,
            _ => turns[at..].iter().take_while(alike).count(),
        };
        let group = &turns[at..at + row];
        at += row;
        let mark = mark.filter(|_| at == turns.len());
        match group {
            [Turn::Assistant { said, own }] => assistant(json, target, said, *own),
            [Turn::User(Content::Text(text))] if mark.is_none() => {
                if !text.trim().is_empty() {
                    json.open(b'{').pair("role", "user");
                    json.pair("content", &scrub(target, text)).close(b'}');
                }
            }
            group => {
                let blocks: Vec<Sent> = group.iter().flat_map(|t| sent(t, target)).collect();
                user(json, target, &blocks, mark);
            }
        }
    }
}

/// The blocks of a turn that is not the model's own.
fn sent<'a>(turn: &'a Turn<'a>, target: &Target) -> Vec<Sent<'a>> {
    let filled = |text: &str| !text.trim().is_empty();
    match turn {
        Turn::User(Content::Text(text)) if filled(text) => vec![Sent::Text(text)],
        Turn::User(Content::Blocks(blocks)) => {
            let shown = blocks.iter().filter_map(|block| match block {
                Block::Text { text, .. } if filled(text) => Some(Sent::Text(text)),
                Block::Image { data, mime_type } if target.images => {
                    Some(Sent::Image(mime_type, data))
                }
                _ => None,
            });
            shown.collect()
        }
        Turn::Result(outcome) => vec![Sent::Result(outcome)],
        _ => Vec::new(),
    }
}

fn user(json: &mut Json, target: &Target, blocks: &[Sent], mark: Option<&str>) {
    if blocks.is_empty() {
        return;
    }
    json.open(b'{')
        .pair("role", "user")
        .key("content")
        .open(b'[');
    for (at, block) in blocks.iter().enumerate() {
        let mark = mark.filter(|_| at + 1 == blocks.len());
        match block {
            Sent::Text(text) => text_block(json, &scrub(target, text), mark),
            Sent::Image(mime, data) => image(json, mime, data, mark),
            Sent::Result(outcome) => result(json, target, outcome, mark),
        }
    }
    json.close(b']').close(b'}');
}

fn marked(json: &mut Json, mark: Option<&str>) {
    if let Some(mark) = mark {
        json.raw_pair("cache_control", mark);
    }
    json.close(b'}');
}

fn text_block(json: &mut Json, text: &str, mark: Option<&str>) {
    json.open(b'{').pair("type", "text").pair("text", text);
    marked(json, mark);
}

fn image(json: &mut Json, mime: &str, data: &str, mark: Option<&str>) {
    json.open(b'{')
        .pair("type", "image")
        .key("source")
        .open(b'{');
    json.pair("type", "base64").pair("media_type", mime);
    json.pair("data", data).close(b'}');
    marked(json, mark);
}

fn result(json: &mut Json, target: &Target, outcome: &Outcome, mark: Option<&str>) {
    json.open(b'{').pair("type", "tool_result");
    json.pair("tool_use_id", &call_id(outcome.id, outcome.own));
    let text = outcome.text();
    if target.images && outcome.images().next().is_some() {
        json.key("content").open(b'[');
        let shown = if text.is_empty() {
            "(see attached image)"
        } else {
            text.as_ref()
        };
        text_block(json, shown, None);
        for (mime, data) in outcome.images() {
            image(json, mime, data, None);
        }
        json.close(b']');
    } else {
        json.pair("content", &text);
    }
    json.raw_pair("is_error", if outcome.failed { "true" } else { "false" });
    marked(json, mark);
}

fn assistant(json: &mut Json, target: &Target, said: &Assistant, own: bool) {
    let sent = |part: &Said| match part {
        Said::Text(text, _) => !text.trim().is_empty(),
        Said::Thinking(text, signature) => signature.is_some() || !text.trim().is_empty(),
        Said::Call { .. } => true,
    };
    let parts: Vec<Said> = history::said(said, own).filter(sent).collect();
    if parts.is_empty() {
        return;
    }
    json.open(b'{')
        .pair("role", "assistant")
        .key("content")
        .open(b'[');
    for part in parts {
        match part {
            // Without its signature a thought would be refused.
            Said::Text(text, _) | Said::Thinking(text, None) => text_block(json, text, None),
            Said::Thinking(text, Some(signature)) => {
                json.open(b'{')
                    .pair("type", "thinking")
                    .pair("thinking", text);
                json.pair("signature", signature).close(b'}');
            }
            Said::Call {
                id,
                name,
                arguments,
                ..
            } => {
                json.open(b'{')
                    .pair("type", "tool_use")
                    .pair("id", &call_id(id, own));
                json.pair("name", tool_name(target, name));
                json.key("input").value(arguments).close(b'}');
            }
        }
    }
    json.close(b']').close(b'}');
}

fn call_id(id: &str, own: bool) -> Cow<'_, str> {
    if own {
        return Cow::Borrowed(id);
    }
    history::plain_id(id, MAX_ID)
}

/// The state of reading one stream.
struct Reading<'a> {
    request: &'a Request<'a>,
    subscription: bool,
    /// The service's index of a block, and the index of our part.
    blocks: Vec<(u64, usize)>,
}

impl Reading<'_> {
    fn event(&mut self, data: &str, draft: &mut Draft) -> Result<Flow, String> {
        let event: Value = serde_json::from_str(data)
            .map_err(|err| format!("The service sent an event that is not understood: {err}"))?;
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        match text("/type").unwrap_or_default() {
            "message_start" => count(event.pointer("/message/usage"), draft),
            "content_block_start" => {
                if let Some(part) = self.part(&event["content_block"]) {
                    let at = draft.start(part)?;
                    self.blocks.push((index, at));
                }
            }
            "content_block_delta" => {
                let Some((_, at)) = self.blocks.iter().rev().find(|(i, _)| *i == index) else {
                    return Ok(Flow::More);
                };
                draft.reopen(*at);
                let growth = |key: &str| event["delta"][key].as_str().unwrap_or_default();
                match text("/delta/type").unwrap_or_default() {
                    "text_delta" => draft.text(growth("text"))?,
                    "thinking_delta" => draft.thinking(growth("thinking"), None)?,
                    "input_json_delta" => {
                        if let Some(Part::Tool { json, .. }) = draft.current() {
                            json.push_str(growth("partial_json"));
                        }
                    }
                    "signature_delta" => {
                        if let Some(Part::Thinking { signature, .. }) = draft.current() {
                            signature
                                .get_or_insert_default()
                                .push_str(growth("signature"));
                        }
                    }
                    _ => {}
                }
            }
            "content_block_stop" => {
                if let Some((_, at)) = self.blocks.iter().rev().find(|(i, _)| *i == index) {
                    draft.reopen(*at);
                    draft.end();
                }
            }
            "message_delta" => {
                if let Some(reason) = text("/delta/stop_reason") {
                    draft.stop = Some(stop(reason)?);
                }
                count(event.get("usage"), draft);
            }
            "message_stop" => return Ok(Flow::Done),
            "error" => return Err(event.to_string()),
            _ => {}
        }
        Ok(Flow::More)
    }

    fn part(&self, block: &Value) -> Option<Part> {
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_string();
        Some(match block["type"].as_str()? {
            "text" => Part::Text {
                text: text("text"),
                signature: None,
            },
            "thinking" => Part::Thinking {
                text: text("thinking"),
                signature: Some(text("signature")),
            },
            "tool_use" => Part::Tool {
                id: text("id"),
                name: self.own_name(text("name")),
                json: match &block["input"] {
                    Value::Object(input) if !input.is_empty() => block["input"].to_string(),
                    _ => String::new(),
                },
                signature: None,
            },
            _ => return None,
        })
    }

    /// The name of our tool that was sent in the endpoint's casing.
    fn own_name(&self, name: String) -> String {
        if !self.subscription {
            return name;
        }
        let mut tools = self.request.tools.iter();
        let own = tools.find(|tool| tool.name.eq_ignore_ascii_case(&name));
        own.map_or(name, |tool| tool.name.clone())
    }
}

fn stop(reason: &str) -> Result<StopReason, String> {
    Ok(match reason {
        "end_turn" | "stop_sequence" | "pause_turn" => StopReason::Stop,
        "max_tokens" => StopReason::Length,
        "tool_use" => StopReason::ToolUse,
        "refusal" | "sensitive" => StopReason::Error,
        other => return Err(format!("Unknown stop reason: {other}")),
    })
}

/// Later events correct what earlier ones counted.
fn count(usage: Option<&Value>, draft: &mut Draft) {
    let Some(usage) = usage else { return };
    let out = &mut draft.usage;
    for (key, field) in [
        ("input_tokens", &mut out.input),
        ("output_tokens", &mut out.output),
        ("cache_read_input_tokens", &mut out.cache_read),
        ("cache_creation_input_tokens", &mut out.cache_write),
    ] {
        if let Some(tokens) = usage.get(key).and_then(Value::as_u64) {
            *field = tokens;
        }
    }
    out.total_tokens = out.input + out.output + out.cache_read + out.cache_write;
}
