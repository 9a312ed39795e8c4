//! Messages for sessions that are busy: given to the running turn, or let wait for their own.
//!
//! Whatever waits is on disk first (`kept`), so a killed core loses none; in memory stand only the
//! words. A session's next batch starts when it has no run and was quiet for the debounce time.
//! The lock is held while a run is put in flight, so that of two messages at once one runs and the
//! other waits; nothing is done under it but to ask the registry of runs.

mod kept;
mod steering;

pub use kept::Record;
pub use steering::Steering;

use super::clock::Alarm;
use super::commands::Hints;
use super::core::Core;
use super::runs::{Kind, Run};
use super::sessions::{self, Touch};
use super::spool::Spooled;
use super::turns::{self, Start};
use crate::agent::inbound;
use crate::agent::queue::{Batch, Item, Mode, Overflow, Pushed, Queue, Settings, Wish};
use crate::base::id;
use crate::session::{Entry, Opening};
use crate::tool::approve::Sender;
use crate::wire::message::Block;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Waiting messages of all sessions: a runaway client must not fill the memory or the disk.
const MAX_WAITING: usize = 512;
/// Pictures of one batch, as of one message.
const MAX_IMAGES: usize = 20;
/// Until a session is looked at again that could not be opened, or for which no thread was free.
const RETRY: Duration = Duration::from_secs(5);
/// Cores that may die over a message; after that it is only written into its transcript.
const MAX_TRIES: u32 = 3;

#[derive(Default)]
pub struct Queues(Mutex<State>);

#[derive(Default)]
struct State {
    sessions: HashMap<String, Waiting>,
    closed: bool,
}

struct Waiting {
    queue: Queue<Load>,
    alarm: Option<Alarm>,
}

/// What of a waiting message is kept in memory besides its words.
#[derive(Debug)]
pub struct Load {
    kept: Spooled,
    shown_key: String,
    channel: String,
    watcher: Option<String>,
    sender: Option<Sender>,
    thinking: Option<&'static str>,
    hints: Hints,
}

/// How a new run finds its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A run of that id is in flight already.
    Known,
    Free,
    Busy,
}

impl State {
    fn session(&mut self, key: &str) -> &mut Queue<Load> {
        let waiting = self.sessions.entry(key.into());
        let waiting = waiting.or_insert_with(|| Waiting {
            queue: Queue::new(Instant::now()),
            alarm: None,
        });
        &mut waiting.queue
    }
}

impl Queues {
    /// Puts `run` in flight, and says whether its session was free until then.
    pub fn admit(&self, core: &Core, run: &Arc<Run>) -> Admission {
        let state = self.lock();
        let runs = &core.agents.runs;
        if !runs.begin(run) {
            return Admission::Known;
        }
        let waits = state.sessions.contains_key(&run.key);
        let others = runs.turns_of(&run.key);
        let mut others = others.iter().filter(|other| other.id != run.id);
        match waits || others.any(|other| !other.is_told() || other.steering.holds()) {
            true => Admission::Busy,
            false => Admission::Free,
        }
    }

    /// Messages that wait in a session.
    pub fn depth(&self, key: &str) -> usize {
        let state = self.lock();
        state.sessions.get(key).map_or(0, |w| w.queue.len())
    }

    /// Nothing starts any more; what waits stays on disk.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.sessions.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the session itself says of its queue.
pub fn wish(entry: &Entry) -> Wish {
    Wish {
        mode: entry.queue_mode.as_deref().and_then(Mode::parse),
        debounce_ms: entry.queue_debounce_ms,
        cap: entry.queue_cap,
        overflow: entry.queue_drop.as_deref().and_then(Overflow::parse),
    }
}

/// The rules of a session's queue for a message that has a `wish` of its own.
pub fn settings(core: &Core, key: &str, channel: &str, own: Wish) -> Settings {
    let entry = core.agents.sessions.entry(key).ok().flatten();
    let stored = entry.as_deref().map(wish).unwrap_or_default();
    let config = core.config.current();
    Settings::resolve(&config.value["messages"], Some(channel), &[own, stored])
}

/// Takes a message for a busy session by its mode (`Interrupt` is the caller's business). It is on
/// disk when this returns. The error is for people.
pub fn take(
    core: &Arc<Core>,
    record: &Record,
    watcher: Option<&str>,
    settings: &Settings,
) -> Result<(), String> {
    let steers = matches!(settings.mode, Mode::Steer | Mode::SteerBacklog);
    if steers && steer(core, record, watcher)? && settings.mode == Mode::Steer {
        return Ok(());
    }
    let item = item(core, record, watcher)?;
    push(core, &record.key, item, settings)?;
    kick(core, &record.key);
    Ok(())
}

fn item(core: &Core, record: &Record, watcher: Option<&str>) -> Result<Item<Load>, String> {
    let kept = kept::keep(core.config.paths(), record)
        .map_err(|err| format!("cannot keep the message until its turn: {err}"))?;
    Ok(of_record(kept, record, watcher))
}

fn of_record(kept: Spooled, record: &Record, watcher: Option<&str>) -> Item<Load> {
    Item {
        id: record.id.clone(),
        text: record.text.clone(),
        summary: record.words.clone(),
        route: record.route.clone(),
        load: Load {
            kept,
            shown_key: record.shown_key.clone(),
            channel: record.channel.clone(),
            watcher: watcher.map(String::from),
            sender: record.sender.clone(),
            thinking: record.thinking.as_deref().and_then(inbound::thinking_level),
            hints: record.hints.clone(),
        },
    }
}

/// Whether a running turn takes the message.
fn steer(core: &Core, record: &Record, watcher: Option<&str>) -> Result<bool, String> {
    let mut item = item(core, record, watcher)?;
    for run in core.agents.runs.turns_of(&record.key) {
        // Nobody reads what a heartbeat answers.
        if run.kind == Kind::Heartbeat {
            continue;
        }
        match run.steering.offer(item) {
            None => return Ok(true),
            Some(back) => item = back,
        }
    }
    item.load.kept.done();
    Ok(false)
}

fn push(core: &Core, key: &str, item: Item<Load>, settings: &Settings) -> Result<(), String> {
    let pushed = {
        let mut state = core.agents.queues.lock();
        let total: usize = state.sessions.values().map(|w| w.queue.len()).sum();
        if total >= MAX_WAITING {
            drop(state);
            item.load.kept.done();
            return Err(format!(
                "{MAX_WAITING} messages wait already; try again later"
            ));
        }
        state.session(key).push(item, settings, Instant::now())
    };
    match pushed {
        Pushed::Kept => {}
        Pushed::Instead(item) | Pushed::Known(item) => item.load.kept.done(),
        Pushed::Full(item) => {
            item.load.kept.done();
            return Err(format!(
                "{} messages wait in this session already (messages.queue.drop is \"new\"); \
                 try again when one has been answered",
                settings.cap
            ));
        }
    }
    Ok(())
}

/// Forgets what waits in a session, also for its running turn; how many messages that were.
pub fn clear(core: &Core, key: &str) -> usize {
    let waiting = core.agents.queues.lock().sessions.remove(key);
    let mut gone = waiting.map(|mut w| w.queue.clear()).unwrap_or_default();
    for run in core.agents.runs.turns_of(key) {
        gone.append(&mut run.steering.close());
    }
    let count = gone.len();
    for item in gone {
        item.load.kept.done();
    }
    count
}

/// Forgets one message that waits; false when none of that id does.
pub fn remove(core: &Core, key: &str, id: &str) -> bool {
    let item = {
        let mut state = core.agents.queues.lock();
        let Some(waiting) = state.sessions.get_mut(key) else {
            return false;
        };
        let item = waiting.queue.remove(id);
        if waiting.queue.is_empty() {
            state.sessions.remove(key);
        }
        item
    };
    let found = item.is_some();
    if let Some(item) = item {
        item.load.kept.done();
    }
    found
}

/// A turn ended: what it did not take any more waits for a turn of its own.
pub fn put_back(core: &Core, run: &Run) {
    // Under the lock, so that no later message finds the session free in between.
    let mut state = core.agents.queues.lock();
    let left = run.steering.close();
    if left.is_empty() || state.closed {
        return;
    }
    state.session(&run.key).put_back(left);
}

/// Sees to it that what waits in a session runs when its time has come. To be called whenever a
/// run of the session has ended.
pub fn kick(core: &Arc<Core>, key: &str) {
    plan(core, key, None);
}

fn plan(core: &Arc<Core>, key: &str, not_before: Option<Instant>) {
    let mut state = core.agents.queues.lock();
    let Some(waiting) = state.sessions.get_mut(key) else {
        return;
    };
    let due = waiting.queue.due();
    let due = not_before.map_or(due, |moment| due.max(moment));
    let (again, name) = (core.clone(), key.to_string());
    let alarm = core.agents.clock().at(due, move || {
        let (core, key) = (again.clone(), name.clone());
        // The files of the session must not keep the clock waiting.
        if again.pool.run(move || next(&core, &key)).is_err() {
            plan(&again, &name, Some(Instant::now() + RETRY));
        }
    });
    waiting.alarm = Some(alarm);
}

/// Starts a session's next batch, unless it is busy: then the end of its run brings us back.
fn next(core: &Arc<Core>, key: &str) {
    let verbose = sessions::verbose(core, key);
    let (batch, run) = {
        let mut state = core.agents.queues.lock();
        let busy = !core.agents.runs.turns_of(key).is_empty();
        let Some(waiting) = state.sessions.get_mut(key).filter(|_| !busy) else {
            return;
        };
        if waiting.queue.due() > Instant::now() {
            drop(state);
            return kick(core, key);
        }
        let batch = waiting.queue.take();
        if waiting.queue.is_empty() {
            state.sessions.remove(key);
        }
        let Some(batch) = batch else {
            return;
        };
        let last = &batch.items[batch.items.len() - 1].load;
        let mut run = Run::new(&id::uuid(), &last.shown_key, key, Kind::Chat);
        run.watcher.clone_from(&last.watcher);
        run.verbose = last.hints.verbose().unwrap_or(verbose);
        run.sender.clone_from(&last.sender);
        let run = Arc::new(run);
        core.agents.runs.begin(&run);
        (batch, run)
    };
    if let Err((batch, why)) = begin(core, &run, batch) {
        log::error!("queued messages of {key} wait longer: {why}");
        let mut state = core.agents.queues.lock();
        state.session(key).put_back(batch.items);
        drop(state);
        core.agents.runs.withdraw(&run);
        plan(core, key, Some(Instant::now() + RETRY));
    }
}

fn begin(
    core: &Arc<Core>,
    run: &Arc<Run>,
    batch: Batch<Load>,
) -> Result<(), (Batch<Load>, String)> {
    let channel = batch.items[0].load.channel.clone();
    let touched = sessions::touch(core, &run.key, Touch::Chat, |entry| {
        sessions::seat(entry, &channel);
    });
    let session_id = match touched {
        Ok(session_id) => session_id,
        Err(err) => return Err((batch, err.to_string())),
    };
    let mut images: Vec<Block> = Vec::new();
    let mut thinking = None;
    for item in &batch.items {
        match item.load.kept.read::<Record>() {
            Ok(record) => images.extend(record.images),
            Err(err) => log::error!("pictures of a queued message are lost: {err}"),
        }
        thinking = item.load.thinking.or(thinking);
    }
    // Of several answered together the last decides.
    let hints = batch.items[batch.items.len() - 1].load.hints.clone();
    images.truncate(MAX_IMAGES);
    let kept: Vec<Spooled> = batch.items.into_iter().map(|item| item.load.kept).collect();
    let run_id = run.id.clone();
    turns::start(
        core,
        Start {
            images,
            thinking,
            hints,
            channel: Some(channel),
            accept: Box::new(move || kept.into_iter().for_each(Spooled::done)),
            finish: Box::new(move |ending, accepted| {
                if let (Err(why), false) = (ending, accepted) {
                    // On disk still: the next core tries again.
                    log::error!("queued run {run_id} never began: {why}");
                }
            }),
            ..Start::new(core, run.clone(), session_id, batch.text)
        },
    );
    Ok(())
}

/// Before the first client is accepted: lets wait again what an earlier core left. It was
/// acknowledged, so no cap drops it.
pub fn recover(core: &Arc<Core>) {
    for (kept, record) in kept::left(core.config.paths()) {
        let sessions = &core.agents.sessions;
        let entry = sessions.entry(&record.key).ok().flatten();
        let Some(session_id) = entry.and_then(|entry| entry.session_id.clone()) else {
            log::error!("a message of {} has no session any more", record.key);
            kept.done();
            continue;
        };
        let config = core.config.current();
        let agent = sessions.agent_of(&record.key);
        let workspace = config.config.workspace(&agent, core.config.paths());
        let opening = Opening::new(&record.key, &session_id, &workspace);
        // The core may have died after its turn wrote it down. Its id makes the text its own.
        match sessions.has_said(&opening, &record.text) {
            Ok(false) => {}
            Ok(true) => {
                kept.done();
                continue;
            }
            Err(err) => log::error!("{err}"),
        }
        if record.tries > MAX_TRIES {
            give_up(core, &opening, kept, &record);
            continue;
        }
        let settings = settings(core, &record.key, &record.channel, Wish::default());
        let item = of_record(kept, &record, None);
        let mut state = core.agents.queues.lock();
        let queue = state.session(&record.key);
        queue.restore(item, &settings, Instant::now());
        drop(state);
        kick(core, &record.key);
    }
}

/// A message that cores die over: nobody answers it, but it was said.
fn give_up(core: &Core, opening: &Opening, kept: Spooled, record: &Record) {
    let message = steering::message(record);
    match core.agents.sessions.add(opening, message) {
        Ok(_) => {
            log::error!(
                "a message of {} was given up after {MAX_TRIES} tries",
                record.key
            );
            kept.done();
        }
        Err(err) => log::error!("a message of {} stays queued: {err}", record.key),
    }
}
