//! What was heard and is not answered yet: a file each in `rs/channels/inbox/`, written before the
//! worker may forget the message and removed when its answer is in the outbox. And the names of those
//! that were: `rs/channels/seen.jsonl`, so that one told twice is answered once.

use super::super::spool::{self, Spooled};
use super::lock;
use crate::base::{atomic, jsonl};
use crate::config::Paths;
use crate::wire::channel::Inbound;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

/// Names remembered: a worker tells again only what was not acknowledged, a fraction of this.
const MAX_SEEN: usize = 5000;
/// Lines of the file before it is written anew.
const MAX_LINES: usize = 3 * MAX_SEEN;
/// Of a name that a service gives.
const MAX_NAME: usize = 4096;
/// Messages in memory that wait for their turn. More wait at their workers.
const MAX_WAITING: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// `kind/account`.
    pub account: String,
    pub message: Inbound,
    /// What was said in the group before it.
    #[serde(default)]
    pub missed: Vec<String>,
    /// Its sender may give commands.
    #[serde(default)]
    pub authorised: bool,
    /// Cores that died over it.
    #[serde(default)]
    pub tries: u32,
}

impl Record {
    pub fn name(&self) -> String {
        name(&self.account, &self.message.id)
    }
}

/// One message, on disk.
#[derive(Debug)]
pub struct Kept {
    pub record: Record,
    file: Spooled,
}

impl Kept {
    pub fn count_try(&mut self) -> io::Result<()> {
        self.record.tries += 1;
        self.file.replace(&self.record)
    }
}

#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    seen: HashSet<String>,
    order: VecDeque<String>,
    file: Option<File>,
    lines: usize,
    waiting: usize,
}

impl Inbox {
    pub fn has_seen(&self, account: &str, id: &str) -> bool {
        lock(&self.state).seen.contains(&name(account, id))
    }

    /// On disk when this returns.
    pub fn keep(&self, paths: &Paths, record: Record) -> io::Result<Kept> {
        let file = Spooled::write_firmly(&folder(paths).join("inbox"), &record)?;
        let mut state = lock(&self.state);
        state.remember(record.name());
        state.waiting += 1;
        Ok(Kept { record, file })
    }

    /// Its answer is on disk, or there is none.
    pub fn done(&self, paths: &Paths, kept: Kept) {
        let mut state = lock(&self.state);
        state.waiting = state.waiting.saturating_sub(1);
        if let Err(err) = state.note(paths, &kept.record.name()) {
            log::warn!("rs/channels/seen.jsonl: {err}");
        }
        drop(state);
        kept.file.done();
        self.room.notify_all();
    }

    /// It stays on disk for the next core.
    pub fn leave(&self, kept: Kept) {
        drop(kept);
        let mut state = lock(&self.state);
        state.waiting = state.waiting.saturating_sub(1);
        self.room.notify_all();
    }

    /// Blocks a worker while too many wait for their turns.
    pub fn wait_for_room(&self) {
        let mut state = lock(&self.state);
        while state.waiting >= MAX_WAITING {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What an earlier core left, oldest first.
    pub fn recover(&self, paths: &Paths) -> Vec<Kept> {
        let mut state = lock(&self.state);
        if let Err(err) = state.load(paths) {
            log::error!("rs/channels/seen.jsonl: {err}");
        }
        let left = spool::left(&folder(paths).join("inbox"));
        let mut found = Vec::new();
        for file in left {
            match file.read::<Record>() {
                Ok(record) => {
                    state.remember(record.name());
                    found.push(Kept { record, file });
                }
                Err(err) => log::error!("{} stays: {err}", file.path().display()),
            }
        }
        state.waiting += found.len();
        found
    }
}

impl State {
    fn remember(&mut self, name: String) {
        if !self.seen.insert(name.clone()) {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > MAX_SEEN {
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }

    fn load(&mut self, paths: &Paths) -> io::Result<()> {
        let path = folder(paths).join("seen.jsonl");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(err),
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while jsonl::read_line(&mut reader, &mut line, MAX_NAME * 2)? {
            self.lines += 1;
            // The last one may be torn.
            if let Ok(name) = serde_json::from_slice(&line) {
                self.remember(name);
            }
        }
        Ok(())
    }

    fn note(&mut self, paths: &Paths, name: &str) -> io::Result<()> {
        let path = folder(paths).join("seen.jsonl");
        self.lines += 1;
        if self.lines > MAX_LINES {
            let lines = self.order.iter().flat_map(jsonl::line);
            atomic::write(&path, &lines.collect::<Vec<u8>>())?;
            self.lines = self.order.len();
            self.file = None;
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                atomic::create_private_dir(&folder(paths))?;
                let is_name = |line: &[u8]| serde_json::from_slice::<String>(line).is_ok();
                none.insert(jsonl::open_append(&path, is_name)?)
            }
        };
        jsonl::append(file, &jsonl::line(&name))
    }
}

fn name(account: &str, id: &str) -> String {
    let id: String = id.chars().take(MAX_NAME / 4).collect();
    format!("{account} {id}")
}

pub fn folder(paths: &Paths) -> PathBuf {
    paths.ours().join("channels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_told_twice_is_known_also_by_a_later_core() {
        let dir = crate::base::id::temp_dir("inbox");
        let paths = Paths {
            state: dir.clone(),
            ..Paths::default()
        };
        let message = |id: &str| Record {
            account: "irc/a".into(),
            message: Inbound {
                id: id.into(),
                ..Inbound::default()
            },
            ..Record::default()
        };
        let inbox = Inbox::default();
        let answered = inbox.keep(&paths, message("1")).unwrap();
        let _killed = inbox.keep(&paths, message("2")).unwrap();
        inbox.done(&paths, answered);
        assert!(inbox.has_seen("irc/a", "1") && !inbox.has_seen("irc/b", "1"));
        let later = Inbox::default();
        let left = later.recover(&paths);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].record.message.id, "2");
        assert!(later.has_seen("irc/a", "1") && later.has_seen("irc/a", "2"));
        assert!(!later.has_seen("irc/a", "3"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
