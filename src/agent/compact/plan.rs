//! How much of the model's window a conversation may fill, and where a longer one is cut.

use crate::agent::history;
use crate::wire::message::{Assistant, Message, StopReason};

/// Tokens kept free for an answer when the configuration does not say.
pub const RESERVE: u64 = 20_000;
/// The least of them, whatever the configuration says.
const LEAST_RESERVE: u64 = 16_384;
/// Tokens of the newest messages that stay word for word.
const KEEP_RECENT: u64 = 20_000;

/// A model's window, divided. All in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub window: u64,
    /// Kept free for the answer.
    pub reserve: u64,
    /// What stays word for word.
    pub keep: u64,
}

impl Room {
    /// `floor` is `agents.defaults.compaction.reserveTokensFloor`. A window that is not twice as
    /// large gives a quarter of itself: with the whole floor a small model would have no room for
    /// a conversation at all.
    pub fn of(window: u64, floor: Option<u64>) -> Room {
        let floor = floor.unwrap_or(RESERVE).max(LEAST_RESERVE);
        let reserve = if floor * 2 <= window {
            floor
        } else {
            window / 4
        };
        let keep = KEEP_RECENT.min((window - reserve) / 2);
        Room {
            window,
            reserve,
            keep,
        }
    }

    pub fn is_full(&self, tokens: u64) -> bool {
        tokens > self.window - self.reserve
    }
}

/// Tokens the conversation takes: what the provider counted at its last answer and an estimate for
/// the rest. What was counted before `compacted` (ms) says nothing about the shorter conversation.
pub fn tokens(messages: &[Message], compacted: u64) -> u64 {
    let counted = messages.iter().rposition(|m| match m {
        Message::Assistant(said) => {
            is_answer(said) && said.usage.total_tokens > 0 && said.timestamp > compacted
        }
        _ => false,
    });
    let (known, rest) = match counted {
        Some(at) => match &messages[at] {
            Message::Assistant(said) => (said.usage.total_tokens, &messages[at + 1..]),
            _ => (0, messages),
        },
        None => (0, messages),
    };
    known + rest.iter().map(estimate).sum::<u64>()
}

/// Tokens of one message, roughly.
pub fn estimate(message: &Message) -> u64 {
    let chars = u64::try_from(message.chars()).unwrap_or(u64::MAX);
    chars.div_ceil(history::CHARS_PER_TOKEN)
}

fn is_answer(said: &Assistant) -> bool {
    !matches!(said.stop_reason, StopReason::Error | StopReason::Aborted)
}

/// Where a conversation is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first message that stays.
    pub kept: usize,
    /// The cut goes through a turn, which begins with this message.
    pub turn: Option<usize>,
}

/// Keeps about `keep` tokens at the end, and summarises from `first` on. `None` when there is
/// nothing before the cut.
pub fn plan(messages: &[Message], first: usize, keep: u64) -> Option<Plan> {
    let mut used = 0;
    let mut at = messages.len();
    while at > first && used < keep {
        at -= 1;
        used += estimate(&messages[at]);
    }
    if used < keep {
        return None;
    }
    // A tool's result never loses its call, and a failed answer is not worth beginning with.
    let starts = |m: &Message| match m {
        Message::User(_) => true,
        Message::Assistant(said) => is_answer(said),
        _ => false,
    };
    let after = messages[at..].iter().position(starts).map(|i| at + i);
    let kept = after.or_else(|| messages[..at].iter().rposition(starts))?;
    if kept <= first {
        return None;
    }
    let turn = match &messages[kept] {
        Message::User(_) => None,
        _ => messages[first..kept]
            .iter()
            .rposition(|m| matches!(m, Message::User(_)))
            .map(|i| first + i),
    };
    Some(Plan { kept, turn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn message(value: Value) -> Message {
        serde_json::from_value(value).unwrap()
    }

    fn user(chars: usize) -> Message {
        message(json!({"role": "user", "content": "u".repeat(chars), "timestamp": 1}))
    }

    fn said(chars: usize, total: u64, at: u64) -> Message {
        message(json!({"role": "assistant",
            "content": [{"type": "text", "text": "a".repeat(chars)}],
            "api": "a", "provider": "p", "model": "m", "stopReason": "stop", "timestamp": at,
            "usage": {"totalTokens": total}}))
    }

    fn failed() -> Message {
        message(
            json!({"role": "assistant", "content": [], "api": "a", "provider": "p",
            "model": "m", "stopReason": "error", "timestamp": 1}),
        )
    }

    fn result(chars: usize) -> Message {
        message(
            json!({"role": "toolResult", "toolCallId": "c", "toolName": "read",
            "content": [{"type": "text", "text": "r".repeat(chars)}], "isError": false, "timestamp": 1}),
        )
    }

    #[test]
    fn a_large_window_keeps_the_floor_free_and_a_small_one_a_quarter() {
        let room = Room::of(128_000, None);
        assert_eq!((room.reserve, room.keep), (20_000, 20_000));
        assert_eq!(Room::of(128_000, Some(0)).reserve, 16_384);
        assert_eq!(Room::of(128_000, Some(30_000)).reserve, 30_000);
        let small = Room::of(8_000, None);
        assert_eq!((small.reserve, small.keep), (2_000, 3_000));
        assert!(small.is_full(6_001) && !small.is_full(6_000));
        assert_eq!(Room::of(0, None).keep, 0);
    }

    #[test]
    fn what_the_provider_counted_holds_until_a_compaction() {
        let all = [user(400), said(40, 1000, 5), user(80)];
        assert_eq!(tokens(&all, 0), 1020);
        assert_eq!(tokens(&all, 5), 100 + 10 + 20);
    }

    #[test]
    fn the_cut_is_at_a_question_or_an_answer_and_never_at_a_result() {
        let all = [user(400), said(400, 0, 1), user(400), said(400, 0, 1)];
        let cut = |keep| plan(&all, 0, keep).map(|p| (p.kept, p.turn));
        assert_eq!(cut(150), Some((2, None)));
        assert_eq!(cut(50), Some((3, Some(2))));
        assert_eq!(cut(400), None, "everything is kept");
        assert_eq!(cut(401), None, "it is shorter than that");
        assert_eq!(
            plan(&all, 2, 150),
            None,
            "before it stands the last summary"
        );

        let call = said(4, 0, 1);
        let all = [user(400), said(4, 0, 1), user(40), call, result(4000)];
        let cut = plan(&all, 0, 100).unwrap();
        assert_eq!((cut.kept, cut.turn), (3, Some(2)), "the call stays with it");
        let all = [user(400), said(4, 0, 1), user(4000), failed()];
        assert_eq!(
            plan(&all, 0, 100),
            Some(Plan {
                kept: 2,
                turn: None
            })
        );
    }
}
