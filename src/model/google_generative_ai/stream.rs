//! The answer of Gemini, event by event.

use crate::base::time::now_ms;
use crate::model::call::Flow;
use crate::model::draft::{Draft, Part};
use crate::wire::message::StopReason;
use serde_json::Value;

/// `calls` numbers the ids we make up.
pub(super) fn event(data: &str, draft: &mut Draft, calls: &mut u32) -> Result<Flow, String> {
    let event: Value = serde_json::from_str(data)
        .map_err(|err| format!("The service sent an event that is not understood: {err}"))?;
    if event.get("error").is_some() {
        return Err(event.to_string());
    }
    if let Some(reason) = event.pointer("/promptFeedback/blockReason") {
        let reason = reason.as_str().unwrap_or("no reason given");
        return Err(format!("The service refuses this prompt: {reason}"));
    }
    if let Some(usage) = event.get("usageMetadata") {
        count(usage, draft);
    }
    let candidate = &event["candidates"][0];
    let parts = candidate.pointer("/content/parts");
    for part in parts.and_then(Value::as_array).into_iter().flatten() {
        read(part, draft, calls)?;
    }
    match candidate["finishReason"].as_str() {
        None => {}
        Some("STOP") => draft.stop = Some(StopReason::Stop),
        Some("MAX_TOKENS") => draft.stop = Some(StopReason::Length),
        Some(reason) if draft.has_tools() && reason == "FINISH_REASON_UNSPECIFIED" => {
            draft.stop = Some(StopReason::ToolUse);
        }
        Some(reason) => return Err(format!("The service ended its answer: {reason}")),
    }
    Ok(Flow::More)
}

fn read(part: &Value, draft: &mut Draft, calls: &mut u32) -> Result<(), String> {
    let signature = part["thoughtSignature"].as_str().filter(|s| !s.is_empty());
    if let Some(text) = part["text"].as_str() {
        if part["thought"] == true {
            if !text.is_empty() || signature.is_some() {
                draft.thinking(text, None)?;
            }
        } else if !text.is_empty() {
            draft.text(text)?;
        }
        // A signature may come with the last, empty piece.
        if let (
            Some(given),
            Some(Part::Text { signature, .. } | Part::Thinking { signature, .. }),
        ) = (signature, draft.current())
        {
            *signature = Some(given.to_string());
        }
    }
    let call = &part["functionCall"];
    if call.is_object() {
        let name = call["name"].as_str().unwrap_or_default();
        let given = call["id"].as_str().filter(|id| !id.is_empty());
        let known = |id: &str| {
            let mut parts = draft.parts.iter();
            parts.any(|p| matches!(p, Part::Tool { id: known, .. } if known == id))
        };
        let id = match given.filter(|id| !known(id)) {
            Some(id) => id.to_string(),
            None => {
                *calls += 1;
                format!("{name}_{}_{calls}", now_ms())
            }
        };
        let json = match &call["args"] {
            Value::Object(args) => Value::Object(args.clone()).to_string(),
            _ => String::new(),
        };
        draft.start(Part::Tool {
            id,
            name: name.to_string(),
            json,
            signature: signature.map(str::to_string),
        })?;
        draft.end();
    }
    Ok(())
}

fn count(usage: &Value, draft: &mut Draft) {
    let number = |key: &str| usage[key].as_u64().unwrap_or(0);
    let out = &mut draft.usage;
    out.input = number("promptTokenCount");
    out.output = number("candidatesTokenCount") + number("thoughtsTokenCount");
    out.cache_read = number("cachedContentTokenCount");
    out.total_tokens = number("totalTokenCount");
}
