//! The write handle of a transcript. One run holds it; everybody else who has something to add
//! goes through the same file while the run lasts.
//!
//! A line is appended in one write and is in the page cache when `append` returns, so it survives
//! the death of this process; `finish_turn` sends it to the disk. The original writes nothing before
//! the first assistant message; we write the user's message before the model is asked. The price:
//! should the original run next on a file that has no assistant message yet, it starts it anew.

use super::cache::Cache;
use super::conversation::{self, Conversation, Id};
use super::guard::{self, LockFile, PATIENCE};
use super::load::{self, Fault};
use super::record::{self, Compaction, Spot};
use super::seen::Seen;
use super::stamp::Stamp;
use super::{Entry, Error, Store, key, link, repair};
use crate::base::{atomic, jsonl, time};
use crate::wire::message::{Message, StopReason};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Messages at the end of a transcript among which one is looked for that may be there already.
const RECENT: usize = 64;

/// Which transcript, and what a new one says of itself.
pub struct Opening<'a> {
    /// Canonical.
    pub key: &'a str,
    pub session_id: &'a str,
    /// The workspace.
    pub cwd: &'a Path,
    /// A message thread of a channel has a file of its own.
    pub thread_id: Option<&'a str>,
    /// How long to wait for another writer.
    pub patience: Duration,
}

impl<'a> Opening<'a> {
    pub fn new(key: &'a str, session_id: &'a str, cwd: &'a Path) -> Opening<'a> {
        Opening {
            key,
            session_id,
            cwd,
            thread_id: None,
            patience: PATIENCE,
        }
    }
}

/// The transcripts this process is writing, and the conversations it remembers.
#[derive(Default)]
pub struct Open {
    /// `None` while the file is being opened.
    tails: Mutex<HashMap<PathBuf, Option<Arc<Mutex<Tail>>>>>,
    closed: Condvar,
    cache: Cache,
}

/// The end of an open file, shared by the run and those who add to it meanwhile.
struct Tail {
    file: File,
    /// What it must be if nobody else writes.
    size: u64,
    leaf: Option<Id>,
    seen: Seen,
    open_calls: usize,
    /// Lines added beside the run that continue its chain; the run takes them in.
    arrivals: Vec<(Id, Message, usize)>,
}

/// A transcript open for writing. Dropping it lets the next writer in.
pub struct Transcript {
    store: Arc<Store>,
    path: PathBuf,
    tail: Arc<Mutex<Tail>>,
    talk: Conversation,
    is_new: bool,
    /// Released after the tail is gone.
    _lock: LockFile,
}

impl Store {
    /// Opens a session's transcript for a run: waits for other writers, repairs and migrates the
    /// file, creates it with a header when there is none, steps back over a message that was never
    /// answered.
    pub fn transcript(self: &Arc<Store>, opening: &Opening) -> Result<Transcript, Error> {
        let mut transcript = self.open_transcript(opening)?;
        transcript.talk.drop_unanswered();
        lock(&transcript.tail).leaf = transcript.talk.leaf.clone();
        transcript.close_calls()?;
        Ok(transcript)
    }

    pub(super) fn open_transcript(
        self: &Arc<Store>,
        opening: &Opening,
    ) -> Result<Transcript, Error> {
        let start = Instant::now();
        let path = self.transcript_path(opening);
        let open = &self.transcripts;
        let mut tails = lock(&open.tails);
        while tails.contains_key(&path) {
            let left = opening.patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(Error::TranscriptLocked {
                    path,
                    holder: Some(std::process::id()),
                });
            }
            let waited = open.closed.wait_timeout(tails, left);
            tails = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        tails.insert(path.clone(), None);
        drop(tails);
        let left = opening.patience.saturating_sub(start.elapsed());
        let result = self.open_file(opening, path.clone(), left);
        let mut tails = lock(&open.tails);
        match &result {
            Ok(transcript) => tails.insert(path, Some(transcript.tail.clone())),
            Err(_) => tails.remove(&path),
        };
        open.closed.notify_all();
        drop(tails);
        result
    }

    fn open_file(
        self: &Arc<Store>,
        opening: &Opening,
        path: PathBuf,
        patience: Duration,
    ) -> Result<Transcript, Error> {
        if let Some(dir) = path.parent() {
            atomic::create_private_dir(dir).map_err(Error::io("create", dir))?;
        }
        let _lock = guard::transcript(&path, patience)?;
        let known = Stamp::of(&path).map_err(Error::io("read", &path))?;
        let is_new = known.is_none_or(|stamp| stamp.size == 0);
        let cached = known.and_then(|stamp| self.transcripts.cache.take(&path, stamp));
        let (file, mut talk) = match cached {
            Some(talk) => (append_to(&path)?, talk),
            None if is_new => (create(&path, opening)?, Conversation::default()),
            None => read(&path, opening)?,
        };
        guard::hold(&file, &path, patience)?;
        if opening.key == key::main_key(&self.agent_of(opening.key)) {
            link::main(self.paths(), &self.agent_of(opening.key), &path);
        }
        let size = file.metadata().map_err(Error::io("read", &path))?.len();
        let tail = Tail {
            file,
            size,
            leaf: talk.leaf.clone(),
            seen: std::mem::take(&mut talk.seen),
            open_calls: talk.open_calls,
            arrivals: Vec::new(),
        };
        Ok(Transcript {
            store: self.clone(),
            path,
            tail: Arc::new(Mutex::new(tail)),
            talk,
            is_new,
            _lock,
        })
    }

    /// Where a session's transcript is or will be.
    fn transcript_path(&self, opening: &Opening) -> PathBuf {
        let agent = self.agent_of(opening.key);
        if let Some(thread) = opening.thread_id {
            let name = format!("{}-topic-{}.jsonl", opening.session_id, encode(thread));
            return self.folder(&agent).join(name);
        }
        let entry = self.entry(opening.key).ok().flatten();
        let entry = entry.filter(|e| e.session_id.as_deref() == Some(opening.session_id));
        entry
            .and_then(|entry| self.transcript_file(opening.key, &entry))
            .unwrap_or_else(|| {
                self.folder(&agent)
                    .join(format!("{}.jsonl", opening.session_id))
            })
    }

    /// The existing transcript of an entry: its `sessionFile`, beside the store, in the agent's
    /// folder, in the old layout's folder. A recorded path that is gone (a moved home) is passed
    /// over.
    pub fn transcript_file(&self, key: &str, entry: &Entry) -> Option<PathBuf> {
        let agent = self.agent_of(key);
        let named = entry.session_file.as_ref().map(PathBuf::from);
        let id = entry.session_id.as_deref().filter(|id| is_plain(id));
        let default = id.map(|id| format!("{id}.jsonl"));
        let beside = self.path(&agent).parent().map(Path::to_path_buf);
        let folders = [
            beside,
            Some(self.folder(&agent)),
            Some(self.paths().state.join("sessions")),
        ];
        let by_name = default
            .iter()
            .flat_map(|name| folders.iter().flatten().map(move |dir| dir.join(name)));
        named.into_iter().chain(by_name).find(|path| path.exists())
    }

    /// Adds a line for people to the end of a conversation (chat.inject); returns its id.
    pub fn inject(
        self: &Arc<Store>,
        key: &str,
        text: &str,
        label: Option<&str>,
    ) -> Result<String, Error> {
        let entry = self.entry(key)?.ok_or(Error::NoSession)?;
        let id = entry.session_id.as_deref().ok_or(Error::NoSession)?;
        if self.transcript_file(key, &entry).is_none() {
            return Err(Error::NoTranscript);
        }
        let text = match label {
            Some(label) => format!("[{label}]\n\n{text}"),
            None => text.to_string(),
        };
        let cwd = std::env::current_dir().unwrap_or_default();
        self.say(&Opening::new(key, id, &cwd), &text)
    }

    /// Adds words that no model said; creates the transcript when needed.
    pub fn say(self: &Arc<Store>, opening: &Opening, text: &str) -> Result<String, Error> {
        let mut message = conversation::spoken(
            text.into(),
            "openai-responses",
            "openclaw",
            "chat-inject",
            time::now_ms(),
        );
        message.stop_reason = StopReason::Injected;
        self.add(opening, Message::Assistant(message))
    }

    /// Records text that was sent to a chat outside a run; creates the transcript when needed.
    pub fn mirror(self: &Arc<Store>, opening: &Opening, text: &str) -> Result<String, Error> {
        let message = conversation::spoken(
            text.into(),
            "openai-responses",
            "openclaw",
            "delivery-mirror",
            time::now_ms(),
        );
        self.add(opening, Message::Assistant(message))
    }

    /// Appends one message beside or between runs.
    pub fn add(self: &Arc<Store>, opening: &Opening, message: Message) -> Result<String, Error> {
        let path = self.transcript_path(opening);
        loop {
            let tails = lock(&self.transcripts.tails);
            match tails.get(&path) {
                None => break,
                // Under the lock of the table, so that the run cannot end meanwhile.
                Some(Some(tail)) => return lock(tail).add_beside(&path, message),
                Some(None) => {
                    let waited = self.transcripts.closed.wait_timeout(tails, PATIENCE);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
        let mut transcript = self.open_transcript(opening)?;
        transcript.close_calls()?;
        transcript.append(message)
    }

    /// Adds a message that a dead process left behind, unless it is the end already.
    pub fn add_once(self: &Arc<Store>, opening: &Opening, message: Message) -> Result<(), Error> {
        let mut transcript = self.open_transcript(opening)?;
        let end = transcript.context().iter().rev().take(RECENT);
        if end.into_iter().any(|known| *known == message) {
            return Ok(());
        }
        transcript.close_calls()?;
        transcript.append(message).map(drop)
    }

    /// Whether one of the last messages of a transcript holds `text`.
    pub fn has_said(self: &Arc<Store>, opening: &Opening, text: &str) -> Result<bool, Error> {
        let mut transcript = self.open_transcript(opening)?;
        let end = transcript.context().iter().rev().take(RECENT);
        Ok(end.into_iter().any(|message| match message {
            Message::User(user) => user.content.text().contains(text),
            _ => false,
        }))
    }

    /// Forgets remembered conversations that no run used for a while.
    pub fn trim(&self) {
        self.transcripts.cache.trim();
    }
}

impl Tail {
    /// Appends the line `make` builds for a fresh id under the leaf.
    fn line(
        &mut self,
        path: &Path,
        make: impl FnOnce(Spot) -> Vec<u8>,
    ) -> Result<(Id, usize), Error> {
        let id = self.seen.draw();
        let line = make(Spot {
            id: &id,
            parent: self.leaf.as_deref(),
        });
        jsonl::append(&mut self.file, &line).map_err(Error::io("append to", path))?;
        self.size += line.len() as u64;
        Ok((id.into(), line.len()))
    }

    fn add_beside(&mut self, path: &Path, message: Message) -> Result<String, Error> {
        let (id, size) = self.line(path, |spot| record::message(spot, &message))?;
        // Between a tool call and its result nothing may stand in what the model reads: there the
        // line stays a side branch.
        if self.open_calls == 0 {
            self.leaf = Some(id.clone());
            self.arrivals.push((id.clone(), message, size));
        }
        Ok(id.into())
    }
}

impl Transcript {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file did not exist before: the run writes its model and thinking level first.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// What the model is to see, oldest first.
    pub fn context(&mut self) -> &[Message] {
        self.take_arrivals();
        &self.talk.messages
    }

    /// Characters of `context`.
    pub fn context_chars(&mut self) -> usize {
        self.take_arrivals();
        self.talk.chars
    }

    /// The line id of each message of `context`.
    pub fn context_ids(&mut self) -> &[Id] {
        self.take_arrivals();
        &self.talk.ids
    }

    /// The summary of the latest compaction, and when it was made.
    pub fn summary(&self) -> Option<(&str, u64)> {
        self.talk.summary()
    }

    /// `data` of the last `model-snapshot`.
    pub fn model_snapshot(&self) -> Option<&Value> {
        self.talk.model_snapshot.as_ref()
    }

    /// The last recorded thinking level.
    pub fn thinking_level(&self) -> Option<&str> {
        self.talk.thinking_level.as_deref()
    }

    /// Gives every tool call that never got a result one that says so: nobody runs it any more, and
    /// the model must not take it for done or for not begun.
    fn close_calls(&mut self) -> Result<(), Error> {
        for (id, name) in self.talk.unfinished() {
            self.append(conversation::interrupted(id, name))?;
        }
        Ok(())
    }

    /// Appends a message; returns its line id.
    pub fn append(&mut self, message: Message) -> Result<String, Error> {
        let (id, size) = self.line(|spot| record::message(spot, &message))?;
        self.talk.push(id.clone(), message, size);
        let mut tail = lock(&self.tail);
        tail.leaf = Some(id.clone());
        tail.open_calls = self.talk.open_calls;
        Ok(id.into())
    }

    pub fn append_model_change(&mut self, provider: &str, model: &str) -> Result<(), Error> {
        let (id, _) = self.line(|spot| record::model_change(spot, provider, model))?;
        self.pass(id);
        Ok(())
    }

    pub fn append_thinking_level(&mut self, level: &str) -> Result<(), Error> {
        let (id, _) = self.line(|spot| record::thinking_level(spot, level))?;
        self.talk.thinking_level = Some(level.into());
        self.pass(id);
        Ok(())
    }

    pub fn append_custom(&mut self, custom_type: &str, data: &Value) -> Result<(), Error> {
        let (id, _) = self.line(|spot| record::custom(spot, custom_type, data))?;
        if custom_type == record::MODEL_SNAPSHOT {
            self.talk.model_snapshot = Some(data.clone());
        }
        self.pass(id);
        Ok(())
    }

    /// Records a compaction; `context` is the shorter one afterwards.
    pub fn append_compaction(&mut self, compaction: &Compaction) -> Result<String, Error> {
        let (id, _) = self.line(|spot| record::compaction(spot, compaction))?;
        self.talk.compact(
            id.clone(),
            compaction.summary,
            compaction.first_kept,
            time::now_ms(),
        );
        self.pass(id.clone());
        Ok(id.into())
    }

    /// Has everything appended put on the disk, by the store's writer thread: the turn does not
    /// wait for the disk. Called once at the end of a turn.
    pub fn finish_turn(&mut self) -> Result<(), Error> {
        self.take_arrivals();
        self.store.sync_behind(&self.path);
        if let Some(dir) = self.path.parent().filter(|_| self.is_new) {
            self.store.sync_behind(dir);
        }
        Ok(())
    }

    fn line(&mut self, make: impl FnOnce(Spot) -> Vec<u8>) -> Result<(Id, usize), Error> {
        self.take_arrivals();
        lock(&self.tail).line(&self.path, make)
    }

    fn pass(&mut self, id: Id) {
        lock(&self.tail).leaf = Some(id.clone());
        self.talk.pass(id);
    }

    fn take_arrivals(&mut self) {
        let arrivals = std::mem::take(&mut lock(&self.tail).arrivals);
        for (id, message, size) in arrivals {
            self.talk.push(id, message, size);
        }
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        let open = &self.store.transcripts;
        let mut tails = lock(&open.tails);
        tails.remove(&self.path);
        let mut tail = lock(&self.tail);
        let mut talk = std::mem::take(&mut self.talk);
        for (id, message, size) in std::mem::take(&mut tail.arrivals) {
            talk.push(id, message, size);
        }
        talk.seen = std::mem::take(&mut tail.seen);
        // What another program wrote meanwhile is not in `talk`; then the size is another.
        let stamp = Stamp::of_file(&tail.file).ok();
        if let Some(stamp) = stamp.filter(|stamp| stamp.size == tail.size) {
            open.cache.put(&self.path, stamp, talk);
        }
        open.closed.notify_all();
    }
}

fn append_to(path: &Path) -> Result<File, Error> {
    jsonl::open_append(path, |_| false).map_err(Error::io("open", path))
}

fn create(path: &Path, opening: &Opening) -> Result<File, Error> {
    let mut file = append_to(path)?;
    let header = record::header(opening.session_id, opening.cwd, None);
    jsonl::append(&mut file, &header).map_err(Error::io("append to", path))?;
    Ok(file)
}

/// Reads an existing file, putting it right first where needed.
fn read(path: &Path, opening: &Opening) -> Result<(File, Conversation), Error> {
    let is_json = |tail: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(tail).is_ok();
    let failed = |err| Error::io("read", path)(err);
    let mut file = jsonl::open_append(path, is_json).map_err(Error::io("open", path))?;
    let mut scan = load::scan(&file).map_err(failed)?;
    if let Some(fault) = scan.fault {
        let copy = repair::repair(path, opening.session_id, opening.cwd)
            .map_err(Error::io("repair", path))?;
        let what = match fault {
            Fault::Malformed => "had malformed lines",
            Fault::NoHeader => "had no header",
            Fault::Old => "was of an older version",
        };
        log::warn!("{} {what}; copy in {}", path.display(), copy.display());
        file = append_to(path)?;
        scan = load::scan(&file).map_err(failed)?;
    }
    let talk = scan.conversation(&file).map_err(failed)?;
    Ok((file, talk))
}

/// An id that is a file name and nothing more.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && !id.contains('/') && id != "." && id != ".."
}

/// As JavaScript's `encodeURIComponent`.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
