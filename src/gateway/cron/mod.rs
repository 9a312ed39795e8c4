//! Cron jobs: kept in `cron/jobs.json`, started when they are due, and what came of them.
//!
//! One lock guards the jobs; it is held while the file is written and never while a job runs, so a
//! long run holds up no other call. A run is marked in the file before it begins and unmarked when
//! its line is in the run log. What a killed core left marked is looked at by the next one: a run
//! that had begun is written down as interrupted, one that had not begins again. So no job is lost
//! and none runs twice. One alarm stands at the job that is due first; without jobs there is none.

mod run;
mod state;

use super::broadcast::Rules;
use super::clock::Alarm;
use super::core::Core;
use crate::base::time::now_ms;
use crate::config::{Snapshot, paths};
use crate::schedule::{Book, Error, Store, job, runlog};
use crate::wire::gateway::cron::{CronStatus, Event, Finished, Job, NewJob, Patch};
use run::Outcome;
use state::{Running, State, is_due};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Jobs at most: a runaway agent that adds jobs must not fill the disk, and each change writes all.
const MAX_JOBS: usize = 1_000;
/// When nothing could be started (a full disk, many requests) it is tried again after this.
const RETRY: Duration = Duration::from_secs(10);
/// A wall clock that went this much astray from ours was set: alarms are reckoned anew.
const ASTRAY_MS: u64 = 2_000;

#[derive(Default)]
pub struct Cron {
    state: Mutex<State>,
    stopping: AtomicBool,
}

/// Why a job was not run that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRun {
    NotDue,
    Running,
}

/// Called when a run that somebody asked for is over.
type Then = Box<dyn FnOnce() + Send>;

/// A run that is under way. Dropped without an outcome it counts as failed.
struct Flight {
    core: Arc<Core>,
    id: String,
    at: u64,
    then: Option<Then>,
    over: bool,
}

impl Cron {
    /// Reads the jobs and sets the alarm, when there is a file.
    pub fn start(&self, core: &Arc<Core>) {
        let file = path(core, &core.config.current());
        if file.exists() {
            soon(core);
        }
    }

    /// Takes changed settings.
    pub fn reconfigure(&self, core: &Arc<Core>) {
        let file = path(core, &core.config.current());
        let mut state = self.lock();
        if state
            .store
            .as_ref()
            .is_some_and(|store| store.path() != file)
        {
            state.store = None;
            state.book = Book::default();
        }
        drop(state);
        self.start(core);
    }

    /// Once a minute: sees that somebody edited the file, or set the clock.
    pub fn sweep(&self, core: &Arc<Core>) {
        // The main thread asks: it does not wait for a file.
        let Ok(state) = self.state.try_lock() else {
            return;
        };
        let astray = state.set_at.is_some_and(|(then, shown)| {
            let passed = u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX);
            shown.saturating_add(passed).abs_diff(now_ms()) > ASTRAY_MS
        });
        let edited = match &state.store {
            Some(store) => store.is_stale(),
            None => path(core, &core.config.current()).exists(),
        };
        drop(state);
        if astray || edited {
            soon(core);
        }
    }

    /// Nothing starts from here on; what runs is told to end by whoever stops the turns.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn list(&self, core: &Arc<Core>, disabled: bool) -> Result<Vec<Job>, Error> {
        let state = self.ready(core)?;
        let jobs = state.book.jobs.iter();
        let mut jobs: Vec<Job> = jobs
            .filter(|job| disabled || job.enabled)
            .cloned()
            .collect();
        jobs.sort_by_key(|job| job.state.next_run_at_ms.unwrap_or(0));
        Ok(jobs)
    }

    pub fn status(&self, core: &Arc<Core>) -> Result<CronStatus, Error> {
        let state = self.ready(core)?;
        let planned = state.book.jobs.iter().filter(|job| job.enabled);
        let next = planned.filter_map(|job| job.state.next_run_at_ms).min();
        Ok(CronStatus {
            enabled: state.enabled,
            store_path: file(&state)?.to_string_lossy().into_owned(),
            jobs: state.book.jobs.len(),
            next_wake_at_ms: next.filter(|_| state.enabled),
        })
    }

    pub fn add(&self, core: &Arc<Core>, new: NewJob) -> Result<Job, Error> {
        let job = job::create(new, now_ms())?;
        let mut state = self.ready(core)?;
        if state.book.jobs.len() >= MAX_JOBS {
            return Err(Error::Full(MAX_JOBS));
        }
        state.book.jobs.push(job.clone());
        if let Err(err) = state.save() {
            state.book.jobs.pop();
            return Err(err);
        }
        state.arm(core);
        drop(state);
        tell(core, &changed(&job, "added"));
        Ok(job)
    }

    pub fn update(&self, core: &Arc<Core>, id: &str, patch: Patch) -> Result<Job, Error> {
        let mut state = self.ready(core)?;
        let at = state.find(id).ok_or_else(|| Error::UnknownJob(id.into()))?;
        let old = state.book.jobs[at].clone();
        let new = job::patched(&old, patch, now_ms())?;
        state.book.jobs[at] = new.clone();
        if let Err(err) = state.save() {
            state.book.jobs[at] = old;
            return Err(err);
        }
        state.arm(core);
        drop(state);
        tell(core, &changed(&new, "updated"));
        Ok(new)
    }

    /// False when there is none of that id. A run that is under way goes on.
    pub fn remove(&self, core: &Arc<Core>, id: &str) -> Result<bool, Error> {
        let mut state = self.ready(core)?;
        let Some(at) = state.find(id) else {
            return Ok(false);
        };
        let old = state.book.jobs.remove(at);
        if let Err(err) = state.save() {
            state.book.jobs.insert(at, old);
            return Err(err);
        }
        state.arm(core);
        drop(state);
        tell(core, &removed(id));
        Ok(true)
    }

    pub fn runs(&self, core: &Arc<Core>, id: &str, limit: usize) -> Result<Vec<Finished>, Error> {
        let file = file(&*self.ready(core)?)?.to_path_buf();
        runlog::read(&file, id, limit)
    }

    /// Runs a job now, if it is due or `force` is given; `then` is called when it is over.
    pub fn run(
        &self,
        core: &Arc<Core>,
        id: &str,
        force: bool,
        then: Then,
    ) -> Result<Result<(), NotRun>, Error> {
        let mut state = self.ready(core)?;
        let at = state.find(id).ok_or_else(|| Error::UnknownJob(id.into()))?;
        if state.running.contains_key(id) {
            return Ok(Err(NotRun::Running));
        }
        let now = now_ms();
        if !force && !is_due(&state.book.jobs[at], now) {
            return Ok(Err(NotRun::NotDue));
        }
        let job = state.begin(at, now)?;
        state.arm(core);
        drop(state);
        launch(core, job, now, Some(then));
        Ok(Ok(()))
    }

    /// Starts what is due, as far as there is room.
    fn tick(&self, core: &Arc<Core>) {
        let mut begun = Vec::new();
        let mut state = match self.ready(core) {
            Ok(state) => state,
            Err(err) => {
                log::error!(target: "cron", "{err}");
                return self.again(core);
            }
        };
        if !state.enabled || self.is_stopping() {
            return;
        }
        let now = now_ms();
        while state.running.len() < state.max_runs {
            let jobs = state.book.jobs.iter().enumerate();
            let due = jobs.filter(|(_, job)| is_due(job, now) && !state.is_running(&job.id));
            let first = due
                .min_by_key(|(_, job)| job.state.next_run_at_ms)
                .map(|(at, _)| at);
            let Some(first) = first else { break };
            match state.begin(first, now) {
                Ok(job) => begun.push(job),
                Err(err) => {
                    log::error!(target: "cron", "nothing is started: {err}");
                    drop(state);
                    self.again(core);
                    return launch_all(core, begun, now);
                }
            }
        }
        state.arm(core);
        drop(state);
        launch_all(core, begun, now);
    }

    fn again(&self, core: &Arc<Core>) {
        let mut state = self.lock();
        state.alarm = Some(alarm(core, Instant::now() + RETRY));
    }

    /// Writes down what came of a run, and plans the next.
    fn finish(&self, core: &Arc<Core>, id: &str, at: u64, outcome: Outcome) {
        let mut state = self.lock();
        state.running.remove(id);
        let told = match (outcome, state.find(id)) {
            (Outcome::NotBegun, Some(place)) => {
                state.book.jobs[place].state.running_at_ms = None;
                None
            }
            (Outcome::NotBegun, None) => None,
            (Outcome::Ended(ended), place) => Some(state.settle(id, place, at, ended)),
        };
        if let Err(err) = state.save() {
            // The mark is still in the file and the line in the log: the next core sees both.
            log::error!(target: "cron", "{err}");
        }
        if self.is_stopping() {
            return;
        }
        // Fires at once when one has waited for room.
        state.arm(core);
        drop(state);
        if let Some((line, gone)) = told {
            tell(core, &finished(&line));
            if gone {
                tell(core, &removed(id));
            }
        }
    }

    /// Keeps the alarm of a run that waits.
    fn wait(&self, id: &str, alarm: Alarm) {
        let running = Running { _wait: Some(alarm) };
        let old = self.lock().running.insert(id.into(), running);
        drop(old);
    }

    /// The jobs, read from the file first when they are not in memory or somebody changed it.
    fn ready(&self, core: &Arc<Core>) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.lock();
        let snapshot = core.config.current();
        state.enabled = is_enabled(&snapshot) && !core.listen.embedded;
        state.max_runs = max_runs(&snapshot);
        let known = state.store.take();
        if known.as_ref().is_some_and(|store| !store.is_stale()) {
            state.store = known;
            return Ok(state);
        }
        let mut store = known.unwrap_or_else(|| Store::new(path(core, &snapshot)));
        let read = store.read();
        state.store = Some(store);
        match read {
            Ok(book) => state.book = book,
            // It stays stale: the next call tries again.
            Err(err) => return Err(err),
        }
        let changed = state.recover(core);
        if changed || state.book.changed {
            state.book.changed = false;
            state.save()?;
        }
        state.arm(core);
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn launch_all(core: &Arc<Core>, jobs: Vec<Job>, at: u64) {
    for job in jobs {
        launch(core, job, at, None);
    }
}

fn launch(core: &Arc<Core>, job: Job, at: u64, then: Option<Then>) {
    tell(
        core,
        &Event {
            job_id: &job.id,
            action: "started",
            run_at_ms: Some(at),
            ..Event::default()
        },
    );
    let flight = Flight {
        core: core.clone(),
        id: job.id.clone(),
        at,
        then,
        over: false,
    };
    run::execute(job, flight);
}

impl Flight {
    fn end(mut self, outcome: Outcome) {
        self.over = true;
        self.core
            .cron
            .finish(&self.core, &self.id, self.at, outcome);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.over {
            let lost = run::Ended::failed("the gateway had no room for the run");
            let outcome = Outcome::Ended(lost);
            self.core
                .cron
                .finish(&self.core, &self.id, self.at, outcome);
        }
        if let Some(then) = self.then.take() {
            then();
        }
    }
}

/// Has a pool thread look for what is due.
fn soon(core: &Arc<Core>) {
    let shared = core.clone();
    if core.pool.run(move || shared.cron.tick(&shared)).is_err() {
        core.cron.again(core);
    }
}

fn alarm(core: &Arc<Core>, when: Instant) -> Alarm {
    let weak = Arc::downgrade(core);
    core.agents.clock().at(when, move || {
        if let Some(core) = weak.upgrade() {
            soon(&core);
        }
    })
}

fn is_enabled(snapshot: &Snapshot) -> bool {
    let said = snapshot
        .value
        .pointer("/cron/enabled")
        .and_then(|v| v.as_bool());
    said.unwrap_or(true) && !snapshot.env.flag("OPENCLAW_SKIP_CRON")
}

fn max_runs(snapshot: &Snapshot) -> usize {
    let said = snapshot
        .value
        .pointer("/cron/maxConcurrentRuns")
        .and_then(|v| v.as_u64());
    said.and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1)
        .max(1)
}

fn path(core: &Core, snapshot: &Snapshot) -> PathBuf {
    let paths = core.config.paths();
    let said = snapshot
        .value
        .pointer("/cron/store")
        .and_then(|v| v.as_str());
    match said.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => paths::expand(text, &paths.home),
        None => paths.state.join("cron/jobs.json"),
    }
}

/// The job file of a state that is ready.
fn file(state: &State) -> Result<&Path, Error> {
    let store = state.store.as_ref();
    store
        .map(Store::path)
        .ok_or(Error::Rule("the job file is not read yet"))
}

fn tell(core: &Core, event: &Event) {
    core.clients.broadcast("cron", event, Rules::DROP);
}

fn changed<'a>(job: &'a Job, action: &'static str) -> Event<'a> {
    Event {
        job_id: &job.id,
        action,
        next_run_at_ms: job.state.next_run_at_ms,
        ..Event::default()
    }
}

fn removed(id: &str) -> Event<'_> {
    Event {
        job_id: id,
        action: "removed",
        ..Event::default()
    }
}

fn finished(line: &Finished) -> Event<'_> {
    Event {
        job_id: &line.job_id,
        action: "finished",
        status: line.status,
        error: line.error.as_deref(),
        summary: line.summary.as_deref(),
        run_at_ms: line.run_at_ms,
        duration_ms: line.duration_ms,
        next_run_at_ms: line.next_run_at_ms,
    }
}
