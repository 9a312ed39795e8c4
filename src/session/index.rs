//! One `sessions.json` in memory: read when first needed and after every foreign write, written as
//! a whole.
//!
//! An update is in memory at once. What another program wrote in between is merged field by field:
//! a field we changed since our last write keeps our value, every other takes theirs.

use super::stamp::Stamp;
use super::{Entry, Error, guard, indent, key};
use crate::base::atomic::{self, Durability};
use crate::base::surrogate;
use crate::base::time;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest store that is read. 1,000 sessions with a long skills text each stay far below.
const MAX_STORE: u64 = 256 * 1024 * 1024;

/// A key and its entry.
pub type Named = (Arc<str>, Arc<Entry>);

pub struct Index {
    path: PathBuf,
    /// Our own lock file for this store.
    ours: PathBuf,
    /// The agent that keys without one belong to.
    agent: String,
    /// Held by whoever writes the file; taken before `state`.
    writer: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Vec<Named>,
    at: HashMap<Arc<str>, usize>,
    /// Values that are no entries; carried along.
    odd: Vec<(String, Box<RawValue>)>,
    /// The file as last read or written; the outer `None` before that.
    seen: Option<Option<Stamp>>,
    /// Changed since the last write, with the entry as the file has it.
    dirty: HashMap<Arc<str>, Option<Arc<Entry>>>,
    /// Our own write is replacing the file: a new stamp is no foreign one.
    writing: bool,
    /// The file that could not be parsed, and where its copy is.
    bad: Option<(Stamp, Option<PathBuf>)>,
}

/// What a change needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// In memory; to be written soon.
    Pending,
    /// On disk.
    Durable,
}

impl Index {
    pub fn new(path: PathBuf, ours: PathBuf, agent: String) -> Index {
        Index {
            path,
            ours,
            agent,
            writer: Mutex::new(()),
            state: Mutex::new(State::default()),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn get(&self, key: &str) -> Result<Option<Arc<Entry>>, Error> {
        Ok(self.fresh()?.get(key))
    }

    /// Every entry that passes `keep`.
    pub fn select(&self, mut keep: impl FnMut(&str, &Entry) -> bool) -> Result<Vec<Named>, Error> {
        let state = self.fresh()?;
        let picked = state.slots.iter().filter(|(key, entry)| keep(key, entry));
        Ok(picked.cloned().collect())
    }

    /// Changes one entry, creating it when missing. A new entry or session id is on disk when this
    /// returns; anything else is in memory.
    pub fn update(
        &self,
        key: &str,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(Arc<Entry>, Change), Error> {
        let (old, new) = {
            let mut state = self.fresh()?;
            let old = state.get(key);
            let mut entry = old.as_deref().cloned().unwrap_or_default();
            change(&mut entry);
            entry.updated_at = entry
                .updated_at
                .max(old.as_ref().and_then(|e| e.updated_at));
            if let Some(old) = old.as_ref().filter(|old| ***old == entry) {
                return Ok((old.clone(), Change::None));
            }
            let new = Arc::new(entry);
            state.set(key, Some(new.clone()));
            (old, new)
        };
        if old
            .as_ref()
            .is_some_and(|old| old.session_id == new.session_id)
        {
            return Ok((new, Change::Pending));
        }
        self.settle(key, old, Some(&new))?;
        Ok((new, Change::Durable))
    }

    /// Takes in the entries of another store that are not here or newer than here, and writes; how
    /// many those were.
    pub(super) fn adopt(&self, others: Vec<Named>) -> Result<usize, Error> {
        let mut taken = 0;
        {
            let mut state = self.fresh()?;
            for (key, entry) in others {
                let here = state.get(&key);
                if here.is_none_or(|here| here.updated_at < entry.updated_at) {
                    state.set(&key, Some(entry));
                    taken += 1;
                }
            }
        }
        self.write(Durability::Disk)?;
        Ok(taken)
    }

    /// Values of the file that are no entries.
    pub(super) fn odd(&self) -> Result<usize, Error> {
        Ok(self.fresh()?.odd.len())
    }

    /// Takes an entry away, on disk too.
    pub fn remove(&self, key: &str) -> Result<Option<Arc<Entry>>, Error> {
        let old = {
            let mut state = self.fresh()?;
            let Some(old) = state.get(key) else {
                return Ok(None);
            };
            state.set(key, None);
            old
        };
        self.settle(key, Some(old.clone()), None)?;
        Ok(Some(old))
    }

    /// Writes a change through; when that fails, the change did not happen.
    fn settle(
        &self,
        key: &str,
        old: Option<Arc<Entry>>,
        new: Option<&Arc<Entry>>,
    ) -> Result<(), Error> {
        self.write(Durability::Disk).inspect_err(|_| {
            let mut state = self.state();
            let same = match (state.get(key), new) {
                (Some(now), Some(new)) => Arc::ptr_eq(&now, new),
                (now, new) => now.is_none() && new.is_none(),
            };
            if same {
                state.set(key, old);
            }
        })
    }

    /// Writes pending changes, if any.
    pub fn write(&self, durability: Durability) -> Result<(), Error> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().dirty.is_empty() {
            return Ok(());
        }
        if let Some(dir) = self.path.parent() {
            atomic::create_private_dir(dir).map_err(Error::io("create", dir))?;
        }
        let _lock = guard::store(&self.path, &self.ours)?;
        let (slots, odd, dirty) = {
            let mut state = self.fresh()?;
            state.writing = true;
            (
                state.slots.clone(),
                state.odd.clone(),
                std::mem::take(&mut state.dirty),
            )
        };
        let text = render(&slots, &odd);
        let done = atomic::write_with(&self.path, &text, atomic::PRIVATE_FILE, durability)
            .and_then(|()| Stamp::of(&self.path));
        let mut state = self.state();
        state.writing = false;
        match done {
            Ok(stamp) => {
                state.seen = Some(stamp);
                Ok(())
            }
            Err(err) => {
                // Newer changes were made on top of the unwritten ones; the older base counts.
                state.dirty.extend(dirty);
                Err(Error::io("write", &self.path)(err))
            }
        }
    }

    /// The state, read again first when the file is not the one we know.
    fn fresh(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.state();
        if !state.writing {
            let now = Stamp::of(&self.path).map_err(Error::io("read", &self.path))?;
            if state.seen != Some(now) {
                self.read(&mut state, now)?;
            }
        }
        Ok(state)
    }

    fn read(&self, state: &mut State, now: Option<Stamp>) -> Result<(), Error> {
        let corrupt = |copy: Option<PathBuf>, why: String| Error::Corrupt {
            path: self.path.clone(),
            copy,
            why,
        };
        if let (Some(stamp), Some((bad, copy))) = (now, &state.bad) {
            if stamp == *bad {
                return Err(corrupt(copy.clone(), "it did not change since".into()));
            }
        }
        let text = match now {
            None => Vec::new(),
            Some(stamp) if stamp.size > MAX_STORE => {
                return Err(corrupt(None, format!("larger than {MAX_STORE} bytes")));
            }
            Some(_) => fs::read(&self.path).map_err(Error::io("read", &self.path))?,
        };
        let theirs = match self.parse(&text) {
            Ok(theirs) => theirs,
            Err(why) => {
                let copy = self.keep_copy(&text);
                state.bad = now.map(|stamp| (stamp, copy.clone()));
                return Err(corrupt(copy, why));
            }
        };
        let ours = std::mem::replace(state, theirs);
        state.seen = Some(now);
        for (key, base) in ours.dirty {
            let mine = ours.at.get(&key).map(|at| ours.slots[*at].1.clone());
            let theirs = state.get(&key);
            let merged = mine.map(|mine| merge(base.as_deref(), mine, theirs.as_deref()));
            state.set(&key, merged);
            state.dirty.insert(key, theirs);
        }
        Ok(())
    }

    fn parse(&self, text: &[u8]) -> Result<State, String> {
        let mut state = State::default();
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(state);
        }
        let mut blobs = Vec::new();
        for (name, raw) in entries(text)? {
            let parsed = serde_json::from_str::<Entry>(raw.get())
                .or_else(|_| serde_json::from_str(&surrogate::mend(raw.get())));
            let Ok(mut entry) = parsed else {
                log::warn!("{}: {name} is no session entry", self.path.display());
                state.odd.push((name, raw));
                continue;
            };
            entry.modernise();
            entry.share(&mut blobs);
            let key = key::fold_stored(&name, &self.agent);
            // Two spellings of one key: the newer entry counts, then the one that is spelled so.
            let other = state.get(&key).and_then(|other| other.updated_at);
            let tie = other == entry.updated_at && name == key;
            if other.is_none() || other < entry.updated_at || tie {
                state.put(&key, Some(Arc::new(entry)));
            }
        }
        Ok(state)
    }

    fn keep_copy(&self, text: &[u8]) -> Option<PathBuf> {
        let mut name = self.path.as_os_str().to_os_string();
        name.push(format!(".corrupt-{}", time::now_ms()));
        let copy = PathBuf::from(name);
        atomic::write(&copy, text).ok().map(|()| copy)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.at.get(key).map(|at| self.slots[*at].1.clone())
    }

    /// Sets or removes an entry and remembers what the file has.
    fn set(&mut self, key: &str, entry: Option<Arc<Entry>>) {
        let old = self.get(key);
        self.dirty.entry(key.into()).or_insert(old);
        self.put(key, entry);
    }

    fn put(&mut self, key: &str, entry: Option<Arc<Entry>>) {
        match (self.at.get(key).copied(), entry) {
            (Some(at), Some(entry)) => self.slots[at].1 = entry,
            (None, Some(entry)) => {
                let key: Arc<str> = key.into();
                self.at.insert(key.clone(), self.slots.len());
                self.slots.push((key, entry));
            }
            (Some(at), None) => {
                self.slots.remove(at);
                self.at.remove(key);
                for place in self.at.values_mut().filter(|place| **place > at) {
                    *place -= 1;
                }
            }
            (None, None) => {}
        }
    }
}

/// Keys and raw entries in file order. JSON5, as the original reads it, is tried second.
fn entries(text: &[u8]) -> Result<Vec<(String, Box<RawValue>)>, String> {
    struct Pairs(Vec<(String, Box<RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Pairs, D::Error> {
            struct Read;
            impl<'de> serde::de::Visitor<'de> for Read {
                type Value = Pairs;

                fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                    f.write_str("an object of sessions")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry()? {
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }
            from.deserialize_map(Read)
        }
    }
    match serde_json::from_slice::<Pairs>(text) {
        Ok(pairs) => Ok(pairs.0),
        Err(strict) => {
            let text = std::str::from_utf8(text).map_err(|err| err.to_string())?;
            let map: Map<String, Value> = json5::from_str(text).map_err(|_| strict.to_string())?;
            map.into_iter()
                .map(|(name, value)| Ok((name, serde_json::value::to_raw_value(&value)?)))
                .collect::<serde_json::Result<_>>()
                .map_err(|err| err.to_string())
        }
    }
}

/// The whole file: two-space indentation, no newline at the end.
fn render(slots: &[Named], odd: &[(String, Box<RawValue>)]) -> Vec<u8> {
    let mut compact = Vec::new();
    let mut out = Vec::new();
    let mut item = |name: &str, value: &dyn Fn(&mut Vec<u8>), out: &mut Vec<u8>| {
        out.extend_from_slice(if out.is_empty() { b"{\n  " } else { b",\n  " });
        compact.clear();
        serde_json::to_writer(&mut compact, name).expect("a string serialises");
        compact.push(b':');
        value(&mut compact);
        indent::pretty(&compact, 1, out);
    };
    for (key, entry) in slots {
        let write = |to: &mut Vec<u8>| {
            serde_json::to_writer(to, &**entry).expect("an entry is plain data");
        };
        item(key, &write, &mut out);
    }
    for (name, raw) in odd {
        item(
            name,
            &|to| to.extend_from_slice(raw.get().as_bytes()),
            &mut out,
        );
    }
    out.extend_from_slice(if out.is_empty() { b"{}" } else { b"\n}" });
    out
}

/// Our entry, with every field that only they changed since `base` taken from theirs.
fn merge(base: Option<&Entry>, mine: Arc<Entry>, theirs: Option<&Entry>) -> Arc<Entry> {
    let (Some(base), Some(theirs)) = (base, theirs) else {
        return mine;
    };
    if base == theirs {
        return mine;
    }
    let fields = |entry: &Entry| match serde_json::to_value(entry) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (base, ours, mut merged) = (fields(base), fields(&mine), fields(theirs));
    for name in base.keys().filter(|name| !ours.contains_key(*name)) {
        merged.shift_remove(name);
    }
    for (name, value) in &ours {
        if base.get(name) != Some(value) {
            merged.insert(name.clone(), value.clone());
        }
    }
    match serde_json::from_value::<Entry>(Value::Object(merged)) {
        Ok(mut entry) => {
            entry.updated_at = mine.updated_at.max(theirs.updated_at);
            Arc::new(entry)
        }
        Err(_) => mine,
    }
}
