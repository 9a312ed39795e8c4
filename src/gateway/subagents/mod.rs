//! Sub-agents: runs that one session starts for a task and hears from when they end.
//!
//! Every one is a record in `subagents/runs.json` before it begins, and stays open there until the
//! message that tells its requester is on disk. What a killed core left open the next one closes:
//! it looks into the requester's transcript first, so each child is announced once, whatever
//! happens. Sessions of children go away an hour after, or at once where that was asked for. The
//! lock is held while the file is written, and never while a run begins or a session is read.

mod book;
mod telling;
mod words;

use super::core::Core;
use super::inside;
use super::ledger::INTERRUPTED;
use super::runs::Ended;
use super::sessions;
use super::turns::{ABORTED, NO_LIMIT};
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::time::now_ms;
use crate::session::ACTIVE_PATIENCE;
use book::{Book, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use book::Record;

/// Children of one session that have not ended: a model that starts tasks in a circle is stopped
/// here, long before the lanes are full.
const MAX_OPEN: usize = 64;
/// Records in all, ended ones too.
const MAX_RECORDS: usize = 1_000;
/// Characters of a task that are kept in its record; the child's transcript has all of it.
const MAX_TASK: usize = 4_000;
/// Of a label, as in every session.
const MAX_LABEL: usize = 64;
const ARCHIVE_MINUTES: u64 = 60;
/// Until a run is accepted that only has to be written down.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reads transcripts, whose lines may nest deeply, as the pool's threads do.
const STACK: usize = 1024 * 1024;

const STOPPED: &str = "stopped";

#[derive(Default)]
pub struct Subagents(Mutex<State>);

#[derive(Default)]
struct State {
    /// `None` until the first is needed.
    book: Option<Book>,
    /// Run ids whose end we will hear of.
    watched: BTreeSet<String>,
    /// Run ids that are being announced.
    telling: BTreeSet<String>,
    sweeping: bool,
    stopping: bool,
}

/// What `sessions_spawn` asks for; what may be asked is checked before.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    session_key: String,
    agent_id: String,
    task: String,
    label: Option<String>,
    model: Option<String>,
    thinking: Option<String>,
    timeout_seconds: Option<u64>,
    cleanup: String,
}

impl Subagents {
    /// Ends nothing and begins nothing from here on: the next core goes on.
    pub fn stop(&self) {
        self.lock().stopping = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn book(&mut self, core: &Core) -> &mut Book {
        self.book
            .get_or_insert_with(|| Book::open(&core.config.paths().state))
    }
}

/// Starts a child; the answer is the tool's.
pub fn spawn(core: &Arc<Core>, params: &Value) -> Result<Value, String> {
    let order = Order::deserialize(params).map_err(|err| err.to_string())?;
    let record = record(core, &order);
    let (run_id, child) = (record.run_id.clone(), record.child_session_key.clone());
    write_down(core, &record)?;
    let mut answer = json!({"status": "accepted", "childSessionKey": child, "runId": run_id});
    let begun =
        set_model(core, &order, &child, &mut answer).and_then(|()| begin(core, &order, &record));
    if let Err(why) = begun {
        // It may have begun although we were not told in time: then it goes on and is announced.
        if core.agents.runs.get(&run_id).is_none() {
            forget(core, &run_id, &child);
            return Ok(
                json!({"status": "error", "error": why, "childSessionKey": child,
                "runId": run_id}),
            );
        }
    }
    {
        let mut state = core.subagents.lock();
        let book = state.book(core);
        if let Some(record) = book.find(&run_id) {
            record.started_at = Some(now_ms());
            book.save_or_log();
        }
    }
    watch(core, &run_id);
    Ok(answer)
}

fn record(core: &Core, order: &Order) -> Record {
    let config = core.config.current();
    let minutes = config
        .value
        .pointer("/agents/defaults/subagents/archiveAfterMinutes")
        .and_then(Value::as_u64)
        .unwrap_or(ARCHIVE_MINUTES);
    let requester = core.agents.sessions.canonical(&order.session_key);
    let entry = core.agents.sessions.entry(&requester).ok().flatten();
    let origin = entry.and_then(|entry| entry.route().map(|route| route.into_owned()));
    let label: Option<String> = order
        .label
        .as_deref()
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .map(|label| label.chars().take(MAX_LABEL).collect());
    let now = now_ms();
    Record {
        run_id: id::uuid(),
        child_session_key: format!("agent:{}:subagent:{}", order.agent_id, id::uuid()),
        requester_session_key: requester.clone(),
        requester_origin: origin,
        requester_display_key: requester,
        task: order.task.chars().take(MAX_TASK).collect(),
        cleanup: order.cleanup.clone(),
        label,
        created_at: now,
        archive_at_ms: Some(now.saturating_add(minutes.saturating_mul(60_000))),
        ..Record::default()
    }
}

fn write_down(core: &Core, record: &Record) -> Result<(), String> {
    let mut state = core.subagents.lock();
    if state.stopping {
        return Err("the gateway is stopping".into());
    }
    let book = state.book(core);
    let open = book
        .records
        .iter()
        .filter(|r| r.ended_at.is_none() && r.requester_session_key == record.requester_session_key)
        .count();
    if open >= MAX_OPEN || book.records.len() >= MAX_RECORDS {
        return Err(format!(
            "too many sub-agents ({open} of this session are at work): wait for some to end"
        ));
    }
    book.records.push(record.clone());
    if let Err(err) = book.save() {
        book.records.pop();
        return Err(format!("the sub-agent cannot be written down: {err}"));
    }
    Ok(())
}

/// A model that is not known or not allowed is no reason not to begin; the answer says so.
fn set_model(
    core: &Arc<Core>,
    order: &Order,
    child: &str,
    answer: &mut Value,
) -> Result<(), String> {
    let Some(model) = &order.model else {
        return Ok(());
    };
    let patch = json!({"key": child, "model": model});
    let patched = inside::ask(core, "sessions.patch", patch).answer(PATIENCE, &Cancel::new());
    match patched {
        Ok(_) => answer["modelApplied"] = true.into(),
        Err(err) if err.message.contains("model") => {
            answer["modelApplied"] = false.into();
            answer["warning"] = err.message.into();
        }
        Err(err) => return Err(err.message),
    }
    Ok(())
}

fn begin(core: &Arc<Core>, order: &Order, record: &Record) -> Result<(), String> {
    let mut params = json!({
        "message": order.task,
        "sessionKey": record.child_session_key,
        "idempotencyKey": record.run_id,
        "deliver": false,
        "lane": crate::agent::lane::SUBAGENT,
        "extraSystemPrompt": words::brief(record),
        "timeout": order.timeout_seconds.unwrap_or(0),
        "spawnedBy": record.requester_session_key,
    });
    if let Some(label) = &record.label {
        params["label"] = label.as_str().into();
    }
    if let Some(level) = &order.thinking {
        params["thinking"] = level.as_str().into();
    }
    let accepted = inside::ask(core, "agent", params).answer(PATIENCE, &Cancel::new());
    accepted.map(drop).map_err(|err| err.message)
}

/// Takes back a child that never began.
fn forget(core: &Core, run_id: &str, child: &str) {
    let mut state = core.subagents.lock();
    let book = state.book(core);
    book.remove(run_id);
    book.save_or_log();
    drop(state);
    if let Err(err) = core.agents.sessions.delete(child, true) {
        log::warn!("{child}: {err}");
    }
}

/// Hears of the end of a child that is in flight.
fn watch(core: &Arc<Core>, run_id: &str) {
    if !core.subagents.lock().watched.insert(run_id.into()) {
        return;
    }
    let (again, name) = (core.clone(), run_id.to_string());
    let waiting = core.agents.runs.wait(run_id, NO_LIMIT, move |end| {
        again.subagents.lock().watched.remove(&name);
        // Nothing: the time is up, and the sweep looks again.
        if let Some(end) = end {
            ended(&again, &name, &end);
        }
    });
    if let Err(why) = waiting {
        log::warn!("sub-agent {run_id}: {why}");
        core.subagents.lock().watched.remove(run_id);
    }
}

/// Writes down what came of a child and tells its requester.
fn ended(core: &Arc<Core>, run_id: &str, end: &Ended) {
    let child = {
        let mut state = core.subagents.lock();
        if state.stopping {
            return;
        }
        let record = state.book(core).find(run_id);
        record.map(|record| record.child_session_key.clone())
    };
    let Some(child) = child else { return };
    let outcome = outcome(core, &child, end);
    let gone = {
        let mut state = core.subagents.lock();
        let book = state.book(core);
        let Some(record) = book.find(run_id) else {
            return;
        };
        if record.ended_at.is_none() {
            record.ended_at = Some(end.ended_at);
            record.outcome = Some(outcome);
        }
        let gone = record.cleanup_completed_at.is_some();
        book.save_or_log();
        gone
    };
    match gone {
        true => clean_up(core, run_id),
        false => announce(core, run_id, false),
    }
}

fn outcome(core: &Core, child: &str, end: &Ended) -> Outcome {
    let entry = core.agents.sessions.entry(child).ok().flatten();
    let cut_short = entry.is_some_and(|entry| entry.aborted_last_run == Some(true));
    match &end.error {
        Some(why) => Outcome::new("error", Some(why)),
        None if cut_short => Outcome::new("timeout", None),
        None => Outcome::new("ok", None),
    }
}

/// Tells the requester of an ended child, once. `look`: it may have been told already.
fn announce(core: &Arc<Core>, run_id: &str, look: bool) {
    let record = {
        let mut state = core.subagents.lock();
        if state.stopping || !state.telling.insert(run_id.into()) {
            return;
        }
        let found = state.book(core).find(run_id);
        let open = found.filter(|record| record.cleanup_completed_at.is_none());
        let record = open.map(|record| {
            record.cleanup_handled = true;
            record.clone()
        });
        if record.is_none() {
            state.telling.remove(run_id);
        }
        record
    };
    let Some(record) = record else { return };
    let known = (look && telling::was_told(core, &record)) || telling::has_left(core, &record);
    let told = match known {
        true => Ok(()),
        false => telling::tell(core, &record),
    };
    {
        let mut state = core.subagents.lock();
        state.telling.remove(run_id);
        let book = state.book(core);
        match (&told, book.find(run_id)) {
            (Ok(()), Some(record)) => {
                record.cleanup_completed_at = Some(now_ms());
                book.save_or_log();
            }
            (Err(why), _) => log::warn!("sub-agent {run_id} is announced later: {why}"),
            _ => {}
        }
    }
    if told.is_ok() && record.deletes() {
        clean_up_after(core, &record);
    }
}

/// Once the requester's turn is over: it may want to look into the child's session.
fn clean_up_after(core: &Arc<Core>, record: &Record) {
    let Some(run) = telling::run_of(core, record) else {
        return clean_up(core, &record.run_id);
    };
    let (again, name) = (core.clone(), record.run_id.clone());
    let waiting = core.agents.runs.wait(&run.id, NO_LIMIT, move |end| {
        if end.is_some() && !again.subagents.lock().stopping {
            clean_up(&again, &name);
        }
    });
    if let Err(why) = waiting {
        log::warn!("sub-agent {} is deleted later: {why}", record.run_id);
    }
}

/// Deletes the session and the record of a child that shall not be kept.
fn clean_up(core: &Arc<Core>, run_id: &str) {
    let child = {
        let mut state = core.subagents.lock();
        let record = state.book(core).find(run_id).filter(|r| r.deletes());
        record.map(|record| record.child_session_key.clone())
    };
    if let Some(child) = child {
        delete(core, run_id, &child);
    }
}

/// Takes a child's session away, and then its record; what fails is tried again by the sweep.
fn delete(core: &Core, run_id: &str, child: &str) {
    if !sessions::end_runs(core, child, ACTIVE_PATIENCE) {
        return log::warn!("{child} is still in use and stays for now");
    }
    if let Err(err) = core.agents.sessions.delete(child, true) {
        return log::warn!("{child}: {err}");
    }
    let mut state = core.subagents.lock();
    let book = state.book(core);
    book.remove(run_id);
    book.save_or_log();
}

/// The children of a session, the oldest first.
pub fn of(core: &Core, requester: &str) -> Vec<Record> {
    let mut state = core.subagents.lock();
    if state.book.is_none() && !book::path(&core.config.paths().state).exists() {
        return Vec::new();
    }
    let records = state.book(core).records.iter();
    let mut mine: Vec<Record> = records
        .filter(|record| record.requester_session_key == requester)
        .cloned()
        .collect();
    mine.sort_by_key(|record| record.created_at);
    mine
}

/// Stops the children of a session that are at work; nobody wants to hear of them any more. How
/// many there were.
pub fn stop_for(core: &Core, requester: &str) -> usize {
    let open = of(core, requester)
        .into_iter()
        .filter(|record| record.ended_at.is_none());
    open.filter(|record| stop(core, &record.run_id)).count()
}

/// Stops one; whether it was at work.
pub fn stop(core: &Core, run_id: &str) -> bool {
    {
        let mut state = core.subagents.lock();
        let book = state.book(core);
        let open = book.find(run_id).filter(|record| record.ended_at.is_none());
        let Some(record) = open else { return false };
        let now = now_ms();
        record.ended_at = Some(now);
        record.outcome = Some(Outcome::new("error", Some(STOPPED)));
        record.cleanup_handled = true;
        record.cleanup_completed_at = Some(now);
        book.save_or_log();
    }
    if let Some(run) = core.agents.runs.get(run_id) {
        core.agents.runs.abort(&core.clients, &run, "stop");
    }
    true
}

/// Goes on with what an earlier core left.
pub fn restore(core: &Arc<Core>) {
    if book::path(&core.config.paths().state).exists() {
        tend(core);
    }
}

/// Once a minute, on the main thread: it does not wait for a file.
pub fn sweep(core: &Arc<Core>) {
    let due = match core.subagents.0.try_lock() {
        Ok(state) => state
            .book
            .as_ref()
            .is_some_and(|book| !book.records.is_empty()),
        Err(_) => false,
    };
    if due {
        tend(core);
    }
}

fn tend(core: &Arc<Core>) {
    if std::mem::replace(&mut core.subagents.lock().sweeping, true) {
        return;
    }
    let again = core.clone();
    let thread = std::thread::Builder::new()
        .name("subagents".into())
        .stack_size(STACK)
        .spawn(move || {
            look_after(&again);
            again.subagents.lock().sweeping = false;
        });
    if let Err(err) = thread {
        log::error!("no thread for the sub-agents: {err}");
        core.subagents.lock().sweeping = false;
    }
}

fn look_after(core: &Arc<Core>) {
    let records: Vec<Record> = {
        let mut state = core.subagents.lock();
        state.book(core).records.clone()
    };
    let now = now_ms();
    for record in records {
        let id = &record.run_id;
        if record.ended_at.is_none() {
            if core.agents.runs.get(id).is_some() {
                watch(core, id);
            } else {
                ended(core, id, &end_of(core, id));
            }
        } else if record.cleanup_completed_at.is_none() {
            announce(core, id, true);
            let ended = record.ended_at.unwrap_or(now);
            if now.saturating_sub(ended) >= kept_for(&record) {
                give_up(core, id);
            }
        } else if record.deletes() {
            clean_up_after(core, &record);
        } else if is_old(core, &record, now) {
            delete(core, id, &record.child_session_key);
        }
    }
}

/// How a child ended that is not in flight: as the ledger has it, else with its core.
fn end_of(core: &Core, run_id: &str) -> Ended {
    let (say, heard) = crossbeam_channel::bounded(1);
    let asked = core.agents.runs.wait(run_id, Duration::ZERO, move |end| {
        // The receiver is there: the answer comes before `wait` returns.
        let _ = say.send(end);
    });
    let known = asked.ok().and_then(|()| heard.recv().ok()).flatten();
    let mut end = known.unwrap_or_else(|| Ended {
        started_at: None,
        ended_at: now_ms(),
        error: Some(INTERRUPTED.into()),
    });
    if end.error.as_deref() == Some(ABORTED) {
        end.error = Some(INTERRUPTED.into());
    }
    end
}

/// A requester that could not be told in the time a session is kept is not told any more.
fn give_up(core: &Core, run_id: &str) {
    let mut state = core.subagents.lock();
    let book = state.book(core);
    let Some(record) = book
        .find(run_id)
        .filter(|r| r.cleanup_completed_at.is_none())
    else {
        return;
    };
    log::error!(
        "{} was not told of its sub-agent {}; its session stays until it is deleted",
        record.requester_session_key,
        record.child_session_key
    );
    record.cleanup_completed_at = Some(now_ms());
    book.save_or_log();
}

/// Milliseconds that a child's session stays.
fn kept_for(record: &Record) -> u64 {
    let kept = record.archive_at_ms;
    kept.map_or(ARCHIVE_MINUTES * 60_000, |at| {
        at.saturating_sub(record.created_at)
    })
}

/// Past its time, and not used by anybody since.
fn is_old(core: &Core, record: &Record, now: u64) -> bool {
    let Some(at) = record.archive_at_ms else {
        return false;
    };
    let entry = core.agents.sessions.entry(&record.child_session_key);
    let used = entry.ok().flatten().and_then(|entry| entry.updated_at);
    now >= at && used.is_none_or(|used| now >= used.saturating_add(kept_for(record)))
}
