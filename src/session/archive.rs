//! Ending conversations: a new session under an old key, a session taken away, a transcript
//! shortened. Nothing is thrown away: old files stay or are renamed.

use super::{Entry, Error, Opening, Store};
use crate::base::{atomic, id, jsonl, time};
use serde_json::Value;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a running turn is waited for before its session is deleted or shortened.
pub const ACTIVE_PATIENCE: Duration = Duration::from_secs(15);

/// What `Store::shorten` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortened {
    NoSession,
    NoTranscript,
    /// Already that short: its number of lines.
    Kept(usize),
    Cut {
        /// Lines after the header.
        kept: usize,
        archived: PathBuf,
    },
}

impl Entry {
    /// What remains of an entry after sessions.reset: a new conversation with the user's settings.
    pub fn reset(&self, now_ms: u64) -> Entry {
        let old = self.clone();
        Entry {
            session_id: Some(id::uuid()),
            updated_at: Some(now_ms),
            system_sent: Some(false),
            aborted_last_run: Some(false),
            thinking_level: old.thinking_level,
            verbose_level: old.verbose_level,
            reasoning_level: old.reasoning_level,
            response_usage: old.response_usage,
            send_policy: old.send_policy,
            input_tokens: Some(0),
            output_tokens: Some(0),
            total_tokens: Some(0),
            model: old.model,
            context_tokens: old.context_tokens,
            label: old.label,
            origin: old.origin,
            last_channel: old.last_channel,
            last_to: old.last_to,
            skills_snapshot: old.skills_snapshot,
            ..Entry::default()
        }
    }

    /// A stale conversation, or `/new`: a new session id; what was set for the old talk is cleared,
    /// what belongs to the place stays.
    pub fn renew(&mut self, now_ms: u64) {
        self.session_id = Some(id::uuid());
        self.updated_at = Some(now_ms);
        self.session_file = None;
        self.system_sent = Some(false);
        self.aborted_last_run = Some(false);
        self.compaction_count = Some(0);
        for text in [
            &mut self.thinking_level,
            &mut self.verbose_level,
            &mut self.reasoning_level,
            &mut self.tts_auto,
            &mut self.response_usage,
            &mut self.provider_override,
            &mut self.model_override,
            &mut self.send_policy,
            &mut self.queue_mode,
            &mut self.queue_drop,
            &mut self.display_name,
            &mut self.chat_type,
            &mut self.group_id,
            &mut self.subject,
            &mut self.group_channel,
            &mut self.space,
        ] {
            *text = None;
        }
        self.queue_debounce_ms = None;
        self.queue_cap = None;
        self.memory_flush_compaction_count = None;
    }
}

impl Store {
    /// sessions.reset: the same key, a new conversation.
    pub fn reset(&self, key: &str) -> Result<Arc<Entry>, Error> {
        self.update(key, |entry| *entry = entry.reset(time::now_ms()))
    }

    /// sessions.delete: the entry goes, its transcript is renamed. Returns whether there was an
    /// entry, and the archived files.
    pub fn delete(
        self: &Arc<Store>,
        key: &str,
        with_transcript: bool,
    ) -> Result<(bool, Vec<PathBuf>), Error> {
        let Some(entry) = self.entry(key)? else {
            return Ok((false, Vec::new()));
        };
        let path = self.transcript_file(key, &entry);
        // Held over both steps, so that no run starts on a file that is being taken away.
        let _open = match (&path, entry.session_id.as_deref()) {
            (Some(_), Some(id)) => Some(self.open_transcript(&quiet(key, id))?),
            _ => None,
        };
        let mut archived = Vec::new();
        if let Some(path) = path.filter(|_| with_transcript) {
            let target = suffixed(&path, "deleted");
            fs::rename(&path, &target).map_err(Error::io("archive", &path))?;
            archived.push(target);
        }
        self.remove(key)?;
        Ok((true, archived))
    }

    /// sessions.compact: keeps the header and the last `max_lines` lines at most, from a point
    /// where a conversation can begin; the file as it was is archived.
    pub fn shorten(self: &Arc<Store>, key: &str, max_lines: usize) -> Result<Shortened, Error> {
        let Some(entry) = self.entry(key)? else {
            return Ok(Shortened::NoSession);
        };
        let Some(id) = entry.session_id.as_deref() else {
            return Ok(Shortened::NoSession);
        };
        let Some(path) = self.transcript_file(key, &entry) else {
            return Ok(Shortened::NoTranscript);
        };
        let _open = self.open_transcript(&quiet(key, id))?;
        let lines = read_lines(&path).map_err(Error::io("read", &path))?;
        if lines.len() <= max_lines + 1 {
            return Ok(Shortened::Kept(lines.len()));
        }
        let tail = &lines[lines.len() - max_lines..];
        let begin = tail.iter().position(|line| begins(line)).unwrap_or(0);
        let kept = &tail[begin..];
        let archived = suffixed(&path, "bak");
        let mut text = Vec::new();
        for line in std::iter::once(&lines[0]).chain(kept) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        fs::copy(&path, &archived).map_err(Error::io("archive", &path))?;
        atomic::write(&path, &text).map_err(Error::io("write", &path))?;
        // How full the context is now, only the next turn can tell.
        self.patch(key, |entry| {
            entry.input_tokens = None;
            entry.output_tokens = None;
            entry.total_tokens = None;
            entry.updated_at = Some(time::now_ms());
        })?;
        Ok(Shortened::Cut {
            kept: kept.len(),
            archived,
        })
    }
}

fn quiet<'a>(key: &'a str, id: &'a str) -> Opening<'a> {
    Opening {
        patience: ACTIVE_PATIENCE,
        ..Opening::new(key, id, Path::new("/"))
    }
}

fn read_lines(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while jsonl::read_line(&mut reader, &mut line, super::load::MAX_LINE)? {
        if !line.is_empty() {
            lines.push(line.clone());
        }
    }
    Ok(lines)
}

/// A user's message or a root: before it nothing is missed.
fn begins(line: &[u8]) -> bool {
    let Ok(line) = serde_json::from_slice::<Value>(line) else {
        return false;
    };
    line.pointer("/message/role").and_then(Value::as_str) == Some("user")
        || line.get("parentId") == Some(&Value::Null)
}

/// `<file>.<what>.2026-11-21T05-42-27.705Z`
fn suffixed(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{what}.{}", time::now_iso().replace(':', "-")));
    PathBuf::from(name)
}
