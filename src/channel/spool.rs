//! A worker's journal: what was heard and the core does not have yet, what was sent lately, and how
//! far the service was read. One file in the account's folder, lines appended and synced, written
//! anew when it has grown; a torn last line is cut.
//!
//! Bounded: `is_full` says when nothing more is taken until the core has acknowledged something.

use crate::base::{atomic, jsonl};
use crate::wire::channel::{Event, Inbound, MAX_LINE, ToCore};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Messages the core has not taken: what comes in while a core restarts, many times over.
const MAX_WAITING: usize = 1000;
/// And bytes of them.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Sends remembered: more than a core hands over before it hears of the first.
const MAX_SENT: usize = 1000;
/// The file is written anew when it is larger than this and most of it is past.
const COMPACT_AT: u64 = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Heard(Box<Inbound>),
    Event(Box<Event>),
    Acked(String),
    Cursor(Value),
    Sent(String, Vec<String>),
}

/// What waits for the core.
#[derive(Clone, Debug)]
pub enum Told {
    Message(Box<Inbound>),
    Event(Box<Event>),
}

#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    size: u64,
    waiting: VecDeque<(Told, usize)>,
    bytes: usize,
    sent: VecDeque<(String, Vec<String>)>,
    cursor: Value,
}

impl Spool {
    pub fn open(path: &Path) -> io::Result<Spool> {
        let is_line = |bytes: &[u8]| serde_json::from_slice::<Line>(bytes).is_ok();
        let mut spool = Spool {
            path: path.into(),
            file: jsonl::open_append(path, is_line)?,
            size: 0,
            waiting: VecDeque::new(),
            bytes: 0,
            sent: VecDeque::new(),
            cursor: Value::Null,
        };
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        while jsonl::read_line(&mut reader, &mut line, 2 * MAX_LINE)? {
            spool.size += line.len() as u64 + 1;
            // Nobody but us writes there; a line that rots costs itself only.
            match serde_json::from_slice(&line) {
                Ok(known) => spool.apply(known, line.len()),
                Err(err) => log::error!("{}: a line is lost: {err}", path.display()),
            }
        }
        Ok(spool)
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING || self.bytes >= MAX_BYTES
    }

    /// On disk when this returns. False when it waits already.
    pub fn heard(&mut self, told: Told) -> io::Result<bool> {
        if self.place(told.id()).is_some() {
            return Ok(false);
        }
        self.add(told.into_line(), true)?;
        Ok(true)
    }

    /// The core has it; its place among those that waited. Losing this line only means that it is
    /// told once more.
    pub fn acked(&mut self, id: &str) -> io::Result<Option<usize>> {
        let place = self.place(id);
        self.add(Line::Acked(id.into()), false)?;
        if self.size > COMPACT_AT && self.size > 2 * self.bytes as u64 + COMPACT_AT / 2 {
            self.compact()?;
        }
        Ok(place)
    }

    pub fn read_to(&mut self, cursor: Value) -> io::Result<()> {
        self.add(Line::Cursor(cursor), false)
    }

    /// The service has taken a send: on disk before the core is told, so that the same send is
    /// never said twice.
    pub fn sent(&mut self, id: &str, message_ids: &[String]) -> io::Result<()> {
        self.add(Line::Sent(id.into(), message_ids.to_vec()), true)
    }

    /// What became of a send that the service took lately.
    pub fn outcome(&self, id: &str) -> Option<&[String]> {
        let found = self.sent.iter().rev().find(|(known, _)| known == id);
        found.map(|(_, ids)| ids.as_slice())
    }

    /// The one that many are older than.
    pub fn waiting(&self, place: usize) -> Option<&Told> {
        self.waiting.get(place).map(|(told, _)| told)
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.waiting.iter().position(|(told, _)| told.id() == id)
    }

    pub fn cursor(&self) -> &Value {
        &self.cursor
    }

    fn add(&mut self, line: Line, firmly: bool) -> io::Result<()> {
        let bytes = jsonl::line(&line);
        jsonl::append(&mut self.file, &bytes)?;
        if firmly {
            self.file.sync_data()?;
        }
        self.size += bytes.len() as u64;
        self.apply(line, bytes.len());
        Ok(())
    }

    fn apply(&mut self, line: Line, size: usize) {
        match line {
            Line::Heard(message) => self.wait(Told::Message(message), size),
            Line::Event(event) => self.wait(Told::Event(event), size),
            Line::Acked(id) => {
                if let Some((_, size)) = self.place(&id).and_then(|at| self.waiting.remove(at)) {
                    self.bytes -= size;
                }
            }
            Line::Cursor(cursor) => self.cursor = cursor,
            Line::Sent(id, ids) => {
                if self.sent.len() == MAX_SENT {
                    self.sent.pop_front();
                }
                self.sent.push_back((id, ids));
            }
        }
    }

    fn wait(&mut self, told: Told, size: usize) {
        if let Some(cursor) = told.cursor() {
            self.cursor = cursor.clone();
        }
        self.bytes += size;
        self.waiting.push_back((told, size));
    }

    fn compact(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (id, ids) in &self.sent {
            bytes.extend(jsonl::line(&Line::Sent(id.clone(), ids.clone())));
        }
        for (told, _) in &self.waiting {
            bytes.extend(jsonl::line(&told.clone().into_line()));
        }
        bytes.extend(jsonl::line(&Line::Cursor(self.cursor.clone())));
        atomic::write(&self.path, &bytes)?;
        self.file = jsonl::open_append(&self.path, |_| false)?;
        self.size = bytes.len() as u64;
        Ok(())
    }
}

impl Told {
    pub fn id(&self) -> &str {
        match self {
            Told::Message(message) => &message.id,
            Told::Event(event) => &event.id,
        }
    }

    fn cursor(&self) -> Option<&Value> {
        match self {
            Told::Message(message) => message.cursor.as_ref(),
            Told::Event(event) => event.cursor.as_ref(),
        }
    }

    fn into_line(self) -> Line {
        match self {
            Told::Message(message) => Line::Heard(message),
            Told::Event(event) => Line::Event(event),
        }
    }

    pub fn into_wire(self) -> ToCore {
        match self {
            Told::Message(message) => ToCore::Inbound(message),
            Told::Event(event) => ToCore::Event(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    fn message(id: &str) -> Told {
        Told::Message(Box::new(Inbound {
            id: id.into(),
            cursor: Some(id.into()),
            text: "x".repeat(1000),
            ..Inbound::default()
        }))
    }

    fn event(id: &str) -> Told {
        Told::Event(Box::new(Event {
            id: id.into(),
            ..Event::default()
        }))
    }

    fn ids(spool: &Spool) -> Vec<&str> {
        spool.waiting.iter().map(|(told, _)| told.id()).collect()
    }

    #[test]
    fn what_was_heard_waits_across_deaths_until_it_is_acknowledged() {
        let dir = temp_dir("spool");
        let path = dir.join("spool.jsonl");
        let mut spool = Spool::open(&path).unwrap();
        assert!(spool.heard(message("a")).unwrap());
        assert!(spool.heard(message("b")).unwrap());
        assert!(!spool.heard(message("a")).unwrap());
        assert_eq!(spool.acked("a").unwrap(), Some(0));
        assert_eq!(spool.acked("a").unwrap(), None);
        assert_eq!(spool.waiting(0).unwrap().id(), "b");
        assert!(spool.heard(event("r")).unwrap() && !spool.heard(event("r")).unwrap());
        spool.sent("s1", &["m".into()]).unwrap();
        drop(spool);
        // The power went in the middle of a line.
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"heard\":{\"id\":\"c\"");
        std::fs::write(&path, torn).unwrap();
        let spool = Spool::open(&path).unwrap();
        assert_eq!(ids(&spool), ["b", "r"]);
        assert_eq!(spool.cursor(), "b");
        assert_eq!(spool.outcome("s1"), Some(&["m".to_string()][..]));
        assert_eq!(spool.outcome("s2"), None);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_spool_that_nobody_empties_is_full_and_one_that_is_emptied_stays_small() {
        let dir = temp_dir("spool");
        let path = dir.join("spool.jsonl");
        let mut spool = Spool::open(&path).unwrap();
        for n in 0..MAX_WAITING {
            assert!(!spool.is_full());
            spool.apply(message(&n.to_string()).into_line(), 1000);
        }
        assert!(spool.is_full());
        let mut spool = Spool::open(&path).unwrap();
        for n in 0..600 {
            let id = n.to_string();
            spool.heard(message(&id)).unwrap();
            spool.acked(&id).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < COMPACT_AT + 2000);
        assert_eq!(spool.cursor(), "599");
        let spool = Spool::open(&path).unwrap();
        assert_eq!((ids(&spool).len(), spool.cursor()), (0, &"599".into()));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
