//! Reading the answer: chunks with deltas, of which the shape of tool calls is the least reliable.

use super::FIELDS;
use crate::model::call::Flow;
use crate::model::draft::{Draft, Part};
use crate::wire::message::StopReason;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<UsageChunk>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<DeltaChunk<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DeltaChunk<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallChunk<'a>>>,
    reasoning_details: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct CallChunk<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<FunctionChunk<'a>>,
}

#[derive(Deserialize)]
struct FunctionChunk<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UsageChunk {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

pub(in crate::model) fn event(data: &str, draft: &mut Draft) -> Result<Flow, String> {
    if data == "[DONE]" {
        return Ok(Flow::Done);
    }
    let chunk: Chunk = serde_json::from_str(data)
        .map_err(|err| format!("The service sent an event that is not understood: {err}"))?;
    if let Some(error) = chunk.error {
        let message = error.get("message").and_then(Value::as_str);
        return Err(message.map_or_else(|| error.to_string(), str::to_string));
    }
    if let Some(usage) = &chunk.usage {
        count(usage, draft);
    }
    let Some(choice) = chunk.choices.into_iter().next() else {
        return Ok(Flow::More);
    };
    if let Some(reason) = &choice.finish_reason {
        draft.stop = Some(match reason.as_ref() {
            "stop" => StopReason::Stop,
            "length" => StopReason::Length,
            "tool_calls" | "function_call" => StopReason::ToolUse,
            "content_filter" => StopReason::Error,
            other => return Err(format!("Unknown finish reason: {other}")),
        });
    }
    let Some(delta) = choice.delta else {
        return Ok(Flow::More);
    };
    let filled = |text: &Option<Cow<str>>| text.as_ref().is_some_and(|t| !t.is_empty());
    if let Some(text) = delta.content.as_ref().filter(|t| !t.is_empty()) {
        draft.text(text)?;
    }
    let thoughts = [
        &delta.reasoning_content,
        &delta.reasoning,
        &delta.reasoning_text,
    ];
    if let Some(at) = thoughts.iter().position(|t| filled(t)) {
        draft.thinking(
            thoughts[at].as_deref().unwrap_or_default(),
            Some(FIELDS[at]),
        )?;
    }
    for call in delta.tool_calls.into_iter().flatten() {
        grow(call, draft)?;
    }
    for detail in delta.reasoning_details.into_iter().flatten() {
        sign(detail, draft);
    }
    Ok(Flow::More)
}

fn count(usage: &UsageChunk, draft: &mut Draft) {
    let of = |details: &Option<Details>, pick: fn(&Details) -> Option<u64>| {
        details.as_ref().and_then(pick).unwrap_or(0)
    };
    let cached = of(&usage.prompt_tokens_details, |d| d.cached_tokens);
    let reasoning = of(&usage.completion_tokens_details, |d| d.reasoning_tokens);
    let out = &mut draft.usage;
    out.input = usage.prompt_tokens.unwrap_or(0).saturating_sub(cached);
    out.output = usage.completion_tokens.unwrap_or(0) + reasoning;
    out.cache_read = cached;
    out.total_tokens = out.input + out.output + cached;
}

/// A new call begins with an id that differs; the index is not to be trusted.
fn grow(chunk: CallChunk, draft: &mut Draft) -> Result<(), String> {
    let id = chunk.id.as_deref().filter(|id| !id.is_empty());
    let same = match draft.current() {
        Some(Part::Tool { id: known, .. }) => id.is_none_or(|id| known.is_empty() || id == known),
        _ => false,
    };
    if !same {
        draft.start(Part::Tool {
            id: String::new(),
            name: String::new(),
            json: String::new(),
            signature: None,
        })?;
    }
    if let Some(Part::Tool {
        id: known,
        name,
        json,
        ..
    }) = draft.current()
    {
        if let Some(id) = id {
            *known = id.to_string();
        }
        if let Some(function) = &chunk.function {
            if let Some(given) = function.name.as_deref().filter(|n| !n.is_empty()) {
                *name = given.to_string();
            }
            json.push_str(function.arguments.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}

/// Encrypted reasoning belongs to the tool call of the same id.
fn sign(detail: Value, draft: &mut Draft) {
    if detail.get("type").and_then(Value::as_str) != Some("reasoning.encrypted") {
        return;
    }
    let Some(wanted) = detail.get("id").and_then(Value::as_str) else {
        return;
    };
    for part in &mut draft.parts {
        if let Part::Tool { id, signature, .. } = part {
            if id == wanted {
                *signature = Some(detail.to_string());
            }
        }
    }
}
