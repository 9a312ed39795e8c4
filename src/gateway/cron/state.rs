//! The jobs in memory, as the file has them, and their times: what is marked, what is due, what
//! follows from a run's end and from what an earlier core left.

use super::alarm;
use super::run::{self, Ended, Left};
use crate::base::time::now_ms;
use crate::gateway::clock::Alarm;
use crate::gateway::core::Core;
use crate::schedule::next::{APART_MS, every};
use crate::schedule::{Book, Error, Store, job, runlog};
use crate::wire::gateway::cron::{Finished, Job, Schedule, Status};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a failure a job that runs once is tried again; then it is switched off.
const AGAIN_MS: [u64; 3] = [60_000, 5 * 60_000, 15 * 60_000];
/// A moment further away than the clock can count is looked at again after this.
const FAR: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct State {
    pub(super) enabled: bool,
    pub(super) max_runs: usize,
    /// Present once the file has been read.
    pub(super) store: Option<Store>,
    pub(super) book: Book,
    pub(super) running: HashMap<String, Running>,
    pub(super) alarm: Option<Alarm>,
    /// What both clocks showed when the alarm was set.
    pub(super) set_at: Option<(Instant, u64)>,
}

pub(super) struct Running {
    /// Of a job that waits for its moment within the run.
    pub(super) _wait: Option<Alarm>,
}

impl State {
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.book.jobs.iter().position(|job| job.id == id)
    }

    pub(super) fn is_running(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    pub(super) fn save(&mut self) -> Result<(), Error> {
        match &mut self.store {
            Some(store) => store.write(&self.book),
            None => Ok(()),
        }
    }

    /// Marks a job as running, in the file too.
    pub(super) fn begin(&mut self, at: usize, now: u64) -> Result<Job, Error> {
        let job = &mut self.book.jobs[at];
        job.state.running_at_ms = Some(now);
        let begun = job.clone();
        if let Err(err) = self.save() {
            self.book.jobs[at].state.running_at_ms = None;
            return Err(err);
        }
        self.running
            .insert(begun.id.clone(), Running { _wait: None });
        Ok(begun)
    }

    /// Sets the alarm at the job that is due first. With no room for one a run's end sets it.
    pub(super) fn arm(&mut self, core: &Arc<Core>) {
        let room = self.enabled && self.running.len() < self.max_runs.max(1);
        let waiting = self
            .book
            .jobs
            .iter()
            .filter(|job| job.enabled && !self.is_running(&job.id));
        let next = waiting
            .filter_map(|job| job.state.next_run_at_ms)
            .min()
            .filter(|_| room);
        let (now, shown) = (Instant::now(), now_ms());
        self.set_at = next.map(|_| (now, shown));
        self.alarm = next.map(|next| {
            let wait = Duration::from_millis(next.saturating_sub(shown));
            alarm(core, now.checked_add(wait).unwrap_or(now + FAR))
        });
    }

    /// Puts an end into the job (it may be gone by now) and the run log. True when the job goes.
    pub(super) fn settle(
        &mut self,
        id: &str,
        place: Option<usize>,
        at: u64,
        ended: Ended,
    ) -> (Finished, bool) {
        let now = now_ms();
        let duration = ended.timed.then(|| now.saturating_sub(at));
        let file = self.store.as_ref().map(|store| store.path().to_path_buf());
        let mut gone = false;
        let mut next_run_at_ms = None;
        if let Some(place) = place {
            let job = &mut self.book.jobs[place];
            job.updated_at_ms = at;
            job.state.running_at_ms = None;
            job.state.last_run_at_ms = Some(at);
            job.state.last_status = Some(ended.status);
            job.state.last_error = ended.error.clone();
            job.state.last_duration_ms = duration;
            gone = plan(job, &ended, now, file.as_deref());
            next_run_at_ms = job.state.next_run_at_ms;
            if gone {
                self.book.jobs.remove(place);
            }
        }
        let line = Finished {
            ts: now,
            job_id: id.into(),
            action: "finished".into(),
            status: Some(ended.status),
            error: ended.error,
            summary: ended.summary,
            run_at_ms: Some(at),
            duration_ms: duration,
            next_run_at_ms,
        };
        let written = file.map(|file| runlog::append(&file, &line));
        if let Some(Err(err)) = written {
            log::error!(target: "cron", "{err}");
        }
        (line, gone)
    }

    /// After reading the file: what became of marked runs, and when each job runs next. Runs that
    /// were missed are not made up for, but a moment that has passed is due.
    pub(super) fn recover(&mut self, core: &Arc<Core>) -> bool {
        let now = now_ms();
        let mut changed = false;
        let ids: Vec<String> = self.book.jobs.iter().map(|job| job.id.clone()).collect();
        for id in ids {
            let Some(place) = self.find(&id) else {
                continue;
            };
            if self.is_running(&id) {
                continue;
            }
            if let Some(at) = self.book.jobs[place].state.running_at_ms {
                changed = true;
                if self.resolve(core, place, at) {
                    continue;
                }
            }
            // It may have gone with its end.
            let Some(place) = self.find(&id) else {
                continue;
            };
            let job = &mut self.book.jobs[place];
            let next = planned(job, now);
            if job.state.next_run_at_ms != next {
                job.state.next_run_at_ms = next;
                changed = true;
            }
        }
        changed
    }

    /// A mark that an earlier core left. True when the job shall run again as it stands.
    fn resolve(&mut self, core: &Arc<Core>, place: usize, at: u64) -> bool {
        let job = self.book.jobs[place].clone();
        let file = self.store.as_ref().map(|store| store.path().to_path_buf());
        let last = file.and_then(|file| runlog::read(&file, &job.id, 1).ok()?.pop());
        match run::left(core, &job, at, last.as_ref()) {
            Left::Nothing => {
                log::info!(target: "cron", "{}: a run that never began begins again", job.id);
                self.book.jobs[place].state.running_at_ms = None;
                is_due(&job, now_ms())
            }
            Left::Told(line) => {
                let job = &mut self.book.jobs[place];
                job.state.running_at_ms = None;
                job.state.last_run_at_ms = Some(at);
                job.state.last_status = line.status;
                job.state.last_error = line.error;
                job.state.last_duration_ms = line.duration_ms;
                if job::moment(job).is_some() {
                    job.enabled &= line.next_run_at_ms.is_some();
                    job.state.next_run_at_ms = line.next_run_at_ms;
                    if line.status == Some(Status::Ok) && goes_when_done(job) {
                        self.book.jobs.remove(place);
                    }
                }
                false
            }
            Left::Untold(ended) => {
                log::warn!(target: "cron", "{}: {}", job.id, ended.error.as_deref().unwrap_or("ran"));
                self.settle(&job.id, Some(place), at, ended);
                false
            }
        }
    }
}

/// When a job runs after this end; true when it goes.
fn plan(job: &mut Job, ended: &Ended, now: u64, file: Option<&Path>) -> bool {
    let Some(moment) = job::moment(job) else {
        let next = job::next_run(job, now);
        job.state.next_run_at_ms = next.map(|next| next.max(now + APART_MS));
        return false;
    };
    let failures = |file| runlog::failures(file, &job.id, moment).unwrap_or(AGAIN_MS.len());
    let again = match ended.status {
        Status::Ok if goes_when_done(job) => return true,
        Status::Ok | Status::Skipped => None,
        // Forced before its time.
        Status::Error if moment > now => Some(moment),
        Status::Error if ended.again => {
            let wait = file.and_then(|file| AGAIN_MS.get(failures(file)));
            wait.map(|wait| now + wait)
        }
        Status::Error => None,
    };
    job.enabled &= again.is_some();
    job.state.next_run_at_ms = again.filter(|_| job.enabled);
    false
}

/// Of a job that runs once.
fn goes_when_done(job: &Job) -> bool {
    job.delete_after_run.unwrap_or(true)
}

/// When a job that has just been read runs next.
fn planned(job: &Job, now: u64) -> Option<u64> {
    if !job.enabled {
        return None;
    }
    let stored = job.state.next_run_at_ms;
    match &job.schedule {
        Schedule::At { .. } => {
            let moment = job::moment(job)?;
            let failed = job.state.last_status == Some(Status::Error);
            Some(
                stored
                    .filter(|next| failed && *next > moment)
                    .unwrap_or(moment),
            )
        }
        // It keeps its phase over a restart.
        Schedule::Every {
            every_ms,
            anchor_ms: None,
        } => {
            let stored = stored.filter(|next| *next <= now.saturating_add(*every_ms));
            Some(match stored {
                Some(next) if next > now => next,
                Some(next) => every(*every_ms, next, now),
                None => now.saturating_add(*every_ms),
            })
        }
        _ => job::next_run(job, now),
    }
}

pub(super) fn is_due(job: &Job, now: u64) -> bool {
    job.enabled && job.state.next_run_at_ms.is_some_and(|next| next <= now)
}
