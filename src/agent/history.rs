//! What the model is shown of earlier turns: the stored messages, made fit for a request.
//!
//! Stored history can be odd: a crash leaves a call without its result or a question without an
//! answer, an old session is longer than the model's window. The file is never changed here.

use crate::wire::message::{Block, Content, Message, StopReason, ToolResult};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Characters per token, roughly; the original's estimate.
pub const CHARS_PER_TOKEN: u64 = 4;

/// Tokens kept free for the answer when the model's window allows it.
const RESERVE: u64 = 20_000;

/// Characters of history that fit beside `prompt_chars` in a window of `window` tokens.
pub fn budget(window: u64, prompt_chars: usize) -> usize {
    let reserve = RESERVE.min(window / 4);
    let tokens = window.saturating_sub(reserve);
    let chars = tokens * CHARS_PER_TOKEN;
    usize::try_from(chars)
        .unwrap_or(usize::MAX)
        .saturating_sub(prompt_chars)
}

/// The part of `messages` to send: without what must not be sent, the newest whole turns that fit
/// into `max_chars` (at most `max_turns`), with the results a crash cut off. Looks at no more than
/// it returns.
pub fn prepare(messages: &[Message], max_chars: usize, max_turns: Option<usize>) -> Vec<Message> {
    // A question without an answer was aborted or lost: the new one takes its place.
    let unanswered = |m: &Message| matches!(m, Message::User(_)) || !sendable(m);
    let end = messages
        .iter()
        .rposition(|m| !unanswered(m))
        .map_or(0, |at| at + 1);
    let start = first_that_fits(&messages[..end], max_chars, max_turns.unwrap_or(usize::MAX));
    pair_calls(messages[start..end].iter().filter(|m| sendable(m)).cloned())
}

fn sendable(message: &Message) -> bool {
    match message {
        Message::Assistant(a) => !matches!(a.stop_reason, StopReason::Error | StopReason::Aborted),
        Message::Other => false,
        _ => true,
    }
}

/// The index of the user message where the kept part starts.
pub fn first_that_fits(messages: &[Message], max_chars: usize, max_turns: usize) -> usize {
    let mut start = messages.len();
    let mut used = 0usize;
    let mut turns = 0;
    for (i, message) in messages
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, m)| sendable(m))
    {
        used = used.saturating_add(size(message));
        if used > max_chars {
            return start;
        }
        if matches!(message, Message::User(_)) {
            turns += 1;
            start = i;
            if turns >= max_turns {
                return start;
            }
        }
    }
    // All fits: also what stands before the first question (an injected line).
    0
}

/// Rough size in characters of what a message puts into a request.
pub fn size(message: &Message) -> usize {
    match message {
        Message::User(user) => match &user.content {
            Content::Text(text) => text.len(),
            Content::Blocks(blocks) => blocks.iter().map(block_size).sum(),
        },
        Message::Assistant(assistant) => assistant.content.iter().map(block_size).sum(),
        Message::ToolResult(result) => result.content.iter().map(block_size).sum(),
        Message::Other => 0,
    }
}

fn block_size(block: &Block) -> usize {
    /// What a picture costs, whatever its bytes.
    const IMAGE: usize = 4800;
    match block {
        Block::Text { text, .. } => text.len(),
        Block::Thinking { thinking, .. } => thinking.len(),
        Block::ToolCall {
            name, arguments, ..
        } => name.len() + arguments.values().map(value_size).sum::<usize>(),
        Block::Image { .. } => IMAGE,
        Block::Unknown => 0,
    }
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(value_size).sum(),
        Value::Object(map) => map.values().map(value_size).sum(),
        _ => 4,
    }
}

/// Providers refuse a call without a result and a result without a call.
fn pair_calls(messages: impl Iterator<Item = Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::new();
    // Calls of the last assistant message that still lack a result.
    let mut open: Vec<(String, String)> = Vec::new();
    let mut answered: HashSet<String> = HashSet::new();
    for message in messages {
        match &message {
            Message::ToolResult(result) => {
                let before = open.len();
                open.retain(|(id, _)| *id != result.tool_call_id);
                if open.len() == before || !answered.insert(result.tool_call_id.clone()) {
                    continue;
                }
            }
            Message::Assistant(assistant) => {
                close(&mut out, &mut open);
                open = assistant
                    .tool_calls()
                    .map(|(id, name, _)| (id.to_string(), name.to_string()))
                    .collect();
                answered.clear();
            }
            _ => close(&mut out, &mut open),
        }
        out.push(message);
    }
    close(&mut out, &mut open);
    out
}

fn close(out: &mut Vec<Message>, open: &mut Vec<(String, String)>) {
    for (id, name) in open.drain(..) {
        out.push(Message::ToolResult(ToolResult {
            tool_call_id: id,
            tool_name: name,
            content: vec![Block::text(
                "This call has no recorded result: the run was interrupted.",
            )],
            details: None,
            is_error: true,
            timestamp: 0,
        }));
    }
}

/// How many user turns of a direct chat the channel's configuration wants sent: the session key
/// holds `<channel>:dm:<id>`.
pub fn turn_limit(key: &str, channels: &Map<String, Value>) -> Option<usize> {
    let parts: Vec<&str> = key.split(':').collect();
    let at = parts.iter().position(|part| *part == "dm")?;
    let peer = parts.get(at + 1)?;
    // `<channel>:dm:` or `<channel>:<account>:dm:`.
    let channel = parts[..at]
        .iter()
        .rev()
        .take(2)
        .find_map(|name| channels.get(*name))?;
    channel["dms"][*peer]["historyLimit"]
        .as_u64()
        .or_else(|| channel["dmHistoryLimit"].as_u64())
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(value: Value) -> Message {
        serde_json::from_value(value).unwrap()
    }

    fn user(text: &str) -> Message {
        message(json!({"role":"user","content":text,"timestamp":1}))
    }

    fn assistant(content: Value, stop: &str) -> Message {
        message(
            json!({"role":"assistant","content":content,"api":"a","provider":"p","model":"m","stopReason":stop,"timestamp":1}),
        )
    }

    fn said(text: &str) -> Message {
        assistant(json!([{"type":"text","text":text}]), "stop")
    }

    fn result(id: &str) -> Message {
        message(
            json!({"role":"toolResult","toolCallId":id,"toolName":"exec","content":[],"isError":false,"timestamp":1}),
        )
    }

    #[test]
    fn unanswered_questions_and_failed_answers_are_not_sent() {
        let kept = prepare(
            &[
                user("a"),
                said("b"),
                user("lost"),
                assistant(json!([]), "error"),
                message(json!({"role":"custom"})),
            ],
            1000,
            None,
        );
        assert_eq!(kept, [user("a"), said("b")]);
    }

    #[test]
    fn a_call_that_lost_its_result_gets_one_and_a_stray_result_goes() {
        let call = json!([{"type":"toolCall","id":"1","name":"exec","arguments":{}},
                          {"type":"toolCall","id":"2","name":"exec","arguments":{}}]);
        let kept = prepare(
            &[
                user("a"),
                assistant(call, "toolUse"),
                result("1"),
                result("1"),
                result("9"),
                user("b"),
                said("c"),
            ],
            1000,
            None,
        );
        assert_eq!(kept.len(), 6);
        match &kept[3] {
            Message::ToolResult(r) => {
                assert_eq!(r.tool_call_id, "2");
                assert!(r.is_error);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_whole_turns_that_fit_are_kept() {
        let all = vec![user("aaaa"), said("bbbb"), user("cc"), said("dd")];
        assert_eq!(prepare(&all, 100, None).len(), 4);
        assert_eq!(prepare(&all, 8, None), all[2..]);
        assert_eq!(prepare(&all, 100, Some(1)), all[2..]);
        assert!(prepare(&all, 3, None).is_empty());
    }

    #[test]
    fn the_limit_of_a_direct_chat_comes_from_its_channel() {
        let channels = json!({"telegram":{"dmHistoryLimit":5,"dms":{"42":{"historyLimit":2}}}});
        let channels = channels.as_object().unwrap();
        assert_eq!(turn_limit("agent:main:telegram:dm:42", channels), Some(2));
        assert_eq!(
            turn_limit("agent:main:telegram:x:dm:7:thread:1", channels),
            Some(5)
        );
        assert_eq!(turn_limit("agent:main:main", channels), None);
    }
}
