//! What the gateway answers, as entries and lines of the screen.

use super::log::{Log, ToolState};
use super::picker::Item;
use super::text::clean;
use serde_json::Value;

/// Thoughts and text of a message's content.
pub fn said(message: &Value) -> (String, String) {
    let content = &message["content"];
    let thoughts = blocks(content)
        .filter(|block| block["type"] == "thinking")
        .filter_map(|block| block["thinking"].as_str());
    (thoughts.collect::<Vec<_>>().join("\n"), text_of(content))
}

/// The text of a content, which is one text or blocks.
pub fn text_of(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.into();
    }
    let texts = blocks(content)
        .filter(|block| block["type"] == "text")
        .filter_map(|block| block["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

fn blocks(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

/// The messages of a session, oldest first.
pub fn show(messages: &[Value], log: &mut Log) {
    for (at, message) in messages.iter().enumerate() {
        let text = text_of(&message["content"]);
        match message["role"].as_str().unwrap_or_default() {
            "user" => log.person(&text),
            "assistant" => {
                let (thoughts, text) = said(message);
                if !text.is_empty() || !thoughts.is_empty() {
                    log.agent(&format!("history {at}"), &thoughts, &text);
                }
                for call in blocks(&message["content"]).filter(|b| b["type"] == "toolCall") {
                    let id = call["id"].as_str().unwrap_or_default();
                    let name = call["name"].as_str().unwrap_or("tool");
                    log.tool(id, name, &call["arguments"]);
                    // Its result follows; one that never came is over all the same.
                    log.tool_result(id, "", ToolState::Done);
                }
            }
            "toolResult" => {
                let id = message["toolCallId"].as_str().unwrap_or_default();
                let failed = message["isError"] == true;
                let state = if failed {
                    ToolState::Failed
                } else {
                    ToolState::Done
                };
                log.tool_result(id, &text, state);
            }
            _ => {}
        }
    }
}

pub fn agent_item(agent: &Value) -> Option<Item> {
    let id = agent["id"].as_str()?;
    let name = agent["identity"]["name"]
        .as_str()
        .or(agent["name"].as_str());
    Some(match name {
        Some(name) => Item::new(id, &format!("{id}  {name}")),
        None => Item::new(id, id),
    })
}

pub fn session_item(row: &Value) -> Option<Item> {
    let key = row["key"].as_str()?;
    let of = |name: &str| row[name].as_str().filter(|text| !text.is_empty());
    let title = of("label").or(of("displayName")).or(of("derivedTitle"));
    let parts = [Some(key), title, of("lastMessagePreview")];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    Some(Item::new(key, &parts.join("  ")))
}

pub fn model_item(model: &Value) -> Option<Item> {
    let (provider, id) = (model["provider"].as_str()?, model["id"].as_str()?);
    let name = model["name"].as_str().filter(|name| *name != id);
    let value = format!("{provider}/{id}");
    let text = match name {
        Some(name) => format!("{value}  {name}"),
        None => value.clone(),
    };
    Some(Item::new(&value, &text))
}

/// A few lines of the `status` answer.
pub fn status(status: &Value) -> String {
    let mut lines = Vec::new();
    let sessions = &status["sessions"];
    if let Some(model) = sessions["defaults"]["model"].as_str() {
        lines.push(format!("Default model: {model}"));
    }
    if let Some(count) = sessions["count"].as_u64() {
        lines.push(format!("Sessions: {count}"));
    }
    for row in sessions["recent"].as_array().into_iter().flatten().take(5) {
        lines.push(format!(
            "  {}  {}",
            row["key"].as_str().unwrap_or("?"),
            tokens(row, row)
        ));
    }
    for channel in status["channelSummary"].as_array().into_iter().flatten() {
        lines.push(clean(channel.as_str().unwrap_or_default()));
    }
    if let Some(queued) = status["queuedSystemEvents"]
        .as_array()
        .filter(|list| !list.is_empty())
    {
        lines.push(format!("Queued system events: {}", queued.len()));
    }
    lines.join("\n")
}

/// Used and allowed tokens of a session's row: `12k/200k (6%)`.
pub fn tokens(row: &Value, defaults: &Value) -> String {
    let limit = row["contextTokens"]
        .as_u64()
        .or(defaults["contextTokens"].as_u64());
    match (row["totalTokens"].as_u64(), limit) {
        (Some(used), Some(limit)) if limit > 0 => {
            format!(
                "tokens {}/{} ({}%)",
                short(used),
                short(limit),
                used * 100 / limit
            )
        }
        (None, Some(limit)) => format!("tokens ?/{}", short(limit)),
        (Some(used), _) => format!("tokens {}", short(used)),
        (None, None) => "tokens ?".into(),
    }
}

fn short(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", (count + 500) / 1_000),
        _ => format!("{:.1}m", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_are_told_with_what_is_known() {
        let row = json!({"totalTokens": 12_400, "contextTokens": 200_000});
        assert_eq!(tokens(&row, &Value::Null), "tokens 12k/200k (6%)");
        assert_eq!(
            tokens(&json!({}), &json!({"contextTokens": 900})),
            "tokens ?/900"
        );
        assert_eq!(tokens(&json!({"totalTokens": 5}), &json!({})), "tokens 5");
    }

    #[test]
    fn lists_take_only_what_has_what_they_need() {
        assert!(agent_item(&json!({"name": "x"})).is_none());
        assert_eq!(
            model_item(&json!({"provider": "a", "id": "b", "name": "B"}))
                .unwrap()
                .text,
            "a/b  B"
        );
        let row = json!({"key": "agent:main:x", "derivedTitle": "Trip\u{1b}[2J\nplan"});
        assert_eq!(session_item(&row).unwrap().text, "agent:main:x  Trip plan");
    }
}
