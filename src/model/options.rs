//! What is derived for every format from the target's parameters and the request: limits,
//! thinking, headers.

use super::{Request, Target};
use crate::net::fetch::Limits;
use crate::wire::message::{Block, Content, Message};
use serde_json::Value;
use std::time::Duration;

/// Tokens of an answer unless the parameters ask for more.
const USUAL_MAX_TOKENS: u64 = 32_000;

pub(super) fn max_tokens(target: &Target, request: &Request) -> u64 {
    let given = request.max_tokens;
    given
        .or_else(|| target.params.get("maxTokens").and_then(Value::as_u64))
        .unwrap_or(target.max_tokens.min(USUAL_MAX_TOKENS))
}

/// How long a service may take. A large prompt on a small machine is silent for minutes; who has a
/// slower one, or less patience, says so in the model's `timeoutSeconds`. The run has its own limit.
pub(super) fn limits(target: &Target) -> Limits {
    const HEAD: Duration = Duration::from_secs(600);
    const IDLE: Duration = Duration::from_secs(300);
    const TOTAL: Duration = Duration::from_secs(3600);
    /// 32,000 tokens are some 200 KB; each comes with up to 1 KB of JSON around it.
    const BODY: u64 = 64 * 1024 * 1024;
    let given = target.params.get("timeoutSeconds").and_then(Value::as_u64);
    let given =
        given.map(|seconds| Duration::from_secs(seconds).clamp(Duration::from_secs(1), TOTAL));
    Limits {
        head: given.unwrap_or(HEAD),
        idle: given.unwrap_or(IDLE),
        total: TOTAL,
        body: BODY,
        redirects: 0,
    }
}

/// Only when configured.
pub(super) fn temperature(target: &Target) -> Option<f64> {
    target.params.get("temperature").and_then(Value::as_f64)
}

/// The level to ask for; `None` means no thinking.
pub(super) fn thinking<'a>(target: &Target, request: &Request<'a>) -> Option<&'a str> {
    match request.thinking {
        _ if !target.reasoning => None,
        "" | "off" => None,
        "xhigh" if !target.model.contains("gpt-5.2") => Some("high"),
        level => Some(level),
    }
}

/// How long the provider is asked to keep the prompt: `none`, `short`, `long`. Only Anthropic itself
/// is asked for anything else than `short`.
pub(super) fn retention(target: &Target) -> &str {
    let given = |key: &str| target.params.get(key).and_then(Value::as_str);
    if target.provider != "anthropic" {
        return "short";
    }
    match given("cacheRetention") {
        Some(known @ ("none" | "short" | "long")) => known,
        _ if given("cacheControlTtl") == Some("1h") => "long",
        _ => "short",
    }
}

pub(super) fn bearer(target: &Target) -> Vec<(String, String)> {
    let key = target.key.iter().filter(|key| !key.is_empty());
    key.map(|key| {
        (
            "authorization".to_string(),
            format!("Bearer {}", key.expose()),
        )
    })
    .collect()
}

/// What GitHub wants to know about who asks.
pub(super) fn copilot(request: &Request) -> Vec<(String, String)> {
    let by_user = matches!(request.messages.last(), Some(Message::User(_)));
    let pictures = request.messages.iter().any(|m| {
        let blocks = match m {
            Message::User(user) => match &user.content {
                Content::Blocks(blocks) => blocks,
                Content::Text(_) => return false,
            },
            Message::ToolResult(result) => &result.content,
            _ => return false,
        };
        blocks.iter().any(|b| matches!(b, Block::Image { .. }))
    });
    let mut headers = vec![
        ("X-Initiator", if by_user { "user" } else { "agent" }),
        ("Openai-Intent", "conversation-edits"),
    ];
    if pictures {
        headers.push(("Copilot-Vision-Request", "true"));
    }
    headers
        .into_iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

/// Bytes to reserve for the body, so that it grows once or twice and not twenty times.
pub(super) fn guess_size(request: &Request) -> usize {
    const PER_MESSAGE: usize = 160;
    const PER_TOOL: usize = 1024;
    let texts: usize = request.messages.iter().map(text_len).sum();
    request.system.len()
        + texts
        + request.messages.len() * PER_MESSAGE
        + request.tools.len() * PER_TOOL
}

fn text_len(message: &Message) -> usize {
    message.measure(|block| match block {
        Block::Text { text, .. } => text.len(),
        Block::Image { data, .. } => data.len(),
        _ => 0,
    })
}
