//! Making a request fit that would be too large: long results of tools are cut in the middle, and
//! when the service still refuses, long messages too and pictures give way to a note. Only what is
//! sent changes; the transcript keeps everything.

use crate::wire::message::{Block, Content, Message};
use std::borrow::Cow;

/// What is left of a text at least: enough to see what it is.
const MIN_KEPT: usize = 2_000;

/// What stands for a picture that does not go along.
const NO_PICTURE: &str =
    "[A picture stood here; it was left out because the request was too large.]";

/// How much may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Results of tools.
    Gentle,
    /// The service has refused: everything that is long, and pictures.
    Hard,
}

/// The messages, which have `total` characters, with long texts cut until they have `max_chars`, as
/// far as that can be had.
pub fn fit(
    messages: &[Message],
    total: usize,
    max_chars: usize,
    force: Force,
) -> Cow<'_, [Message]> {
    if total <= max_chars && force == Force::Gentle {
        return Cow::Borrowed(messages);
    }
    let mut fitted = messages.to_vec();
    let mut over = total.saturating_sub(max_chars);
    if force == Force::Hard {
        over = over.saturating_sub(drop_pictures(&mut fitted));
    }
    over = over.saturating_sub(shorten(&mut fitted, over, false));
    if force == Force::Hard {
        shorten(&mut fitted, over, true);
    }
    if fitted == messages {
        return Cow::Borrowed(messages);
    }
    Cow::Owned(fitted)
}

/// Cuts the longest texts to one length, chosen so that `over` bytes go; returns how many went.
fn shorten(messages: &mut [Message], over: usize, people: bool) -> usize {
    if over == 0 {
        return 0;
    }
    let mut texts: Vec<&mut String> = messages
        .iter_mut()
        .filter_map(|m| match (m, people) {
            (Message::ToolResult(result), false) => Some(&mut result.content),
            (Message::User(user), true) => match &mut user.content {
                Content::Blocks(blocks) => Some(blocks),
                Content::Text(_) => None,
            },
            _ => None,
        })
        .flatten()
        .filter_map(|block| match block {
            Block::Text { text, .. } if text.len() > MIN_KEPT => Some(text),
            _ => None,
        })
        .collect();
    let mut lengths: Vec<usize> = texts.iter().map(|t| t.len()).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let cap = cap(&lengths, over);
    let mut gone = 0;
    for text in &mut texts {
        if text.len() > cap {
            let cut = clip(text, cap).into_owned();
            gone += text.len().saturating_sub(cut.len());
            **text = cut;
        }
    }
    gone
}

/// The length to cut to, so that `over` goes from `lengths`, longest first.
fn cap(lengths: &[usize], over: usize) -> usize {
    let mut sum = 0;
    for (i, length) in lengths.iter().enumerate() {
        sum += length;
        let count = i + 1;
        let next = lengths.get(count).copied().unwrap_or(0);
        // The longest `count`, all as long as the next one, would be short enough.
        if sum.saturating_sub(count * next.max(MIN_KEPT)) >= over || next <= MIN_KEPT {
            return (sum.saturating_sub(over) / count).max(MIN_KEPT);
        }
    }
    MIN_KEPT
}

/// Returns the characters that this saved.
fn drop_pictures(messages: &mut [Message]) -> usize {
    let before: usize = messages.iter().map(Message::chars).sum();
    for message in messages.iter_mut() {
        let blocks = match message {
            Message::ToolResult(result) => &mut result.content,
            Message::User(user) => match &mut user.content {
                Content::Blocks(blocks) => blocks,
                Content::Text(_) => continue,
            },
            _ => continue,
        };
        for block in blocks {
            if matches!(block, Block::Image { .. }) {
                *block = Block::text(NO_PICTURE);
            }
        }
    }
    before.saturating_sub(messages.iter().map(Message::chars).sum())
}

/// At most about `max` bytes of `text`: its beginning and its end, and how much is missing.
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    let edge = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=max / 3 * 2).rev().find(edge).unwrap_or(0);
    let tail = (text.len() - max / 3..=text.len())
        .find(edge)
        .unwrap_or(text.len());
    let left = text[head..tail].chars().count();
    let (head, tail) = (&text[..head], &text[tail..]);
    format!("{head}\n[... {left} characters left out ...]\n{tail}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn messages(value: Value) -> Vec<Message> {
        serde_json::from_value(value).unwrap()
    }

    fn result(chars: usize) -> Value {
        json!({"role": "toolResult", "toolCallId": "c", "toolName": "read", "isError": false,
            "timestamp": 1, "content": [{"type": "text", "text": "r".repeat(chars)}]})
    }

    fn user(chars: usize) -> Value {
        json!({"role": "user", "timestamp": 1, "content": [
            {"type": "text", "text": "u".repeat(chars)},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"}]})
    }

    fn cut_to(messages: &[Message], max_chars: usize, force: Force) -> Cow<'_, [Message]> {
        let total = messages.iter().map(Message::chars).sum();
        fit(messages, total, max_chars, force)
    }

    fn sizes(messages: &[Message]) -> Vec<usize> {
        messages.iter().map(Message::chars).collect()
    }

    #[test]
    fn what_fits_is_not_touched_and_only_the_longest_results_are_cut() {
        let all = messages(json!([
            user(3000),
            result(30_000),
            result(2_500),
            result(9_000)
        ]));
        assert!(matches!(
            cut_to(&all, 60_000, Force::Gentle),
            Cow::Borrowed(_)
        ));
        let cut = cut_to(&all, 40_000, Force::Gentle);
        let sizes = sizes(&cut);
        assert_eq!(sizes[0], all[0].chars());
        assert!((20_000..22_000).contains(&sizes[1]), "{sizes:?}");
        assert_eq!(sizes[2..], [2_500, 9_000]);
        assert!(sizes.iter().sum::<usize>() <= 40_100);
    }

    #[test]
    fn a_text_is_never_cut_to_nothing_and_people_only_when_it_must_be() {
        let all = messages(json!([user(90_000), result(30_000)]));
        let gentle = cut_to(&all, 10_000, Force::Gentle);
        assert_eq!(sizes(&gentle)[0], all[0].chars());
        assert!(sizes(&gentle)[1] <= MIN_KEPT + 50);
        let hard = cut_to(&all, 10_000, Force::Hard);
        assert!(
            sizes(&hard).iter().sum::<usize>() < 10_200,
            "{:?}",
            sizes(&hard)
        );
        assert!(
            serde_json::to_string(&*hard)
                .unwrap()
                .contains("picture stood here")
        );
        let small = messages(json!([{"role": "user", "content": "hi", "timestamp": 1}]));
        assert!(matches!(cut_to(&small, 10, Force::Hard), Cow::Borrowed(_)));
    }

    #[test]
    fn a_clipped_text_keeps_both_ends_at_characters() {
        assert_eq!(clip("short", 10), "short");
        let text = clip(&"é".repeat(100), 31).into_owned();
        assert!(
            text.starts_with("éééééééééé\n[... 85 characters left out ...]\néé"),
            "{text}"
        );
    }
}
