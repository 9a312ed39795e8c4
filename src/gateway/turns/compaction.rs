//! Compaction outside of a turn: after one that filled the model's window, and when a person asks
//! for it. It takes the session's place in the lanes like a turn, so that messages wait for it and
//! are not lost; it ends with the gateway.

use super::super::core::Core;
use super::super::models::Chain;
use super::tape::Tape;
use super::{default_timeout, text};
use crate::agent::compact::{self, Done, Failure, Room, Work};
use crate::agent::event::Event;
use crate::agent::lane::{self, After};
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::gateway::broadcast::Rules;
use crate::gateway::runs::Verbose;
use crate::gateway::sessions;
use crate::session::{Entry, Opening};
use crate::wire::gateway::agent as wire;
use crate::wire::gateway::chat::{self, Said};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Models asked for one summary at most.
const MAX_MODELS: usize = 3;

/// `agents.defaults.compaction.reserveTokensFloor`.
pub fn reserve(config: &Snapshot) -> Option<u64> {
    config
        .value
        .pointer("/agents/defaults/compaction/reserveTokensFloor")
        .and_then(serde_json::Value::as_u64)
}

/// The compactions under way, so that a stopping gateway can end them.
#[derive(Default)]
pub struct Upkeep(Mutex<Vec<Cancel>>);

impl Upkeep {
    pub fn cancel_all(&self) {
        for cancel in self.lock().iter() {
            cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cancel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After a turn whose last call took `used` tokens of `window`: summarises when that is too much,
/// so that the next message does not have to wait for it.
pub fn when_full(core: &Arc<Core>, key: &str, window: u64, used: u64) {
    let config = core.config.current();
    if Room::of(window, reserve(&config)).is_full(used) {
        start(core, key, Reason::Full, Box::new(|_| {}));
    }
}

/// A person asked for it (`/compact`). A turn of the session that runs is stopped first. `answer`
/// gets the sentence for the person, later, on a thread of the lanes.
pub fn ask(
    core: &Arc<Core>,
    key: &str,
    focus: Option<String>,
    answer: impl FnOnce(String) + Send + 'static,
) {
    for run in core.agents.runs.turns_of(key) {
        core.agents.runs.abort(&core.clients, &run, "compact");
    }
    let answer = move |done: Result<Done, String>| {
        answer(match done {
            Ok(done) => format!(
                "⚙️ Compacted ({} → {} tokens).",
                short(done.before),
                short(done.after)
            ),
            Err(why) => format!("⚙️ {why}"),
        });
    };
    start(core, key, Reason::Asked { focus }, Box::new(answer));
}

fn short(tokens: u64) -> String {
    match tokens {
        0..1000 => tokens.to_string(),
        _ => format!("{:.1}k", tokens as f64 / 1000.0),
    }
}

enum Reason {
    Full,
    Asked { focus: Option<String> },
}

type Answer = Box<dyn FnOnce(Result<Done, String>) + Send>;

/// Dropped unrun, it still answers.
struct Job {
    core: Arc<Core>,
    key: String,
    reason: Reason,
    cancel: Cancel,
    answer: Option<Answer>,
}

fn start(core: &Arc<Core>, key: &str, reason: Reason, answer: Answer) {
    let mut job = Job {
        core: core.clone(),
        key: key.into(),
        reason,
        cancel: Cancel::new(),
        answer: Some(answer),
    };
    let work = move || -> Option<After> {
        job.core.agents.upkeep.lock().push(job.cancel.clone());
        let done = job.work();
        job.forget();
        let answer = job.answer.take()?;
        Some(Box::new(move || answer(done)))
    };
    if let Err(refused) = core.agents.lanes.submit(key, lane::MAIN, Box::new(work)) {
        log::warn!("session {key} was not summarised: {refused}");
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(Err(
                "Compaction skipped: the gateway is busy or stopping.".into()
            ));
        }
    }
}

impl Job {
    fn forget(&self) {
        let mut all = self.core.agents.upkeep.lock();
        all.retain(|cancel| !cancel.is_same(&self.cancel));
    }

    /// The error is a sentence for a person.
    fn work(&self) -> Result<Done, String> {
        let core = &self.core;
        let config = core.config.current();
        let store = &core.agents.sessions;
        let failed = |why: String| format!("Compaction failed: {why}");
        let entry = store.entry(&self.key).map_err(|err| failed(text(err)))?;
        let nothing = "Compaction skipped: nothing to compact (session too small).";
        let entry = entry.ok_or(nothing)?;
        let session_id = entry.session_id.clone().ok_or(nothing)?;
        if store.transcript_file(&self.key, &entry).is_none() {
            return Err(nothing.into());
        }
        let agent_id = store.agent_of(&self.key);
        let workspace = config.config.workspace(&agent_id, core.config.paths());
        let opening = Opening::new(&self.key, &session_id, &workspace);
        let transcript = store.transcript(&opening).map_err(|e| failed(text(e)))?;
        let mut tape = Tape { transcript };
        let chain = Chain::of(&config, store.paths(), &agent_id, &entry, None).map_err(failed)?;
        let limit = Instant::now() + default_timeout(&config);
        let cancel = self.cancel.clone();
        let _limit = core.agents.clock().at(limit, move || cancel.cancel());
        let focus = match &self.reason {
            Reason::Asked { focus } => focus.as_deref(),
            Reason::Full => None,
        };
        let mut last = failed("no model is configured".into());
        for target in chain.targets.iter().take(MAX_MODELS) {
            let room = Room::of(target.context_window, reserve(&config));
            if matches!(self.reason, Reason::Full) && !is_full(&mut tape, room) {
                // A turn that came in between has done it.
                return Err("Compaction skipped: there is room.".into());
            }
            let run_id = id::uuid();
            self.tell(&run_id, 1, &Event::Compacting);
            let done = compact::run(
                &Work {
                    model: &*core.agents.model,
                    target,
                    session_id: &session_id,
                    cancel: &self.cancel,
                    room,
                    keep: room.keep,
                    focus,
                },
                &mut tape,
            );
            self.tell(&run_id, 2, &Event::Compacted { will_retry: false });
            match done {
                Ok(done) => {
                    self.note(&session_id, done);
                    return Ok(done);
                }
                Err(Failure::Nothing) => return Err(nothing.into()),
                Err(Failure::Cancelled) => return Err(failed("it was stopped".into())),
                Err(Failure::Broken(why)) => return Err(failed(why)),
                Err(Failure::Model(error)) => {
                    log::warn!("session {} was not summarised: {error}", self.key);
                    last = failed(error.user_text());
                    if error.class.failover().is_none() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// Counts it, and says so where people want to know.
    fn note(&self, session_id: &str, done: Done) {
        log::info!(
            "session {}: summarised, {} tokens before, {} after",
            self.key,
            done.before,
            done.after
        );
        let counted = self.core.agents.sessions.update(&self.key, |entry| {
            if entry.session_id.as_deref() == Some(session_id) {
                count(entry, 1);
                entry.total_tokens = Some(done.after);
            }
        });
        let entry = match counted {
            Ok(entry) => entry,
            Err(err) => return log::error!("session {} was not updated: {err}", self.key),
        };
        let asked = matches!(self.reason, Reason::Asked { .. });
        if asked || sessions::verbose(&self.core, &self.key) == Verbose::Off {
            return;
        }
        let said = complete(entry.compaction_count.unwrap_or(0));
        let event = chat::Event {
            run_id: &format!("compact-{}", id::short()),
            session_key: &self.key,
            seq: 0,
            state: "final",
            message: Some(Said::injected(&said, now_ms())),
            error_message: None,
            stop_reason: None,
        };
        self.core.clients.broadcast("chat", &event, Rules::ALL);
    }

    fn tell(&self, run_id: &str, seq: u64, event: &Event) {
        let payload = wire::Event {
            run_id,
            stream: event.stream(),
            data: event.data(false),
            session_key: Some(&self.key),
            seq,
            ts: now_ms(),
        };
        self.core.clients.broadcast("agent", &payload, Rules::ALL);
    }
}

fn is_full(tape: &mut Tape, room: Room) -> bool {
    use crate::agent::compact::Record;
    let made = tape.summary().map_or(0, |(_, at)| at);
    room.is_full(compact::tokens(tape.messages(), made))
}

/// The line for sessions that want to know what happens.
pub fn complete(count: u64) -> String {
    format!("🧹 Auto-compaction complete (count {count}).")
}

/// Counts `more` compactions of a session.
pub fn count(entry: &mut Entry, more: u64) {
    if more > 0 {
        entry.compaction_count = Some(entry.compaction_count.unwrap_or(0) + more);
    }
}
