//! What people are shown of a conversation: the stored messages, read from the end of the file, and
//! short texts made of them. No lock: lines are written whole, and an unfinished one is passed over.

use super::tail::Tail;
use super::{Entry, Error, Store, envelope};
use crate::base::jsonl;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

/// Most JSON bytes of one chat.history answer.
pub const MAX_HISTORY_BYTES: usize = 6_291_456;
/// How far back history is looked for behind messages that are dropped for their size.
const MAX_HISTORY_READ: u64 = 256 * 1024 * 1024;
/// How far back a preview looks, and at how many lines.
const MAX_PREVIEW_READ: u64 = 1024 * 1024;
const MAX_PREVIEW_LINES: usize = 200;
const MAX_PREVIEW_ITEMS: usize = 50;
const PREVIEW_CHARS: std::ops::RangeInclusive<usize> = 20..=2000;
/// How far into a file the first user message is looked for.
const MAX_TITLE_READ: usize = 8192;
const MAX_TITLE_LINES: usize = 10;
const TITLE_CHARS: usize = 60;
/// How far back the last message is looked for.
const MAX_LAST_READ: u64 = 16_384;
const MAX_LAST_LINES: usize = 20;

/// One line of a preview.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// `user`, `assistant`, `tool`, `system`, `other`.
    pub role: &'static str,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// No such session, or none that has spoken.
    Missing,
    Empty,
    Items(Vec<Item>),
}

/// The message of a line, unparsed; other lines have none.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Role<'a> {
    #[serde(default, borrow)]
    role: Option<std::borrow::Cow<'a, str>>,
}

fn message_of(line: &[u8]) -> Option<Box<RawValue>> {
    let line: Line = serde_json::from_slice(line).ok()?;
    line.message.filter(|raw| raw.get().starts_with('{'))
}

fn role_of(message: &RawValue) -> Option<std::borrow::Cow<'_, str>> {
    // Both programs write the role first; that spares reading the whole message again.
    if let Some((role, _)) = message
        .get()
        .strip_prefix("{\"role\":\"")
        .and_then(|rest| rest.split_once('"'))
    {
        return Some(role.into());
    }
    serde_json::from_str::<Role>(message.get()).ok()?.role
}

impl Store {
    /// The last `limit` messages of a session, oldest first, as stored but for the envelopes of
    /// user messages; the oldest are left out until the JSON array fits `max_bytes`.
    pub fn history(
        &self,
        key: &str,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        let Some(path) = self.current(key)?.1 else {
            return Ok(Vec::new());
        };
        let mut messages = VecDeque::new();
        // Brackets; every message but one adds a comma.
        let mut bytes = 1;
        let fail = Error::io("read", &path);
        read_back(&path, MAX_HISTORY_READ, |line| {
            let Some(message) = message_of(line) else {
                return true;
            };
            let message = shown(message);
            bytes += message.get().len() + 1;
            if bytes > max_bytes && !messages.is_empty() {
                return false;
            }
            messages.push_front(message);
            messages.len() < limit && bytes <= max_bytes
        })
        .map_err(fail)?;
        Ok(messages.into())
    }

    /// The last things said in a session, shortened.
    pub fn preview(&self, key: &str, limit: usize, max_chars: usize) -> Result<Preview, Error> {
        let limit = limit.clamp(1, MAX_PREVIEW_ITEMS);
        let max_chars = max_chars.clamp(*PREVIEW_CHARS.start(), *PREVIEW_CHARS.end());
        let (entry, path) = self.current(key)?;
        if entry.is_none_or(|entry| entry.session_id.is_none()) {
            return Ok(Preview::Missing);
        }
        let Some(path) = path else {
            return Ok(Preview::Empty);
        };
        let mut items = VecDeque::new();
        let mut lines = 0;
        let fail = Error::io("read", &path);
        read_back(&path, MAX_PREVIEW_READ, |line| {
            lines += 1;
            let message: Option<Value> =
                message_of(line).and_then(|raw| serde_json::from_str(raw.get()).ok());
            if let Some(item) = message.and_then(|message| item(&message, max_chars)) {
                items.push_front(item);
            }
            items.len() < limit && lines < MAX_PREVIEW_LINES
        })
        .map_err(fail)?;
        Ok(if items.is_empty() {
            Preview::Empty
        } else {
            Preview::Items(items.into())
        })
    }

    /// A name for a session: what it is called, else its first words, else its id.
    pub fn derived_title(&self, key: &str, entry: &Entry) -> Option<String> {
        let named = [&entry.display_name, &entry.subject];
        if let Some(name) = named
            .iter()
            .filter_map(|name| name.as_deref())
            .map(str::trim)
            .find(|n| !n.is_empty())
        {
            return Some(name.into());
        }
        let first = self
            .transcript_file(key, entry)
            .and_then(|path| first_words(&path).ok().flatten());
        if let Some(text) = first {
            let words: Vec<&str> = text.split_whitespace().collect();
            return Some(shorten(&words.join(" ")));
        }
        let id = entry.session_id.as_deref()?;
        let short: String = id.chars().take(8).collect();
        Some(match entry.updated_at.filter(|at| *at > 0) {
            Some(at) => format!("{short} ({})", &crate::base::time::iso(at)[..10]),
            None => short,
        })
    }

    /// The last thing the user or the assistant said.
    pub fn last_message(&self, key: &str, entry: &Entry) -> Option<String> {
        let path = self.transcript_file(key, entry)?;
        let mut found = None;
        let mut lines = 0;
        let read = read_back(&path, MAX_LAST_READ, |line| {
            lines += 1;
            found = message_of(line)
                .filter(|raw| matches!(role_of(raw).as_deref(), Some("user" | "assistant")))
                .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
                .and_then(|message| first_text(&message));
            found.is_none() && lines < MAX_LAST_LINES
        });
        read.ok()?;
        found
    }

    /// Entry and transcript of a session.
    fn current(
        &self,
        key: &str,
    ) -> Result<(Option<std::sync::Arc<Entry>>, Option<PathBuf>), Error> {
        let entry = self.entry(key)?;
        let path = entry
            .as_ref()
            .and_then(|entry| self.transcript_file(key, entry));
        Ok((entry, path))
    }
}

fn read_back(
    path: &std::path::Path,
    max_bytes: u64,
    each: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    Tail::open(File::open(path)?, max_bytes)?.each(each)
}

/// A message as people see it.
fn shown(message: Box<RawValue>) -> Box<RawValue> {
    if !role_of(&message).is_some_and(|role| role.eq_ignore_ascii_case("user")) {
        return message;
    }
    let Ok(mut value) = serde_json::from_str::<Value>(message.get()) else {
        return message;
    };
    if !envelope::strip_message(&mut value) {
        return message;
    }
    serde_json::value::to_raw_value(&value).unwrap_or(message)
}

fn first_words(path: &std::path::Path) -> io::Result<Option<String>> {
    use std::io::Read;
    let mut head = BufReader::new(File::open(path)?.take(MAX_TITLE_READ as u64));
    let mut line = Vec::new();
    for _ in 0..MAX_TITLE_LINES {
        if !jsonl::read_line(&mut head, &mut line, MAX_TITLE_READ)? {
            break;
        }
        let message = message_of(&line).filter(|raw| role_of(raw).as_deref() == Some("user"));
        let message: Option<Value> = message.and_then(|raw| serde_json::from_str(raw.get()).ok());
        if let Some(text) = message.and_then(|message| first_text(&message)) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// The text of a message's first text block.
fn first_text(message: &Value) -> Option<String> {
    let text = match message.get("content")? {
        Value::String(text) => text.trim(),
        Value::Array(blocks) => blocks
            .iter()
            .filter(|block| block.get("type").and_then(Value::as_str) != Some("thinking"))
            .filter_map(|block| block.get("text")?.as_str())
            .map(str::trim)
            .find(|text| !text.is_empty())?,
        _ => return None,
    };
    (!text.is_empty()).then(|| text.to_string())
}

/// At most `TITLE_CHARS`, cut at a word where one ends late enough.
fn shorten(text: &str) -> String {
    if text.chars().count() <= TITLE_CHARS {
        return text.into();
    }
    let cut: String = text.chars().take(TITLE_CHARS - 1).collect();
    let space = cut
        .rfind(' ')
        .filter(|at| cut[..*at].chars().count() > TITLE_CHARS * 6 / 10);
    format!("{}…", space.map_or(cut.as_str(), |at| &cut[..at]))
}

fn item(message: &Value, max_chars: usize) -> Option<Item> {
    let blocks = message.get("content").and_then(Value::as_array);
    let tool_names: Vec<&str> = blocks
        .into_iter()
        .flatten()
        .filter_map(|block| block.get("name")?.as_str())
        .chain(message.get("toolName").and_then(Value::as_str))
        .collect();
    let role = match message.get("role").and_then(Value::as_str) {
        _ if !tool_names.is_empty() => "tool",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some("system") => "system",
        Some("tool") => "tool",
        _ => "other",
    };
    let said = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        _ => {
            let texts: Vec<&str> = blocks
                .into_iter()
                .flatten()
                .filter_map(|block| block.get("text")?.as_str())
                .filter(|text| !text.trim().is_empty())
                .collect();
            texts.join("\n")
        }
    };
    let media = || {
        blocks?
            .iter()
            .filter_map(|block| block.get("type")?.as_str())
            .find(|kind| !matches!(*kind, "text" | "thinking" | "toolCall"))
            .map(|kind| format!("[{kind}]"))
    };
    let text = match said.trim() {
        "" if !tool_names.is_empty() => called(&tool_names),
        "" => media()?,
        text if role == "user" => envelope::strip(text).to_string(),
        text => text.to_string(),
    };
    Some(Item {
        role,
        text: clip(&text, max_chars),
    })
}

/// `call a, b +3`
fn called(names: &[&str]) -> String {
    const SHOWN: usize = 2;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => format!("call {shown}"),
        more => format!("call {shown} +{more}"),
    }
}

fn clip(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.into();
    }
    let cut: String = text.chars().take(max_chars - 3).collect();
    format!("{cut}...")
}
