//! Reading a transcript file into a `Conversation`, and the judgement whether it must be put right
//! first: malformed lines, a missing header, an old version.

use super::conversation::{Conversation, Id, branched, cost, read_message, summarised, user};
use super::record::{Kind, Place, VERSION};
use crate::base::jsonl;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Longest line read. Images are inline base64, so lines of some MiB are normal.
pub const MAX_LINE: usize = 64 * 1024 * 1024;

/// What a file needs before it may be appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Lines that are no JSON.
    Malformed,
    /// The first line is no header.
    NoHeader,
    /// An older version's layout.
    Old,
}

/// What one pass over the file found.
pub struct Scan {
    /// The header's id.
    pub header: Option<String>,
    pub fault: Option<Fault>,
    lines: Vec<Line>,
    leaf: Option<usize>,
    ids: Vec<Id>,
}

struct Line {
    offset: u64,
    size: usize,
    kind: Kind,
    /// Always an earlier line, so a walk ends.
    parent: Option<usize>,
    /// Index in `ids`.
    id: usize,
    first_kept: Option<Id>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default = "first_version")]
    version: u64,
}

fn first_version() -> u64 {
    1
}

/// Reads every line of `file` once.
pub fn scan(file: &File) -> io::Result<Scan> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut scan = Scan {
        header: None,
        fault: None,
        lines: Vec::new(),
        leaf: None,
        ids: Vec::new(),
    };
    let mut by_id: HashMap<Id, usize> = HashMap::new();
    let mut text = Vec::new();
    let mut offset = 0;
    let mut first = true;
    while jsonl::read_line(&mut reader, &mut text, MAX_LINE)? {
        let (start, size) = (offset, text.len());
        offset += size as u64 + 1;
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if std::mem::take(&mut first) {
            match serde_json::from_slice::<Header>(&text) {
                Ok(header) if header.kind == "session" => {
                    if header.version < VERSION {
                        scan.fault = Some(Fault::Old);
                    }
                    scan.header = Some(header.id);
                    continue;
                }
                _ => scan.fault = Some(Fault::NoHeader),
            }
        }
        let Ok(place) = serde_json::from_slice::<Place>(&text) else {
            if !is_json(&text) {
                scan.fault = scan.fault.or(Some(Fault::Malformed));
            }
            continue;
        };
        let kind = place.kind();
        let Some(id) = place.id.map(Id::from) else {
            continue;
        };
        let parent = match place.parent_id {
            // Written by chat.inject of the original: it continues what was there.
            None => scan.leaf,
            Some(None) => None,
            Some(Some(parent)) => by_id.get(parent.as_str()).copied(),
        };
        let at = scan.lines.len();
        scan.lines.push(Line {
            offset: start,
            size,
            kind,
            parent,
            id: scan.ids.len(),
            first_kept: place.first_kept_entry_id.map(Id::from),
        });
        scan.ids.push(id.clone());
        by_id.insert(id, at);
        scan.leaf = Some(at);
    }
    if offset == 0 {
        scan.fault = Some(Fault::NoHeader);
    }
    Ok(scan)
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

impl Scan {
    /// Parses what the model is to see.
    pub fn conversation(&self, file: &File) -> io::Result<Conversation> {
        let mut talk = Conversation::default();
        for id in &self.ids {
            talk.seen.insert(id);
        }
        let path = self.path();
        let mut reader = BufReader::new(file);
        let latest = |kind: Kind| path.iter().rposition(|at| self.lines[*at].kind == kind);
        let compaction = latest(Kind::Compaction);
        let snapshot = latest(Kind::ModelSnapshot);
        let level = latest(Kind::ThinkingLevel);
        // Before the compaction only what it keeps counts.
        let kept = compaction.map_or(0, |at| self.kept_from(&path, at));
        let mut at_file = 0;
        for (step, &at) in path.iter().enumerate() {
            let line = &self.lines[at];
            let id = &self.ids[line.id];
            let special = Some(step) == compaction || Some(step) == snapshot || Some(step) == level;
            let shown = step >= kept && line.kind != Kind::Other && line.kind != Kind::Compaction;
            if !special && !shown {
                talk.pass(id.clone());
                continue;
            }
            let Some(body) = line.read(&mut reader, &mut at_file)? else {
                talk.pass(id.clone());
                continue;
            };
            let at_ms = body.at_ms();
            if Some(step) == compaction {
                // The summary stands before everything that is kept.
                let text = body.summary.as_deref().unwrap_or_default();
                let summary = summarised(text, at_ms);
                talk.chars += summary.chars();
                talk.messages.insert(0, summary);
                talk.ids.insert(0, id.clone());
                talk.bytes += cost(text.len());
                talk.compacted = Some(at_ms);
            }
            match line.kind {
                Kind::Message => {
                    let message = body.message.as_deref().map(RawValue::get);
                    match message.and_then(|text| read_message(text, at_ms)) {
                        Some(message) => talk.push(id.clone(), message, line.size),
                        None => talk.pass(id.clone()),
                    }
                    continue;
                }
                Kind::CustomMessage | Kind::BranchSummary => {
                    if let Some(message) = body.as_user(line.kind, at_ms) {
                        talk.push(id.clone(), message, line.size);
                    }
                }
                Kind::ModelSnapshot => {
                    talk.model_snapshot = body
                        .data
                        .and_then(|data| serde_json::from_str(data.get()).ok());
                }
                Kind::ThinkingLevel => talk.thinking_level = body.thinking_level,
                Kind::Compaction | Kind::Other => {}
            }
            talk.pass(id.clone());
        }
        Ok(talk)
    }

    /// From the root to the leaf.
    fn path(&self) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = self.leaf;
        while let Some(at) = next {
            path.push(at);
            next = self.lines[at].parent;
        }
        path.reverse();
        path
    }

    fn kept_from(&self, path: &[usize], compaction: usize) -> usize {
        let wanted = self.lines[path[compaction]].first_kept.as_ref();
        path[..compaction]
            .iter()
            .position(|at| Some(&self.ids[self.lines[*at].id]) == wanted)
            .unwrap_or(compaction)
    }
}

/// The parts of a line the conversation is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    message: Option<Box<RawValue>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    thinking_level: Option<String>,
    #[serde(default)]
    timestamp: Option<Value>,
}

impl Line {
    /// `None` for a line whose known fields have unknown forms.
    fn read(&self, reader: &mut BufReader<&File>, at: &mut u64) -> io::Result<Option<Body>> {
        if *at == 0 {
            reader.seek(SeekFrom::Start(self.offset))?;
        } else {
            reader.seek_relative((self.offset - *at) as i64)?;
        }
        let mut text = Vec::with_capacity(self.size);
        reader
            .by_ref()
            .take(self.size as u64)
            .read_to_end(&mut text)?;
        *at = self.offset + self.size as u64;
        Ok(serde_json::from_slice(&text).ok())
    }
}

impl Body {
    fn at_ms(&self) -> u64 {
        match &self.timestamp {
            Some(Value::String(text)) => text
                .parse::<jiff::Timestamp>()
                .ok()
                .and_then(|at| u64::try_from(at.as_millisecond()).ok())
                .unwrap_or(0),
            Some(value) => value.as_u64().unwrap_or(0),
            None => 0,
        }
    }

    fn as_user(&self, kind: Kind, at_ms: u64) -> Option<crate::wire::message::Message> {
        if kind == Kind::BranchSummary {
            return Some(branched(self.summary.as_deref()?, at_ms));
        }
        match self.content.as_ref()? {
            Value::String(text) => Some(user(text.clone(), at_ms)),
            blocks => {
                let message = serde_json::json!({
                    "role": "user", "content": blocks, "timestamp": at_ms
                });
                serde_json::from_value(message).ok()
            }
        }
    }
}
