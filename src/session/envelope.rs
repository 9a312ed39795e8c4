//! The `[…]` that the program puts before a user's text so that the model knows channel, sender and
//! time, and the `[message_id: …]` lines after it: taken off again before people see the text.

use serde_json::Value;

/// First words of an envelope that has no time in it.
const CHANNELS: &[&str] = &[
    "WebChat",
    "WhatsApp",
    "Telegram",
    "Signal",
    "Slack",
    "Discord",
    "Google Chat",
    "iMessage",
    "Teams",
    "Matrix",
    "Zalo",
    "Zalo Personal",
    "BlueBubbles",
];

/// Before the first words after a run that was stopped.
pub const RESUMED: &str = "The run before this message was stopped before it was done. Go on with care, or ask what still holds.";

/// `text` without its envelope.
pub fn strip(text: &str) -> &str {
    let text = text
        .strip_prefix(RESUMED)
        .map_or(text, |rest| rest.trim_start_matches('\n'));
    let header = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .filter(|(header, _)| !header.is_empty() && (has_time(header) || names_channel(header)));
    header.map_or(text, |(_, rest)| rest.trim_start())
}

/// `text` without `[message_id: …]` lines; `None` when there are none.
fn strip_ids(text: &str) -> Option<String> {
    if !text.contains("[message_id:") {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let kept: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !is_id_line(line))
        .collect();
    (kept.len() < lines.len()).then(|| kept.join("\n"))
}

/// Changes a user's message in place; false when it had nothing to take off.
pub fn strip_message(message: &mut Value) -> bool {
    match message.get_mut("content") {
        Some(content @ Value::String(_)) => strip_value(content),
        Some(Value::Array(blocks)) => {
            let mut changed = false;
            for block in blocks {
                if block.get("type").and_then(Value::as_str) == Some("text") {
                    changed |= block.get_mut("text").is_some_and(strip_value);
                }
            }
            changed
        }
        _ => message.get_mut("text").is_some_and(strip_value),
    }
}

fn strip_value(value: &mut Value) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    let bare = strip(text);
    let without = strip_ids(bare);
    if without.is_none() && bare.len() == text.len() {
        return false;
    }
    *text = without.unwrap_or_else(|| bare.to_string());
    true
}

fn is_id_line(line: &str) -> bool {
    const START: &str = "[message_id:";
    let line = line.trim();
    let start = line.get(..START.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(START))
        && line[START.len()..]
            .strip_suffix(']')
            .is_some_and(|id| !id.trim().is_empty() && !id.contains(']'))
}

/// Contains `2026-11-21 05:42` or `2026-11-21T05:42Z`.
fn has_time(header: &str) -> bool {
    const FORM: &[u8; 16] = b"dddd-dd-dd dd:dd";
    header
        .as_bytes()
        .windows(FORM.len())
        .enumerate()
        .any(|(at, part)| {
            let fits = part.iter().zip(FORM).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                b' ' => matches!(byte, b' ' | b'T'),
                _ => byte == form,
            });
            let next = header.as_bytes().get(at + FORM.len());
            fits && match part[10] {
                b'T' => next == Some(&b'Z'),
                _ => !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'),
            }
        })
}

fn names_channel(header: &str) -> bool {
    CHANNELS.iter().any(|name| {
        header
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_with_a_time_or_a_channel_are_taken_off() {
        assert_eq!(strip("[Sat 2026-11-21 05:42 UTC] hi"), "hi");
        assert_eq!(strip("[x 2026-11-21T05:42Z]\nhi"), "hi");
        assert_eq!(strip("[Telegram Sam id:1] hi"), "hi");
        let resumed = format!("{RESUMED}\n\n[Sat 2026-11-21 05:42 UTC] hi");
        assert_eq!(strip(&resumed), "hi");
        for text in [
            "[note] hi",
            "[Telegram] hi",
            "hi [Sat 2026-11-21 05:42 UTC]",
            "[2026-11-21]",
        ] {
            assert_eq!(strip(text), text);
        }
    }

    #[test]
    fn message_id_lines_go_wherever_they_stand() {
        let mut message = serde_json::json!({"role":"user","content":[
            {"type":"text","text":"[Sat 2026-11-21 05:42 UTC] a\r\n [message_id: 12] \nb [message_id: 3]"},
            {"type":"image","data":"x"}]});
        assert!(strip_message(&mut message));
        assert_eq!(message["content"][0]["text"], "a\nb [message_id: 3]");
        assert!(!strip_message(&mut message));
        let mut bare =
            serde_json::json!({"content": "x\n[Message_ID: 1]\n[message_id:  ]\n[message_id: é]"});
        assert!(strip_message(&mut bare));
        assert_eq!(bare["content"], "x\n[message_id:  ]");
    }
}
