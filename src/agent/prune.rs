//! Old results of tools give way when a conversation is taken up again after a pause: by then the
//! service has forgotten the prompt it had kept, so that a shorter one costs nothing and saves what
//! is paid for reading it anew. Only what is sent changes; the transcript keeps everything.
//!
//! What gives way is decided by the messages before the last pause alone. So every request until the
//! next pause begins with the same bytes, and the service finds them again.

use crate::config::agents::duration_ms;
use crate::model::Target;
use crate::tool::policy;
use crate::wire::message::{Block, Message, ToolResult};
use serde_json::Value;

const TTL_MS: u64 = 5 * 60 * 1000;
const KEEP_ASSISTANTS: u64 = 3;
const SOFT_RATIO: f64 = 0.3;
const HARD_RATIO: f64 = 0.5;
const MIN_PRUNABLE: u64 = 50_000;
const MAX_CHARS: u64 = 4_000;
const HEAD_CHARS: u64 = 1_500;
const TAIL_CHARS: u64 = 1_500;
const PLACEHOLDER: &str = "[Old tool result content cleared]";

/// `agents.defaults.contextPruning`, when it is on.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruning {
    ttl_ms: u64,
    keep_assistants: usize,
    soft_ratio: f64,
    hard_ratio: f64,
    /// `None`: results are never cleared.
    placeholder: Option<String>,
    min_prunable: usize,
    max_chars: usize,
    head_chars: usize,
    tail_chars: usize,
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Pruning {
    pub fn of(settings: &Value) -> Option<Pruning> {
        if settings["mode"] != "cache-ttl" {
            return None;
        }
        let count = |value: &Value, usual: u64| {
            let number = value.as_f64().map_or(usual, |n| n as u64);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let ratio = |key: &str, usual: f64| settings[key].as_f64().unwrap_or(usual);
        let names = |list: &Value| -> Vec<String> {
            let names = list.as_array().into_iter().flatten();
            let names = names.filter_map(|name| name.as_str());
            names.map(|name| name.trim().to_lowercase()).collect()
        };
        let (soft, hard) = (&settings["softTrim"], &settings["hardClear"]);
        let placeholder = hard["placeholder"]
            .as_str()
            .filter(|t| !t.trim().is_empty());
        let ttl = settings["ttl"].as_str().and_then(duration_ms);
        Some(Pruning {
            ttl_ms: ttl.unwrap_or(TTL_MS),
            keep_assistants: count(&settings["keepLastAssistants"], KEEP_ASSISTANTS),
            soft_ratio: ratio("softTrimRatio", SOFT_RATIO),
            hard_ratio: ratio("hardClearRatio", HARD_RATIO),
            placeholder: (hard["enabled"] != false)
                .then(|| placeholder.unwrap_or(PLACEHOLDER).to_string()),
            min_prunable: count(&settings["minPrunableToolChars"], MIN_PRUNABLE),
            max_chars: count(&soft["maxChars"], MAX_CHARS),
            head_chars: count(&soft["headChars"], HEAD_CHARS),
            tail_chars: count(&soft["tailChars"], TAIL_CHARS),
            allow: names(&settings["tools"]["allow"]),
            deny: names(&settings["tools"]["deny"]),
        })
    }

    /// What stands in the place of which of `messages`; mostly nothing. `total` are the characters
    /// of all of them.
    pub fn replacements(
        &self,
        messages: &[Message],
        total: usize,
        target: &Target,
    ) -> Vec<(usize, Message)> {
        let window = target.context_window as f64 * super::history::CHARS_PER_TOKEN as f64;
        let share = |chars: usize| chars as f64 / window;
        // Without a look at each message: there is no need in most conversations.
        if self.ttl_ms == 0 || !keeps_prompts(target) || share(total) < self.soft_ratio {
            return Vec::new();
        }
        let before = &messages[..self.pause(messages)];
        let mut chars: usize = before.iter().map(Message::chars).sum();
        let Some(prunable) = self.prunable(before) else {
            return Vec::new();
        };
        if share(chars) < self.soft_ratio {
            return Vec::new();
        }
        let mut size = 0;
        let mut replaced: Vec<(usize, ToolResult, bool)> = Vec::new();
        for (at, result) in prunable {
            let own = text_len(result);
            let trimmed = self.trimmed(result);
            let now = trimmed.as_ref().map_or(own, text_len);
            chars = chars.saturating_sub(own.saturating_sub(now));
            size += now;
            let changed = trimmed.is_some();
            replaced.push((at, trimmed.unwrap_or_else(|| result.clone()), changed));
        }
        if let Some(placeholder) = &self.placeholder {
            if size >= self.min_prunable {
                for (_, result, changed) in &mut replaced {
                    if share(chars) < self.hard_ratio {
                        break;
                    }
                    let own = text_len(result);
                    if own > placeholder.len() {
                        chars -= own - placeholder.len();
                        result.content = vec![Block::text(placeholder.as_str())];
                        *changed = true;
                    }
                }
            }
        }
        let changed = replaced.into_iter().filter(|(_, _, changed)| *changed);
        changed
            .map(|(at, result, _)| (at, Message::ToolResult(result)))
            .collect()
    }

    /// Where the person spoke last after the service had forgotten the prompt.
    fn pause(&self, messages: &[Message]) -> usize {
        let paused = |at: &usize| {
            let (Message::User(said), Some(before)) = (&messages[*at], time(&messages[*at - 1]))
            else {
                return false;
            };
            said.timestamp.saturating_sub(before) > self.ttl_ms
        };
        (1..messages.len()).rev().find(paused).unwrap_or(0)
    }

    /// The results that may give way: between the first question and the newest answers.
    fn prunable<'m>(&self, messages: &'m [Message]) -> Option<Vec<(usize, &'m ToolResult)>> {
        let first = messages
            .iter()
            .position(|m| matches!(m, Message::User(_)))?;
        let mut answers = messages
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, m)| matches!(m, Message::Assistant(_)));
        let end = match self.keep_assistants.checked_sub(1) {
            Some(skipped) => answers.nth(skipped)?.0,
            None => messages.len(),
        };
        let results = messages[first..end.max(first)].iter().enumerate();
        let results = results.filter_map(|(i, message)| match message {
            Message::ToolResult(result) if self.concerns(result) => Some((first + i, result)),
            _ => None,
        });
        Some(results.collect())
    }

    fn concerns(&self, result: &ToolResult) -> bool {
        let name = result.tool_name.to_lowercase();
        let named = |list: &[String]| list.iter().any(|one| policy::matches(one, &name));
        let pictures = |block: &Block| matches!(block, Block::Image { .. });
        !named(&self.deny)
            && (self.allow.is_empty() || named(&self.allow))
            && !result.content.iter().any(pictures)
    }

    /// The beginning and the end of a long result.
    fn trimmed(&self, result: &ToolResult) -> Option<ToolResult> {
        let text = crate::wire::message::text_of(&result.content);
        let all = text.len();
        if all <= self.max_chars || self.head_chars.saturating_add(self.tail_chars) >= all {
            return None;
        }
        let edge = |at: &usize| text.is_char_boundary(*at);
        let head = (0..=self.head_chars).rev().find(edge)?;
        let tail = (all - self.tail_chars..=all).find(edge)?;
        let text = format!(
            "{}\n...\n{}\n\n[Shortened: the first {} and the last {} of {all} characters.]",
            &text[..head],
            &text[tail..],
            self.head_chars,
            self.tail_chars,
        );
        Some(ToolResult {
            content: vec![Block::text(text)],
            details: None,
            ..result.clone()
        })
    }
}

/// Whether the service keeps prompts for a while, as Anthropic's models do.
fn keeps_prompts(target: &Target) -> bool {
    target.provider == "anthropic"
        || (target.provider == "openrouter" && target.model.starts_with("anthropic/"))
}

fn text_len(result: &ToolResult) -> usize {
    let length = |block: &Block| match block {
        Block::Text { text, .. } => text.len(),
        _ => 0,
    };
    result.content.iter().map(length).sum()
}

fn time(message: &Message) -> Option<u64> {
    match message {
        Message::User(user) => Some(user.timestamp),
        Message::Assistant(said) => Some(said.timestamp),
        Message::ToolResult(result) => Some(result.timestamp),
        Message::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MINUTE: u64 = 60_000;

    fn pruning(settings: Value) -> Pruning {
        let mut all = json!({"mode": "cache-ttl"});
        for (key, value) in settings.as_object().unwrap() {
            all[key] = value.clone();
        }
        Pruning::of(&all).unwrap()
    }

    /// A question, a result of `chars` and an answer, at minute `at`.
    fn turn(at: u64, tool: &str, chars: usize) -> Vec<Message> {
        let time = at * MINUTE;
        let said = |content: Value, stop: &str| {
            json!({"role": "assistant", "content": content, "api": "a", "provider": "p",
                "model": "m", "stopReason": stop, "timestamp": time})
        };
        let call = json!([{"type": "toolCall", "id": "c", "name": tool, "arguments": {}}]);
        let all = json!([
            {"role": "user", "content": "q", "timestamp": time},
            said(call, "toolUse"),
            {"role": "toolResult", "toolCallId": "c", "toolName": tool, "isError": false,
                "timestamp": time, "content": [{"type": "text", "text": "r".repeat(chars)}]},
            said(json!([{"type": "text", "text": "done"}]), "stop"),
        ]);
        serde_json::from_value(all).unwrap()
    }

    fn question(at: u64) -> Message {
        serde_json::from_value(json!({"role": "user", "content": "q", "timestamp": at * MINUTE}))
            .unwrap()
    }

    /// Window: 10,000 tokens, 40,000 characters.
    fn claude() -> Target {
        Target {
            provider: "anthropic".into(),
            context_window: 10_000,
            ..Target::default()
        }
    }

    fn replaced(pruning: &Pruning, messages: &[Message], target: &Target) -> Vec<(usize, usize)> {
        let total = messages.iter().map(Message::chars).sum();
        let all = pruning.replacements(messages, total, target);
        all.iter().map(|(at, m)| (*at, m.chars())).collect()
    }

    #[test]
    fn after_a_pause_long_old_results_are_shortened_and_until_the_next_nothing_changes() {
        let usual = pruning(json!({}));
        let mut talk = turn(0, "read", 9_000);
        talk.extend(turn(1, "read", 3_000));
        talk.extend(turn(2, "read", 9_000));
        talk.push(question(4));
        assert!(replaced(&usual, &talk, &claude()).is_empty(), "no pause");
        talk.pop();
        talk.push(question(9));
        let first = replaced(&usual, &talk, &claude());
        assert_eq!(
            first.len(),
            1,
            "only what is long, and not the newest: {first:?}"
        );
        assert!(
            first[0].0 == 2 && (3_000..3_100).contains(&first[0].1),
            "{first:?}"
        );
        // The same in every request until the next pause, however the talk grows.
        talk.extend(turn(10, "read", 9_000).split_off(1));
        talk.extend(turn(11, "read", 9_000));
        assert_eq!(replaced(&usual, &talk, &claude()), first);
        let other = Target {
            provider: "openai".into(),
            ..claude()
        };
        assert!(replaced(&usual, &talk, &other).is_empty());
        let small = [turn(0, "read", 9_000), vec![question(9)]].concat();
        assert!(replaced(&usual, &small, &claude()).is_empty());
        assert!(Pruning::of(&json!({"mode": "off"})).is_none());
    }

    #[test]
    fn what_is_still_too_much_is_cleared_oldest_first() {
        let mut talk = Vec::new();
        for at in 0..6 {
            talk.extend(turn(at, "exec", 9_000));
        }
        talk.push(question(60));
        let rough = pruning(json!({"minPrunableToolChars": 1000, "hardClearRatio": 0.5,
            "softTrim": {"maxChars": 20_000}}));
        let all = replaced(&rough, &talk, &claude());
        // 54,000 of 40,000 characters: below half of them when four have gone.
        let cleared: Vec<usize> = all.iter().map(|(at, _)| *at).collect();
        assert_eq!(cleared, [2, 6, 10, 14]);
        assert!(all.iter().all(|(_, chars)| *chars == PLACEHOLDER.len()));
        let spared = pruning(json!({"minPrunableToolChars": 1000, "tools": {"deny": ["ex*"]}}));
        assert!(replaced(&spared, &talk, &claude()).is_empty());
        let gentle = pruning(json!({"hardClear": {"enabled": false},
            "softTrim": {"maxChars": 20_000}}));
        assert!(replaced(&gentle, &talk, &claude()).is_empty());
    }
}
