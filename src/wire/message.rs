//! Messages of a session as the transcript stores them (`<sessionId>.jsonl`, version 3) and as the
//! model floor, the agent and the tools hand them to each other.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "camelCase")]
pub enum Message {
    User(User),
    Assistant(Assistant),
    ToolResult(ToolResult),
    /// A role this version does not send to a model (`bashExecution`, `custom`, …). The line on
    /// disk is kept as it is; only its place in the conversation is known.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub content: Content,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assistant {
    pub content: Vec<Block>,
    pub api: String,
    pub provider: String,
    pub model: String,
    #[serde(default)]
    pub usage: Usage,
    pub stop_reason: StopReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    pub timestamp: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    pub tool_call_id: String,
    pub tool_name: String,
    pub content: Vec<Block>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    pub is_error: bool,
    pub timestamp: u64,
}

/// User content is a bare string in old files and blocks in new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Block {
    Text {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text_signature: Option<String>,
    },
    Thinking {
        thinking: String,
        /// Opaque to us; goes back to the provider byte for byte.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking_signature: Option<String>,
    },
    ToolCall {
        id: String,
        name: String,
        arguments: Map<String, Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thought_signature: Option<String>,
    },
    Image {
        /// Base64.
        data: String,
        mime_type: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    Stop,
    Length,
    ToolUse,
    Error,
    Aborted,
    /// Written by `chat.inject` and locally answered commands.
    Injected,
}

/// Tokens of one model call. `total_tokens` is the size of its context, not a sum over calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub total_tokens: u64,
    pub cost: Cost,
}

/// US dollars, from the model's price per million tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cost {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_write: f64,
    pub total: f64,
}

impl Message {
    pub fn role(&self) -> Option<&'static str> {
        Some(match self {
            Message::User(_) => "user",
            Message::Assistant(_) => "assistant",
            Message::ToolResult(_) => "toolResult",
            Message::Other => return None,
        })
    }

    /// The sum of what `of` says of its blocks; a plain text counts its bytes.
    pub fn measure(&self, of: impl Fn(&Block) -> usize) -> usize {
        let blocks = match self {
            Message::User(user) => match &user.content {
                Content::Text(text) => return text.len(),
                Content::Blocks(blocks) => blocks,
            },
            Message::Assistant(said) => &said.content,
            Message::ToolResult(result) => &result.content,
            Message::Other => return 0,
        };
        blocks.iter().map(of).sum()
    }

    /// Rough size in characters of what it puts into a request.
    pub fn chars(&self) -> usize {
        self.measure(Block::chars)
    }
}

/// What a picture costs in characters, whatever its bytes.
const IMAGE_CHARS: usize = 4800;

impl Block {
    fn chars(&self) -> usize {
        match self {
            Block::Text { text, .. } => text.len(),
            Block::Thinking { thinking, .. } => thinking.len(),
            Block::ToolCall {
                name, arguments, ..
            } => name.len() + arguments.values().map(value_chars).sum::<usize>(),
            Block::Image { .. } => IMAGE_CHARS,
            Block::Unknown => 0,
        }
    }

    pub fn text(text: impl Into<String>) -> Block {
        Block::Text {
            text: text.into(),
            text_signature: None,
        }
    }
}

impl Content {
    /// The text blocks joined by newlines.
    pub fn text(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Blocks(blocks) => text_of(blocks),
        }
    }
}

impl Assistant {
    pub fn text(&self) -> String {
        text_of(&self.content)
    }

    /// `(id, name, arguments)` of each tool call, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
        self.content.iter().filter_map(|block| match block {
            Block::ToolCall {
                id,
                name,
                arguments,
                ..
            } => Some((id.as_str(), name.as_str(), arguments)),
            _ => None,
        })
    }
}

/// The text of a content as it came over the wire, one text or blocks; `between` joins the blocks.
pub fn text_in(content: &Value, between: &str) -> String {
    if let Some(text) = content.as_str() {
        return text.into();
    }
    let blocks = content.as_array().into_iter().flatten();
    let texts = blocks.filter(|block| block["type"] == "text");
    let texts: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
    texts.join(between)
}

/// Rough size in characters of a JSON value without its punctuation and keys.
pub fn value_chars(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(value_chars).sum(),
        Value::Object(map) => map.values().map(value_chars).sum(),
        _ => 4,
    }
}

/// The text blocks joined by newlines.
pub fn text_of(blocks: &[Block]) -> String {
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_assistant_message_survives_a_round_trip() {
        let line = r#"{"role":"assistant","content":[{"type":"thinking","thinking":"t","thinkingSignature":"reasoning_content"},{"type":"toolCall","id":"call_2","name":"exec","arguments":{"command":"echo"}}],"api":"openai-completions","provider":"fake","model":"m1","usage":{"input":1,"output":2,"cacheRead":0,"cacheWrite":0,"totalTokens":3,"cost":{"input":0.0,"output":0.0,"cacheRead":0.0,"cacheWrite":0.0,"total":0.0}},"stopReason":"toolUse","timestamp":5}"#;
        let message: Message = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&message).unwrap(), line);
    }

    #[test]
    fn an_unknown_role_and_an_unknown_block_are_tolerated() {
        let other: Message =
            serde_json::from_str(r#"{"role":"bashExecution","command":"ls"}"#).unwrap();
        assert_eq!(other, Message::Other);
        let user: Message = serde_json::from_str(
            r#"{"role":"user","content":[{"type":"video","x":1}],"timestamp":1}"#,
        )
        .unwrap();
        assert!(matches!(user, Message::User(_)));
    }
}
