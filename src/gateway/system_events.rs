//! Notes for the agent that wait for the next turn of a session: what happened meanwhile, one line
//! each.
//!
//! They are kept in `<state>/rs/system-events.json` until the transcript has them: a core that is
//! killed loses none. Dying between those two steps shows a note twice, never not at all. A file
//! that cannot be read is left aside and the log says so; one that cannot be written costs only the
//! survival of a kill.

use crate::base::atomic::{self, Durability};
use crate::base::time::now_ms;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The original's bound for a session; the oldest leave first.
const MAX_QUEUED: usize = 20;
/// Characters of one note; a longer one is cut.
const MAX_CHARS: usize = 4_000;
/// Sessions with notes at once; the one that has waited longest gives way. Notes for sessions that
/// nobody opens again must not fill the memory.
const MAX_SESSIONS: usize = 64;
/// Marks of deliveries remembered: those of the runs that one core can have open.
const MAX_MARKS: usize = 256;
/// Bytes of the file: what the bounds above allow, in JSON, with room.
const MAX_FILE: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemEvent {
    pub text: String,
    /// Milliseconds since 1970.
    pub ts: u64,
    /// Somebody wants the agent to see it: a heartbeat does not pass over it.
    #[serde(default)]
    pub wanted: bool,
}

pub struct SystemEvents {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, VecDeque<SystemEvent>>,
    /// Handed to turns whose message is not in a transcript yet.
    drawn: BTreeMap<u64, (String, Vec<SystemEvent>)>,
    next: u64,
    /// Names of deliveries that may happen once only, oldest first.
    marks: VecDeque<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    sessions: BTreeMap<String, VecDeque<SystemEvent>>,
    marks: VecDeque<String>,
}

/// Notes on their way into a turn's message. Dropped unused they wait again.
pub struct Drawn {
    events: Arc<SystemEvents>,
    id: u64,
    list: Vec<SystemEvent>,
}

impl SystemEvents {
    /// Takes over what an earlier core left in `folder`.
    pub fn open(folder: &Path) -> Arc<SystemEvents> {
        let file = folder.join("system-events.json");
        let File { sessions, marks } = read(&file).unwrap_or_default();
        let state = State {
            queues: sessions,
            marks,
            ..State::default()
        };
        Arc::new(SystemEvents {
            file,
            state: Mutex::new(state),
        })
    }

    /// Queues a note that the next turn may as well see.
    pub fn push(&self, key: &str, text: &str) {
        self.add(key, text, false, None);
    }

    /// Queues a note that somebody wants the agent to see.
    pub fn ask(&self, key: &str, text: &str) {
        self.add(key, text, true, None);
    }

    /// Like `ask`, but under `mark` only once, whatever happens in between.
    pub fn ask_once(&self, key: &str, text: &str, mark: &str) {
        self.add(key, text, true, Some(mark));
    }

    /// Whether the delivery called `mark` has happened.
    pub fn has_mark(&self, mark: &str) -> bool {
        self.lock().marks.iter().any(|known| known == mark)
    }

    /// The same note twice in a row counts once, a blank one not at all.
    fn add(&self, key: &str, text: &str, wanted: bool, mark: Option<&str>) {
        let text: String = text.trim().chars().take(MAX_CHARS).collect();
        let mut state = self.lock();
        if let Some(mark) = mark {
            if state.marks.iter().any(|known| known == mark) {
                return;
            }
            state.marks.push_back(mark.into());
            if state.marks.len() > MAX_MARKS {
                state.marks.pop_front();
            }
        }
        if !text.is_empty() {
            state.queue(key, text, wanted);
        }
        self.save(&state);
    }

    /// The texts that wait for a session, oldest first.
    pub fn peek(&self, key: &str) -> Vec<String> {
        let state = self.lock();
        let queue = state.queues.get(key).into_iter().flatten();
        queue.map(|event| event.text.clone()).collect()
    }

    /// A note waits that a heartbeat should not pass over.
    pub fn is_asked(&self, key: &str) -> bool {
        let state = self.lock();
        let mut queue = state.queues.get(key).into_iter().flatten();
        queue.any(|event| event.wanted)
    }

    /// Hands a session's notes to the turn that starts now; `None` when there are none.
    pub fn draw(self: &Arc<Self>, key: &str) -> Option<Drawn> {
        let mut state = self.lock();
        let list: Vec<SystemEvent> = state.queues.remove(key)?.into();
        let id = state.next;
        state.next += 1;
        state.drawn.insert(id, (key.into(), list.clone()));
        Some(Drawn {
            events: self.clone(),
            id,
            list,
        })
    }

    /// Under the lock, so that files follow one another as the changes did.
    fn save(&self, state: &State) {
        let mut sessions = state.queues.clone();
        for (key, list) in state.drawn.values() {
            let queue = sessions.entry(key.clone()).or_default();
            for event in list.iter().rev() {
                queue.push_front(event.clone());
            }
        }
        let file = File {
            sessions,
            marks: state.marks.clone(),
        };
        let bytes = serde_json::to_vec(&file).expect("notes are plain data");
        let (mode, durability) = (atomic::PRIVATE_FILE, Durability::PageCache);
        if let Err(err) = atomic::write_with(&self.file, &bytes, mode, durability) {
            log::error!("{}: notes are in memory only: {err}", self.file.display());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, key: &str, text: String, wanted: bool) {
        if !self.queues.contains_key(key) && self.queues.len() >= MAX_SESSIONS {
            let last = |queue: &VecDeque<SystemEvent>| queue.back().map_or(0, |e| e.ts);
            let stalest = self.queues.iter().min_by_key(|(_, queue)| last(queue));
            if let Some(key) = stalest.map(|(key, _)| key.clone()) {
                log::warn!("too many sessions have notes waiting: those of {key} are dropped");
                self.queues.remove(&key);
            }
        }
        let queue = self.queues.entry(key.into()).or_default();
        if let Some(last) = queue.back_mut().filter(|last| last.text == text) {
            last.wanted |= wanted;
            return;
        }
        if queue.len() == MAX_QUEUED {
            queue.pop_front();
        }
        let ts = now_ms();
        queue.push_back(SystemEvent { text, ts, wanted });
    }
}

impl Drawn {
    pub fn events(&self) -> &[SystemEvent] {
        &self.list
    }

    /// The message that carries them cannot be lost any more.
    pub fn used(self) {
        let mut state = self.events.lock();
        state.drawn.remove(&self.id);
        self.events.save(&state);
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let mut state = self.events.lock();
        // Gone already when they were used.
        if let Some((key, list)) = state.drawn.remove(&self.id) {
            let queue = state.queues.entry(key).or_default();
            for event in list.into_iter().rev() {
                if queue.len() < MAX_QUEUED {
                    queue.push_front(event);
                }
            }
        }
    }
}

fn read(file: &Path) -> Option<File> {
    let text = std::fs::File::open(file).and_then(|open| {
        let mut text = String::new();
        open.take(MAX_FILE).read_to_string(&mut text)?;
        Ok(text)
    });
    let why = match text {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(file) => return Some(file),
            Err(err) => err.to_string(),
        },
        Err(err) if err.kind() == io::ErrorKind::NotFound => return None,
        Err(err) => err.to_string(),
    };
    let aside = file.with_extension("json.damaged");
    log::error!(
        "{}: {why}; it is kept as {}",
        file.display(),
        aside.display()
    );
    if let Err(err) = std::fs::rename(file, &aside) {
        log::error!("{}: {err}", aside.display());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "agent:main:main";

    fn fresh() -> (Arc<SystemEvents>, PathBuf) {
        let dir = crate::base::id::temp_dir("notes");
        (SystemEvents::open(&dir), dir)
    }

    #[test]
    fn a_queue_is_bounded_and_drops_repeats_and_blanks() {
        let (events, dir) = fresh();
        events.push(MAIN, "a");
        events.ask(MAIN, "a");
        events.push(MAIN, "  ");
        assert_eq!(events.peek(MAIN), ["a"]);
        assert!(events.is_asked(MAIN));
        for i in 0..MAX_QUEUED {
            events.push(MAIN, &i.to_string());
        }
        let drawn = events.draw(MAIN).unwrap();
        assert_eq!(drawn.events().len(), MAX_QUEUED);
        drawn.used();
        assert!(events.peek(MAIN).is_empty() && events.draw(MAIN).is_none());
        for i in 0..MAX_SESSIONS + 3 {
            events.push(&format!("s{i}"), "x");
        }
        assert_eq!(events.lock().queues.len(), MAX_SESSIONS);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn notes_outlive_the_process_until_they_are_used() {
        let (events, dir) = fresh();
        events.push(MAIN, "one");
        events.push("agent:main:other", "elsewhere");
        let drawn = events.draw(MAIN).unwrap();
        events.push(MAIN, "two");
        // As after a kill: what was drawn is there again.
        let texts = |events: &SystemEvents| events.peek(MAIN);
        assert_eq!(texts(&SystemEvents::open(&dir)), ["one", "two"]);
        drop(drawn);
        assert_eq!(texts(&events), ["one", "two"]);
        events.draw(MAIN).unwrap().used();
        let later = SystemEvents::open(&dir);
        assert!(texts(&later).is_empty());
        assert_eq!(later.peek("agent:main:other"), ["elsewhere"]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_marked_note_is_queued_once_even_after_a_restart() {
        let (events, dir) = fresh();
        events.ask_once(MAIN, "tea", "job@1");
        events.draw(MAIN).unwrap().used();
        let later = SystemEvents::open(&dir);
        later.ask_once(MAIN, "tea", "job@1");
        assert!(later.peek(MAIN).is_empty() && later.has_mark("job@1"));
        assert!(!later.has_mark("job@2"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_damaged_file_is_kept_aside() {
        let dir = crate::base::id::temp_dir("notes");
        std::fs::write(dir.join("system-events.json"), "{oops").unwrap();
        let events = SystemEvents::open(&dir);
        events.push(MAIN, "a");
        let aside = std::fs::read(dir.join("system-events.json.damaged")).unwrap();
        assert_eq!(aside, b"{oops");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
