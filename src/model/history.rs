//! The conversation as it may be sent: the same for all wire formats.
//!
//! Failed and aborted answers are left out, every tool call gets its result right after it (a
//! synthetic one when there is none), results without a call are left out, and what another model
//! signed loses its signature. Nothing is copied.

use super::Target;
use crate::wire::message::{Assistant, Block, Content, Message, StopReason};
use std::borrow::Cow;

pub(super) enum Turn<'a> {
    User(&'a Content),
    /// `own`: this very model said it.
    Assistant {
        said: &'a Assistant,
        own: bool,
    },
    Result(Outcome<'a>),
}

pub(super) struct Outcome<'a> {
    pub id: &'a str,
    pub tool: &'a str,
    pub content: Result<&'a [Block], &'static str>,
    pub failed: bool,
    /// This very model made the call.
    pub own: bool,
    /// The call's, where this very model signed it.
    pub signature: Option<&'a str>,
}

/// What stands for a result that was never recorded.
const MISSING: &str = "No result provided";

pub(super) fn turns<'a>(target: &Target, messages: &'a [Message]) -> Vec<Turn<'a>> {
    let mut turns = Vec::with_capacity(messages.len());
    let mut rest = messages;
    while let Some((message, after)) = rest.split_first() {
        rest = after;
        match message {
            Message::User(user) => turns.push(Turn::User(&user.content)),
            Message::Assistant(said) if sendable(said) => {
                let own = said.provider == target.provider
                    && said.api == target.api
                    && said.model == target.model;
                turns.push(Turn::Assistant { said, own });
                let end = after
                    .iter()
                    .position(|m| matches!(m, Message::Assistant(_)))
                    .unwrap_or(after.len());
                results(said, own, &after[..end], end < after.len(), &mut turns);
            }
            _ => {}
        }
    }
    turns
}

/// Pushes the results of `said`'s calls found in `span`, the messages up to the next answer.
fn results<'a>(
    said: &'a Assistant,
    own: bool,
    span: &'a [Message],
    more: bool,
    turns: &mut Vec<Turn<'a>>,
) {
    let mut open: Vec<(&str, &str)> = said.tool_calls().map(|(id, name, _)| (id, name)).collect();
    if open.is_empty() {
        return;
    }
    for message in span {
        let Message::ToolResult(result) = message else {
            continue;
        };
        let Some(at) = open.iter().position(|(id, _)| *id == result.tool_call_id) else {
            continue;
        };
        open.remove(at);
        let id = result.tool_call_id.as_str();
        turns.push(Turn::Result(Outcome {
            id,
            tool: &result.tool_name,
            content: Ok(&result.content),
            failed: result.is_error,
            own,
            signature: signature(said, own, id),
        }));
    }
    // Calls at the very end are still waiting for their results.
    let went_on = more || span.iter().any(|m| matches!(m, Message::User(_)));
    if went_on {
        turns.extend(open.into_iter().map(|(id, tool)| {
            Turn::Result(Outcome {
                id,
                tool,
                content: Err(MISSING),
                failed: true,
                own,
                signature: signature(said, own, id),
            })
        }));
    }
}

/// The signature of the call `id`.
fn signature<'a>(said: &'a Assistant, own: bool, id: &str) -> Option<&'a str> {
    let found = said.content.iter().find_map(|block| match block {
        Block::ToolCall {
            id: known,
            thought_signature,
            ..
        } if known == id => thought_signature.as_deref(),
        _ => None,
    });
    found.filter(|_| own)
}

fn sendable(said: &Assistant) -> bool {
    !matches!(said.stop_reason, StopReason::Error | StopReason::Aborted)
}

impl<'a> Outcome<'a> {
    /// The text blocks joined by newlines.
    pub fn text(&self) -> Cow<'a, str> {
        let blocks = match self.content {
            Ok(blocks) => blocks,
            Err(text) => return Cow::Borrowed(text),
        };
        match blocks {
            [Block::Text { text, .. }] => Cow::Borrowed(text),
            blocks => Cow::Owned(crate::wire::message::text_of(blocks)),
        }
    }

    /// `(mime type, base64)` of each image.
    pub fn images(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        images(self.content.unwrap_or_default())
    }
}

pub(super) fn images(blocks: &[Block]) -> impl Iterator<Item = (&str, &str)> {
    blocks.iter().filter_map(|block| match block {
        Block::Image { data, mime_type } => Some((mime_type.as_str(), data.as_str())),
        _ => None,
    })
}

/// What an assistant block becomes for `target`.
pub(super) enum Said<'a> {
    Text(&'a str, Option<&'a str>),
    Thinking(&'a str, Option<&'a str>),
    Call {
        id: &'a str,
        name: &'a str,
        arguments: &'a serde_json::Map<String, serde_json::Value>,
        signature: Option<&'a str>,
    },
}

/// The blocks of an answer, with what only its own model may see again removed.
pub(super) fn said(assistant: &Assistant, own: bool) -> impl Iterator<Item = Said<'_>> {
    assistant
        .content
        .iter()
        .filter_map(move |block| match block {
            Block::Text {
                text,
                text_signature,
            } => Some(Said::Text(text, text_signature.as_deref().filter(|_| own))),
            Block::Thinking {
                thinking,
                thinking_signature,
            } => {
                let signature = thinking_signature.as_deref().filter(|s| !s.is_empty());
                if own && signature.is_some() {
                    return Some(Said::Thinking(thinking, signature));
                }
                match thinking.trim().is_empty() {
                    true => None,
                    false if own => Some(Said::Thinking(thinking, None)),
                    false => Some(Said::Text(thinking, None)),
                }
            }
            Block::ToolCall {
                id,
                name,
                arguments,
                thought_signature,
            } => Some(Said::Call {
                id,
                name,
                arguments,
                signature: thought_signature.as_deref().filter(|_| own),
            }),
            Block::Image { .. } | Block::Unknown => None,
        })
}

/// `id` with everything but letters, digits, `_` and `-` replaced, at most `max` characters.
pub(super) fn plain_id(id: &str, max: usize) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.len() <= max && id.chars().all(plain) {
        return Cow::Borrowed(id);
    }
    let chars = id.chars().map(|c| if plain(c) { c } else { '_' });
    Cow::Owned(chars.take(max).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{ToolResult, User};

    fn user(text: &str) -> Message {
        Message::User(User {
            content: Content::Text(text.into()),
            timestamp: 0,
        })
    }

    fn call(ids: &[&str], stop_reason: StopReason) -> Message {
        let content = ids.iter().map(|id| Block::ToolCall {
            id: id.to_string(),
            name: "read".into(),
            arguments: Default::default(),
            thought_signature: None,
        });
        Message::Assistant(Assistant {
            content: content.collect(),
            api: "a".into(),
            provider: "p".into(),
            model: "m".into(),
            usage: Default::default(),
            stop_reason,
            error_message: None,
            timestamp: 0,
        })
    }

    fn result(id: &str) -> Message {
        Message::ToolResult(ToolResult {
            tool_call_id: id.into(),
            tool_name: "read".into(),
            content: vec![Block::text("ok")],
            details: None,
            is_error: false,
            timestamp: 0,
        })
    }

    fn shape(messages: &[Message]) -> Vec<String> {
        let target = Target::default();
        let shown = |turn: &Turn| match turn {
            Turn::User(content) => content.text(),
            Turn::Assistant { said, .. } => format!("{} calls", said.content.len()),
            Turn::Result(outcome) => format!("{}={}", outcome.id, outcome.text()),
        };
        turns(&target, messages).iter().map(shown).collect()
    }

    #[test]
    fn results_follow_their_calls_and_missing_ones_are_made_up() {
        let stop = StopReason::ToolUse;
        let shape = shape(&[
            user("one"),
            call(&["a", "b", "c"], stop),
            result("b"),
            user("two"),
            result("a"),
            result("a"),
            result("stray"),
            call(&["x"], StopReason::Aborted),
            result("x"),
            call(&["z"], stop),
        ]);
        let expected = [
            "one",
            "3 calls",
            "b=ok",
            "a=ok",
            "c=No result provided",
            "two",
            "1 calls",
        ];
        assert_eq!(shape, expected);
    }

    #[test]
    fn ids_are_made_plain_only_where_they_are_not() {
        assert_eq!(plain_id("call_1-x", 40), "call_1-x");
        assert_eq!(plain_id("a.b|c", 4), "a_b_");
    }
}
