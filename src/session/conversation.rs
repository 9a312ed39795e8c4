//! A transcript as the model sees it: the messages on the path from the leaf to the root, with the
//! latest compaction in place of what it summarises.

use super::seen::Seen;
use crate::base::surrogate;
use crate::wire::message::{Assistant, Block, Content, Message, StopReason, ToolResult, User};
use serde_json::Value;

/// Id of a line.
pub type Id = Box<str>;

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub messages: Vec<Message>,
    /// The line each message came from.
    pub ids: Vec<Id>,
    pub leaf: Option<Id>,
    /// The leaf is a user's message, and this is its parent.
    pub unanswered: Option<Option<Id>>,
    /// Tool calls of the last assistant message without a result yet.
    pub open_calls: usize,
    pub seen: Seen,
    /// `data` of the last model snapshot on the path.
    pub model_snapshot: Option<Value>,
    pub thinking_level: Option<String>,
    /// When the summary that stands first in `messages` was made.
    pub compacted: Option<u64>,
    /// Characters of `messages` in a request, counted as they come and go.
    pub chars: usize,
    /// What it takes in memory, roughly.
    pub bytes: usize,
}

impl Conversation {
    /// Adds a message at the leaf. `size` is the length of its line.
    pub fn push(&mut self, id: Id, message: Message, size: usize) {
        match &message {
            Message::Assistant(assistant) => self.open_calls = assistant.tool_calls().count(),
            Message::ToolResult(_) => self.open_calls = self.open_calls.saturating_sub(1),
            Message::User(_) => self.open_calls = 0,
            Message::Other => {}
        }
        let user = matches!(message, Message::User(_));
        let parent = self.leaf.replace(id.clone());
        self.unanswered = user.then_some(parent);
        if message != Message::Other {
            self.bytes += cost(size);
            self.chars += message.chars();
            self.messages.push(message);
            self.ids.push(id);
        }
    }

    /// Moves the leaf to a line that is no message.
    pub fn pass(&mut self, id: Id) {
        self.leaf = Some(id);
        self.unanswered = None;
    }

    /// Steps back over a user's message that never got an answer.
    pub fn drop_unanswered(&mut self) {
        if let Some(parent) = self.unanswered.take() {
            if self.ids.last() == self.leaf.as_ref() {
                let gone = self.messages.pop();
                self.chars -= gone.as_ref().map_or(0, Message::chars);
                self.ids.pop();
            }
            self.leaf = parent;
        }
    }

    /// `(id, name)` of the calls of the last answer that have no result.
    pub fn unfinished(&self) -> Vec<(String, String)> {
        let is_talk = |m: &&Message| !matches!(m, Message::Other);
        let mut done = Vec::new();
        for message in self.messages.iter().rev().filter(is_talk) {
            match message {
                Message::ToolResult(result) => done.push(result.tool_call_id.as_str()),
                Message::Assistant(said)
                    if matches!(said.stop_reason, StopReason::Error | StopReason::Aborted) =>
                {
                    break;
                }
                Message::Assistant(said) => {
                    let open = said.tool_calls().filter(|(id, _, _)| !done.contains(id));
                    return open.map(|(id, name, _)| (id.into(), name.into())).collect();
                }
                _ => break,
            }
        }
        Vec::new()
    }

    /// Replaces everything before `first_kept` by `summary`; all of it when that is not here.
    pub fn compact(&mut self, id: Id, summary: &str, first_kept: &str, at_ms: u64) {
        let from = self.ids.iter().position(|id| **id == *first_kept);
        let from = from.unwrap_or(self.ids.len());
        self.messages.splice(..from, [summarised(summary, at_ms)]);
        self.ids.splice(..from, [id.clone()]);
        self.messages.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.bytes = self.messages.iter().map(|m| cost(weight(m))).sum();
        self.chars = self.messages.iter().map(Message::chars).sum();
        self.compacted = Some(at_ms);
        self.pass(id);
    }

    /// The summary that stands first, and when it was made.
    pub fn summary(&self) -> Option<(&str, u64)> {
        let at = self.compacted?;
        let Some(Message::User(user)) = self.messages.first() else {
            return None;
        };
        let text = match &user.content {
            Content::Text(text) => text,
            Content::Blocks(blocks) => match blocks.first() {
                Some(Block::Text { text, .. }) => text,
                _ => return None,
            },
        };
        let inner = text
            .strip_prefix(SUMMARY_HEAD)?
            .strip_suffix(SUMMARY_TAIL)?;
        Some((inner, at))
    }
}

const INTERRUPTED: &str = "Interrupted: the run ended before this call was finished. What it did until then may be in place; look before you do it again.";

/// The result of a call that nobody runs any more.
pub fn interrupted(id: String, name: String) -> Message {
    Message::ToolResult(ToolResult {
        tool_call_id: id,
        tool_name: name,
        content: vec![Block::text(INTERRUPTED)],
        details: None,
        is_error: true,
        timestamp: crate::base::time::now_ms(),
    })
}

/// Bytes of a message's texts.
fn weight(message: &Message) -> usize {
    message.measure(|block| match block {
        Block::Text { text, .. } => text.len(),
        Block::Thinking { thinking, .. } => thinking.len(),
        Block::Image { data, .. } => data.len(),
        Block::ToolCall { arguments, .. } => arguments.len() * 64,
        Block::Unknown => 0,
    })
}

const SUMMARY_HEAD: &str =
    "Earlier parts of this conversation were summarised to save space:\n\n<summary>\n";
const SUMMARY_TAIL: &str = "\n</summary>";

/// Memory a parsed message takes for a line of `size` bytes: its text once, plus the fixed parts.
pub fn cost(size: usize) -> usize {
    size + 512
}

/// A summary of earlier conversation as the model gets it.
pub fn summarised(summary: &str, at_ms: u64) -> Message {
    user(format!("{SUMMARY_HEAD}{summary}{SUMMARY_TAIL}"), at_ms)
}

/// A branch that was left, as the model gets it.
pub fn branched(summary: &str, at_ms: u64) -> Message {
    user(
        format!(
            "This conversation returned here from another branch, in short:\n\n<summary>\n{summary}\n</summary>"
        ),
        at_ms,
    )
}

pub fn user(text: String, at_ms: u64) -> Message {
    Message::User(User {
        content: Content::Blocks(vec![Block::text(text)]),
        timestamp: at_ms,
    })
}

/// A stored message. Old or foreign ones may lack fields we require; `at_ms` is the line's time.
pub fn read_message(text: &str, at_ms: u64) -> Option<Message> {
    if let Ok(message) = serde_json::from_str(text) {
        return Some(message);
    }
    let mut value: Value = serde_json::from_str(&surrogate::mend(text)).ok()?;
    let map = value.as_object_mut()?;
    let defaults: &[(&str, Value)] = match map.get("role")?.as_str()? {
        "user" => &[("timestamp", at_ms.into())],
        "assistant" => &[
            ("api", "".into()),
            ("provider", "".into()),
            ("model", "".into()),
            ("timestamp", at_ms.into()),
        ],
        "toolResult" => &[
            ("toolName", "".into()),
            ("isError", false.into()),
            ("timestamp", at_ms.into()),
        ],
        _ => return Some(Message::Other),
    };
    for (name, value) in defaults {
        if map
            .get(*name)
            .is_none_or(|found| found.is_null() || *name == "timestamp")
        {
            map.insert((*name).into(), value.clone());
        }
    }
    if let Some(Value::String(text)) = map.get("content") {
        let blocks = serde_json::json!([{"type": "text", "text": text}]);
        map.insert("content".into(), blocks);
    }
    if let Ok(message) = serde_json::from_value(value.clone()) {
        return Some(message);
    }
    // What still does not fit is a stop reason or a usage of another version.
    let map = value.as_object_mut()?;
    map.shift_remove("usage");
    map.insert("stopReason".into(), "stop".into());
    serde_json::from_value(value).ok()
}

/// An assistant message that no model made.
pub fn spoken(text: String, api: &str, provider: &str, model: &str, at_ms: u64) -> Assistant {
    Assistant {
        content: vec![Block::text(text)],
        api: api.into(),
        provider: provider.into(),
        model: model.into(),
        usage: Default::default(),
        stop_reason: crate::wire::message::StopReason::Stop,
        error_message: None,
        timestamp: at_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(conversation: &Conversation) -> Vec<String> {
        let text = |message: &Message| match message {
            Message::User(user) => user.content.text(),
            Message::Assistant(assistant) => assistant.text(),
            _ => String::new(),
        };
        conversation.messages.iter().map(text).collect()
    }

    #[test]
    fn an_unanswered_message_is_stepped_over_once() {
        let mut talk = Conversation::default();
        talk.push("1".into(), user("a".into(), 1), 1);
        let answer = spoken("b".into(), "", "", "", 2);
        talk.push("2".into(), Message::Assistant(answer), 1);
        talk.push("3".into(), user("c".into(), 3), 1);
        assert_eq!(talk.chars, 3);
        talk.drop_unanswered();
        assert_eq!(
            (texts(&talk), talk.chars),
            (vec!["a".into(), "b".into()], 2)
        );
        assert_eq!(talk.leaf.as_deref(), Some("2"));
        talk.drop_unanswered();
        assert_eq!(texts(&talk), ["a", "b"]);
    }

    #[test]
    fn a_compaction_keeps_what_it_says() {
        let mut talk = Conversation::default();
        for id in ["1", "2", "3"] {
            talk.push(id.into(), user(id.into(), 1), 1);
        }
        talk.compact("c".into(), "short", "3", 9);
        assert_eq!(talk.ids, ["c".into(), Id::from("3")]);
        assert!(texts(&talk)[0].contains("short"));
        assert_eq!(talk.summary(), Some(("short", 9)));
        assert_eq!(
            talk.chars,
            talk.messages.iter().map(Message::chars).sum::<usize>()
        );
        assert_eq!(talk.leaf.as_deref(), Some("c"));
    }

    #[test]
    fn calls_without_a_result_are_found_at_the_end_only() {
        let call = r#"{"role":"assistant","content":[{"type":"toolCall","id":"a","name":"exec","arguments":{}},
            {"type":"toolCall","id":"b","name":"read","arguments":{}}],"api":"","provider":"","model":"",
            "stopReason":"toolUse","timestamp":1}"#;
        let mut talk = Conversation::default();
        assert!(talk.unfinished().is_empty());
        talk.push("1".into(), read_message(call, 1).unwrap(), 1);
        assert_eq!(talk.unfinished().len(), 2);
        talk.push("2".into(), interrupted("a".into(), "exec".into()), 1);
        assert_eq!(talk.unfinished(), [("b".to_string(), "read".to_string())]);
        talk.push("3".into(), user("next".into(), 1), 1);
        assert!(talk.unfinished().is_empty());
        talk.drop_unanswered();
        assert_eq!(talk.unfinished().len(), 1);
    }

    #[test]
    fn messages_of_other_versions_are_read_with_defaults() {
        let old =
            r#"{"role":"assistant","content":"hi","stopReason":"endTurn","usage":{"input":-1}}"#;
        match read_message(old, 7) {
            Some(Message::Assistant(a)) => assert_eq!((a.text().as_str(), a.timestamp), ("hi", 7)),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            read_message(r#"{"role":"bashExecution","output":""}"#, 1),
            Some(Message::Other)
        );
        assert_eq!(read_message("{}", 1), None);
        let cut = r#"{"role":"user","content":"x\ud83d","timestamp":1}"#;
        match read_message(cut, 1) {
            Some(Message::User(user)) => assert_eq!(user.content.text(), "x\u{fffd}"),
            other => panic!("{other:?}"),
        }
    }
}
