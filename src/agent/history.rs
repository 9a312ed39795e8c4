//! How much of earlier turns the model is shown: the newest whole turns that fit into its window.
//! Nothing is copied; what must not be sent of them is left out by the model floor.

use crate::wire::message::Message;
use serde_json::{Map, Value};

/// Characters per token, roughly; the original's estimate.
pub const CHARS_PER_TOKEN: u64 = 4;

/// The index of the user message where the shown part starts: whole turns from the end, at most
/// `max_turns` of them, that fit into `max_chars`.
pub fn first_that_fits(messages: &[Message], max_chars: usize, max_turns: usize) -> usize {
    let mut start = messages.len();
    let mut used = 0usize;
    let mut turns = 0;
    for (i, message) in messages.iter().enumerate().rev() {
        used = used.saturating_add(message.chars());
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

    fn said(text: &str) -> Message {
        message(
            json!({"role":"assistant","content":[{"type":"text","text":text}],
            "api":"a","provider":"p","model":"m","stopReason":"stop","timestamp":1}),
        )
    }

    #[test]
    fn only_whole_turns_that_fit_are_kept() {
        let all = [user("aaaa"), said("bbbb"), user("cc"), said("dd")];
        assert_eq!(first_that_fits(&all, 100, 9), 0);
        assert_eq!(first_that_fits(&all, 8, 9), 2);
        assert_eq!(first_that_fits(&all, 100, 1), 2);
        assert_eq!(first_that_fits(&all, 3, 9), 4);
        // What stands before the first question is shown when all fits.
        assert_eq!(first_that_fits(&all[1..], 100, 9), 0);
        assert_eq!(first_that_fits(&[], 100, 9), 0);
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
