//! Commands of the agent, running and finished: the registry behind `exec` and `process`.
//!
//! One per core. Output arrives from the runner's reader thread and is kept here, bounded; whoever
//! waits for a command is woken. A command that its call did not wait for (a background session)
//! stays listed for its agent, and is kept some time after its end.

mod heir;
pub mod keys;
pub mod left;
pub mod output;
pub mod session;
pub mod slug;
pub mod tool;

use crate::base::cancel::Cancel;
use crate::config::Paths;
use crate::exec::{Client, Event};
use crate::session::parting;
use crate::wire::exec::{KEPT_OUTPUT, Run};
use session::{End, Session};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Commands running at once, of all agents.
const MAX_RUNNING: usize = 64;
/// Finished sessions kept, and bytes of output all of them keep.
const MAX_FINISHED: usize = 64;
const MAX_FINISHED_BYTES: usize = 2 * 1024 * 1024;
/// TERM to KILL.
const GRACE: Duration = Duration::from_millis(500);

pub struct Processes {
    client: Client,
    paths: Paths,
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Mutex<Vec<Session>>,
    changed: Condvar,
    on_exit: Box<dyn Fn(&Ended) + Send + Sync>,
}

/// A background session that ended, and whose agent wants to hear of it.
#[derive(Clone, Debug)]
pub struct Ended {
    pub session_id: String,
    pub agent_id: String,
    pub session_key: String,
    /// The system event: `Exec completed (delta-pi, code 0) :: done`.
    pub notice: String,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Exited,
    TimeUp,
    Cancelled,
}

impl Processes {
    /// `start_runner` is called before connecting to the tool runner and returns at once. `on_exit`
    /// hears of background sessions that ended; it is called from the runner's reader thread and
    /// must not block.
    pub fn new(
        paths: Paths,
        start_runner: Box<dyn Fn() + Send + Sync>,
        on_exit: Box<dyn Fn(&Ended) + Send + Sync>,
    ) -> Processes {
        let shared = Arc::new(Shared {
            sessions: Mutex::default(),
            changed: Condvar::new(),
            on_exit,
        });
        let (heirs, folder) = (shared.clone(), left::folder(&paths));
        let client = Client::new(paths.exec_sock(), start_runner).with_heir(move |kept| {
            let session = heir::read(kept, &folder)?;
            let id = heirs.adopt(session)?;
            let shared = heirs.clone();
            Some(Arc::new(move |event| shared.on_event(&id, event)))
        });
        Processes {
            client,
            paths,
            shared,
        }
    }

    /// Takes over what the core before this one has left running, and says of what is gone with it
    /// what that core wanted said: `words` are the files of all of it.
    pub fn take_over(&self, words: Vec<PathBuf>, said: impl Fn(&str, &str)) {
        if words.is_empty() {
            return;
        }
        // Connecting is enough: what is there is offered to us.
        if let Err(err) = self.client.enforces() {
            log::warn!("what was left running in the background is lost: {err}");
        }
        let goes_on = |word: &Path| {
            let sessions = self.shared.sessions();
            let mut marks = sessions.iter().filter_map(|session| session.mark.as_ref());
            marks.any(|mark| mark.is(word))
        };
        for word in words.into_iter().filter(|word| !goes_on(word)) {
            parting::say_one(&word, &said);
        }
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Starts a command and lists it. `run.id` is ours to choose; the session's id is returned.
    pub fn start(&self, mut session: Session, mut run: Run) -> Result<String, String> {
        let mut sessions = self.shared.sessions();
        sweep(&mut sessions);
        if sessions.iter().filter(|s| s.end.is_none()).count() >= MAX_RUNNING {
            return Err(format!(
                "{MAX_RUNNING} commands are running already. End one with the process tool first."
            ));
        }
        session.id = slug::new(|id| sessions.iter().any(|other| other.id == id));
        let id = session.id.clone();
        run.id.clone_from(&id);
        let backgrounded = session.backgrounded;
        sessions.push(session);
        drop(sessions);
        if backgrounded {
            self.mark(&id);
        }
        let (shared, name) = (self.shared.clone(), id.clone());
        let started = self
            .client
            .run(run, move |event| shared.on_event(&name, event));
        if let Err(err) = started {
            self.take(&id);
            return Err(err.to_string());
        }
        if backgrounded {
            self.keep(&id);
        }
        Ok(id)
    }

    /// Waits until the command ends, `until` comes or the run is cancelled. After it printed
    /// something, at most every `UPDATE_EVERY`, `look` sees the session, and `tell` gets what it
    /// made of it, outside our lock.
    pub fn wait<T>(
        &self,
        id: &str,
        until: Option<Instant>,
        cancel: &Cancel,
        look: impl Fn(&Session) -> T,
        tell: impl Fn(T),
    ) -> Wait {
        let shared = self.shared.clone();
        let _woken = cancel.on_cancel(move || {
            // Taking the lock makes sure the waiter is either before its check or asleep.
            drop(shared.sessions());
            shared.changed.notify_all();
        });
        let mut seen = 0;
        let mut last: Option<Instant> = None;
        let mut sessions = self.shared.sessions();
        loop {
            let Some(session) = sessions.iter().find(|session| session.id == id) else {
                return Wait::Exited;
            };
            let now = Instant::now();
            let quiet = last.map_or(Duration::ZERO, |at| {
                UPDATE_EVERY.saturating_sub(now.duration_since(at))
            });
            let news = session.output.total() > seen;
            if news && (quiet.is_zero() || session.end.is_some()) {
                seen = session.output.total();
                last = Some(now);
                let news = look(session);
                drop(sessions);
                tell(news);
                sessions = self.shared.sessions();
                continue;
            }
            if session.end.is_some() {
                return Wait::Exited;
            }
            if cancel.is_cancelled() {
                return Wait::Cancelled;
            }
            let mut pause = until.map(|until| until.saturating_duration_since(now));
            if pause.is_some_and(|left| left.is_zero()) {
                return Wait::TimeUp;
            }
            if session.output.total() > seen {
                pause = Some(pause.map_or(quiet, |left| left.min(quiet)));
            }
            sessions = match pause {
                Some(pause) => {
                    let woken = self.shared.changed.wait_timeout(sessions, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.shared.changed.wait(sessions);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Waits until the runner said whether the command started.
    pub fn wait_started(&self, id: &str, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut sessions = self.shared.sessions();
        loop {
            let known = sessions
                .iter()
                .find(|session| session.id == id)
                .is_none_or(|session| session.pid.is_some() || session.end.is_some());
            let left = until.saturating_duration_since(Instant::now());
            if known || left.is_zero() {
                return;
            }
            let woken = self.shared.changed.wait_timeout(sessions, left);
            sessions = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks at, or changes, one session. `None`: there is no such.
    pub fn with<T>(&self, id: &str, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut sessions = self.shared.sessions();
        sweep(&mut sessions);
        sessions
            .iter_mut()
            .find(|session| session.id == id)
            .map(look)
    }

    /// From now on a background session: listed, and its end is told. False when it ended already.
    pub fn background(&self, id: &str) -> bool {
        let running = |session: &mut Session| {
            session.backgrounded = session.end.is_none();
            session.backgrounded
        };
        let runs = self.with(id, running) == Some(true);
        if runs {
            self.mark(id);
            self.keep(id);
        }
        runs
    }

    /// Has the next core tell that it was left running. The disk may be slow, and the runner's
    /// reader thread needs the lock.
    fn mark(&self, id: &str) {
        let note = self.with(id, |session| left::word(session));
        let mut mark = note.and_then(|note| note.leave(&left::folder(&self.paths)));
        self.with(id, |session| {
            if session.end.is_none() {
                session.mark = mark.take();
            }
        });
        if let Some(mark) = mark {
            mark.forget();
        }
    }

    /// Has the command outlive this core.
    fn keep(&self, id: &str) {
        let known = self.with(id, |session| {
            (
                heir::note(session),
                session.output.last(KEPT_OUTPUT).to_string(),
            )
        });
        let Some((note, printed)) = known else { return };
        // It may have ended by itself meanwhile.
        if let Err(err) = self.client.keep(id, &note, &printed) {
            log::debug!("exec: keep {id}: {err}");
        }
    }

    /// Ends all that runs: no other core follows.
    pub fn end_all(&self) {
        let running: Vec<String> = {
            let sessions = self.shared.sessions();
            let running = sessions.iter().filter(|session| session.end.is_none());
            running.map(|session| session.id.clone()).collect()
        };
        for id in running {
            self.kill(&id);
        }
    }

    /// Forgets a session.
    pub fn take(&self, id: &str) -> Option<Session> {
        let mut sessions = self.shared.sessions();
        let at = sessions.iter().position(|session| session.id == id)?;
        let mut session = sessions.remove(at);
        drop(sessions);
        if let Some(mark) = session.mark.take() {
            mark.forget();
        }
        Some(session)
    }

    /// The background sessions of an agent, newest first.
    pub fn list<T>(&self, agent_id: &str, look: impl Fn(&Session) -> T) -> Vec<T> {
        let mut sessions = self.shared.sessions();
        sweep(&mut sessions);
        sessions
            .iter()
            .rev()
            .filter(|session| session.agent_id == agent_id && session.backgrounded)
            .map(look)
            .collect()
    }

    pub fn write(&self, id: &str, data: &[u8], eof: bool) -> Result<(), String> {
        self.client
            .write(id, data, eof)
            .map_err(|err| err.to_string())
    }

    /// Ends a command with all it started; its end comes as an event.
    pub fn kill(&self, id: &str) {
        // It may have ended by itself meanwhile: then there is nothing to do.
        if let Err(err) = self.client.kill(id, GRACE) {
            log::debug!("exec: kill {id}: {err}");
        }
    }

    /// Drops finished sessions that are past their time. The registry does it at every use; a
    /// gateway that is idle for long may call it to give the memory back.
    pub fn sweep(&self) {
        sweep(&mut self.shared.sessions());
    }
}

/// Least time between two partial results of a chatty command.
const UPDATE_EVERY: Duration = Duration::from_millis(100);

impl Shared {
    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a session of an earlier core; `None` when its id is another's by now.
    fn adopt(&self, session: Session) -> Option<String> {
        let mut sessions = self.sessions();
        if sessions.iter().any(|other| other.id == session.id) {
            return None;
        }
        let id = session.id.clone();
        log::info!("exec: {id} goes on: {}", session.name());
        sessions.push(session);
        Some(id)
    }

    fn on_event(&self, id: &str, event: Event) {
        let mut sessions = self.sessions();
        let Some(session) = sessions.iter_mut().find(|session| session.id == id) else {
            return;
        };
        match event {
            Event::Started { pid } => session.pid = Some(pid),
            Event::Output(bytes) => session.output.push(&bytes),
            Event::Refused(why) => {
                log::debug!("exec: input for {id} was not taken: {why}");
                session.stdin_open = false;
            }
            Event::Exited {
                code,
                signal,
                timed_out,
            } => session.finish(End::exited(code, signal, timed_out)),
            Event::Failed(why) => session.finish(End::failed(why)),
        }
        let ended = session.ended();
        let mark = session.mark.take_if(|_| session.end.is_some());
        if session.end.is_some() {
            sweep(&mut sessions);
        }
        drop(sessions);
        self.changed.notify_all();
        if let Some(ended) = ended {
            (self.on_exit)(&ended);
        }
        if let Some(mark) = mark {
            mark.forget();
        }
    }
}

fn sweep(sessions: &mut Vec<Session>) {
    let now = Instant::now();
    sessions.retain(|session| {
        let end = session.end.as_ref();
        end.is_none_or(|end| now.duration_since(end.at) < session.keep)
    });
    let (mut count, mut bytes) = (0, 0);
    let mut keep: Vec<bool> = sessions
        .iter()
        .rev()
        .map(|session| {
            // A session that is not in the background is being waited for: its call takes it.
            if session.end.is_none() || !session.backgrounded {
                return true;
            }
            count += 1;
            bytes += session.output.kept_bytes();
            count <= MAX_FINISHED && bytes <= MAX_FINISHED_BYTES
        })
        .collect();
    sessions.retain(|_| keep.pop().unwrap_or(true));
}
