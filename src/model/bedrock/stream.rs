//! The answer of Bedrock, event by event.

use crate::model::call::Flow;
use crate::model::draft::{Draft, Part};
use crate::wire::message::StopReason;
use serde_json::Value;

/// `blocks`: the service's index of a block, and the index of our part.
pub(super) fn event(
    data: &str,
    draft: &mut Draft,
    blocks: &mut Vec<(u64, usize)>,
) -> Result<Flow, String> {
    let event: Value = serde_json::from_str(data)
        .map_err(|err| format!("The service sent an event that is not understood: {err}"))?;
    let Some((name, event)) = event.as_object().and_then(|all| all.iter().next()) else {
        return Ok(Flow::More);
    };
    let index = event["contentBlockIndex"].as_u64().unwrap_or(0);
    match name.as_str() {
        "contentBlockStart" => {
            let tool = &event["start"]["toolUse"];
            if tool.is_object() {
                let text = |key: &str| tool[key].as_str().unwrap_or_default().to_string();
                let at = draft.start(Part::Tool {
                    id: text("toolUseId"),
                    name: text("name"),
                    json: String::new(),
                    signature: None,
                })?;
                blocks.push((index, at));
            }
        }
        "contentBlockDelta" => {
            match blocks.iter().rev().find(|(i, _)| *i == index) {
                Some((_, at)) => draft.reopen(*at),
                // Text has no start of its own.
                None => draft.end(),
            }
            grow(&event["delta"], draft)?;
            if !blocks.iter().any(|(i, _)| *i == index) && !draft.parts.is_empty() {
                blocks.push((index, draft.parts.len() - 1));
            }
        }
        "contentBlockStop" => {
            if let Some((_, at)) = blocks.iter().rev().find(|(i, _)| *i == index) {
                draft.reopen(*at);
                draft.end();
            }
        }
        "messageStop" => {
            draft.stop = Some(match event["stopReason"].as_str().unwrap_or_default() {
                "end_turn" | "stop_sequence" => StopReason::Stop,
                "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
                "tool_use" => StopReason::ToolUse,
                _ => StopReason::Error,
            });
        }
        "metadata" => {
            count(&event["usage"], draft);
            return Ok(Flow::Done);
        }
        "error" => {
            let text = |key: &str| event[key].as_str().unwrap_or_default();
            return Err(format!("{}: {}", text("code"), text("message")));
        }
        name if name.ends_with("Exception") => return Err(failure(name, event)),
        _ => {}
    }
    Ok(Flow::More)
}

fn grow(delta: &Value, draft: &mut Draft) -> Result<(), String> {
    if let Some(text) = delta["text"].as_str() {
        return draft.text(text);
    }
    if let Some(input) = delta["toolUse"]["input"].as_str() {
        if let Some(Part::Tool { json, .. }) = draft.current() {
            json.push_str(input);
        }
        return Ok(());
    }
    let thought = &delta["reasoningContent"];
    if let Some(text) = thought["text"].as_str() {
        draft.thinking(text, None)?;
    }
    if let (Some(given), Some(Part::Thinking { signature, .. })) =
        (thought["signature"].as_str(), draft.current())
    {
        signature.get_or_insert_default().push_str(given);
    }
    Ok(())
}

/// An exception in words that say its class.
fn failure(name: &str, event: &Value) -> String {
    let message = event["message"].as_str().unwrap_or_default();
    let kind = match name {
        "throttlingException" => "rate limit",
        "serviceUnavailableException" => "service unavailable",
        "internalServerException" => "internal server error",
        "modelStreamErrorException" => "server error",
        "modelTimeoutException" => "timeout",
        _ => return format!("{name}: {message}"),
    };
    format!("{kind} ({name}): {message}")
}

fn count(usage: &Value, draft: &mut Draft) {
    let number = |key: &str| usage[key].as_u64().unwrap_or(0);
    let out = &mut draft.usage;
    out.input = number("inputTokens");
    out.output = number("outputTokens");
    out.cache_read = number("cacheReadInputTokens");
    out.cache_write = number("cacheWriteInputTokens");
    let sum = out.input + out.output + out.cache_read + out.cache_write;
    out.total_tokens = usage["totalTokens"].as_u64().unwrap_or(sum);
}
