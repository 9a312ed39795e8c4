//! The children other than the core: which run, which wait for their next start, which are asked
//! to go.

use super::drain::CHILD_GRACE;
use super::policy::{self, Backoff, Step, sooner};
use crate::base::sys::child::{self, Ending};
use crate::base::sys::signals::Signal;
use crate::wire::control::{ChildState, ToCore, Worker};
use std::io;
use std::time::Instant;

/// Most children at once; the core asks for one per channel account, model and tool runner.
const MAX_CHILDREN: usize = 256;

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    /// Changes the core has not been told of.
    changes: Vec<ToCore>,
    closing: bool,
}

struct Row {
    worker: Worker,
    pid: Option<u32>,
    started: Instant,
    /// When it is started next; with neither this nor a pid it stays down.
    next: Option<Instant>,
    /// Asked to go; killed at that time.
    kill_at: Option<Instant>,
    then: Then,
    backoff: Backoff,
    last_exit: Option<String>,
}

/// What follows the end of a child.
pub enum Then {
    Again,
    Replace(Worker),
    Forget,
}

impl Table {
    pub fn want(&mut self, mut wanted: Vec<Worker>, now: Instant) {
        if self.closing {
            return;
        }
        if wanted.len() > MAX_CHILDREN {
            log::error!(target: "supervisor", "{} children wanted, keeping {MAX_CHILDREN}", wanted.len());
            wanted.truncate(MAX_CHILDREN);
        }
        let steps = policy::compare(self.rows.iter().filter_map(Row::meant), &wanted);
        for step in steps {
            match step {
                Step::Stop(id) => self.part(&id, Then::Forget, now),
                Step::Replace(worker) => {
                    let id = worker.id.clone();
                    self.part(&id, Then::Replace(worker), now);
                }
                Step::Start(worker) => {
                    match self.rows.iter_mut().find(|r| r.worker.id == worker.id) {
                        // Still on its way out.
                        Some(row) => row.then = Then::Replace(worker),
                        None => self.rows.push(Row::new(worker, now)),
                    }
                }
            }
        }
    }

    /// Asks one to go, or lets go of one that is down.
    pub fn part(&mut self, id: &str, then: Then, now: Instant) {
        let Some(at) = self.rows.iter().position(|row| row.worker.id == id) else {
            return;
        };
        let row = &mut self.rows[at];
        if let Some(pid) = row.pid {
            if row.kill_at.is_none() {
                child::send(pid, Signal::Terminate);
                row.kill_at = Some(now + CHILD_GRACE);
            }
            row.then = then;
            return;
        }
        match then {
            Then::Replace(worker) => *row = Row::new(worker, now),
            Then::Again | Then::Forget => {
                let row = self.rows.remove(at);
                self.changes.push(row.report(ChildState::Stopped, now));
            }
        }
    }

    /// Starts what is due and kills what is overdue.
    pub fn due(&mut self, now: Instant, mut start: impl FnMut(&Worker) -> io::Result<u32>) {
        for row in &mut self.rows {
            if let (Some(pid), Some(_)) = (row.pid, row.kill_at.filter(|at| *at <= now)) {
                log::warn!(target: "supervisor", "{}: still there after its grace, killed", row.worker.id);
                child::send_group(pid, Signal::Kill);
                row.kill_at = None;
            }
            if row.next.is_none_or(|at| at > now) {
                continue;
            }
            row.next = None;
            row.started = now;
            match start(&row.worker) {
                Ok(pid) => {
                    log::debug!(target: "supervisor", "{}: started, pid {pid}", row.worker.id);
                    row.pid = Some(pid);
                    self.changes.push(row.report(ChildState::Running, now));
                }
                Err(err) => {
                    row.last_exit = Some(format!("cannot start: {err}"));
                    let delay = row.backoff.ended(std::time::Duration::ZERO);
                    log::warn!(target: "supervisor", "{}: cannot start: {err}; next try in {delay:?}", row.worker.id);
                    row.next = Some(now + delay);
                    self.changes.push(row.report(ChildState::Backoff, now));
                }
            }
        }
    }

    /// A child ended. `Some` with its id when it was one of ours.
    pub fn ended(&mut self, pid: u32, ending: Ending, now: Instant) -> Option<String> {
        let at = self.rows.iter().position(|row| row.pid == Some(pid))?;
        let row = &mut self.rows[at];
        let id = row.worker.id.clone();
        row.pid = None;
        row.kill_at = None;
        row.last_exit = Some(ending.to_string());
        match std::mem::replace(&mut row.then, Then::Again) {
            Then::Again => {
                let fatal = matches!(ending, Ending::Exit(code) if policy::FINAL.contains(&code));
                let delay = row
                    .backoff
                    .ended(now.saturating_duration_since(row.started));
                let state = if fatal {
                    log::error!(target: "supervisor", "{id}: {ending}: not started again");
                    ChildState::Stopped
                } else {
                    log::warn!(target: "supervisor", "{id}: {ending}; next start in {delay:?}");
                    row.next = Some(now + delay);
                    ChildState::Backoff
                };
                self.changes.push(row.report(state, now));
            }
            Then::Replace(worker) => {
                let mut backoff = std::mem::take(&mut row.backoff);
                backoff.asked();
                *row = Row::new(worker, now);
                row.backoff = backoff;
            }
            Then::Forget => {
                let row = self.rows.remove(at);
                self.changes.push(row.report(ChildState::Stopped, now));
            }
        }
        Some(id)
    }

    /// Asks all to go and starts none any more.
    pub fn close(&mut self, now: Instant) {
        self.closing = true;
        let ids: Vec<String> = self.rows.iter().map(|row| row.worker.id.clone()).collect();
        for id in ids {
            self.part(&id, Then::Forget, now);
        }
    }

    /// No grace any more for those that were asked to go.
    pub fn hurry(&mut self, now: Instant) {
        for row in &mut self.rows {
            row.kill_at = row.kill_at.map(|_| now);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().filter_map(|row| row.pid)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.rows
            .iter()
            .fold(None, |at, row| sooner(at, sooner(row.next, row.kill_at)))
    }

    /// What changed since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<ToCore> {
        std::mem::take(&mut self.changes)
    }

    /// Everything, for a core that has just started.
    pub fn all(&self, now: Instant) -> Vec<ToCore> {
        self.rows
            .iter()
            .map(|row| {
                let state = match (row.pid, row.next, row.backoff.restarts) {
                    (Some(_), ..) => ChildState::Running,
                    (None, Some(_), 0) => ChildState::Starting,
                    (None, Some(_), _) => ChildState::Backoff,
                    (None, None, _) => ChildState::Stopped,
                };
                row.report(state, now)
            })
            .collect()
    }
}

impl Row {
    fn new(worker: Worker, now: Instant) -> Row {
        Row {
            worker,
            pid: None,
            started: now,
            next: Some(now),
            kill_at: None,
            then: Then::Again,
            backoff: Backoff::default(),
            last_exit: None,
        }
    }

    /// What this row will be once its child has gone, if anything.
    fn meant(&self) -> Option<&Worker> {
        match &self.then {
            Then::Again => Some(&self.worker),
            Then::Replace(worker) => Some(worker),
            Then::Forget => None,
        }
    }

    fn report(&self, state: ChildState, now: Instant) -> ToCore {
        ToCore::Child {
            id: self.worker.id.clone(),
            state,
            pid: self.pid,
            exit: self.last_exit.clone(),
            restarts: self.backoff.restarts,
            next_start_ms: self
                .next
                .map(|at| at.saturating_duration_since(now).as_millis() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn worker(id: &str, arg: &str) -> Worker {
        Worker {
            id: id.into(),
            argv: vec![arg.into()],
            limits: Default::default(),
        }
    }

    /// Pids that can never be real processes, so that no signal reaches anybody.
    const PID: u32 = u32::MAX - 1;

    fn states(table: &mut Table) -> Vec<(ChildState, Option<String>)> {
        table
            .take_changes()
            .into_iter()
            .map(|line| match line {
                ToCore::Child { state, exit, .. } => (state, exit),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_child_that_dies_is_throttled_and_a_final_exit_keeps_it_down() {
        let (mut table, t0) = (Table::default(), Instant::now());
        table.want(vec![worker("a", "x")], t0);
        table.due(t0, |_| Ok(PID));
        assert_eq!(states(&mut table), [(ChildState::Running, None)]);
        assert_eq!(table.ended(PID, Ending::Exit(1), t0).as_deref(), Some("a"));
        assert_eq!(table.deadline(), Some(t0 + policy::FIRST_DELAY));
        table.due(t0, |_| panic!("not yet"));
        table.due(t0 + policy::FIRST_DELAY, |_| Ok(PID));
        assert!(table.ended(PID, Ending::Exit(78), t0).is_some());
        assert_eq!(table.deadline(), None);
        let last = states(&mut table).pop().unwrap();
        assert_eq!(last, (ChildState::Stopped, Some("exit 78".into())));
        assert!(table.ended(7, Ending::Exit(0), t0).is_none());
    }

    #[test]
    fn a_replaced_child_starts_after_the_old_one_has_gone() {
        let (mut table, t0) = (Table::default(), Instant::now());
        table.want(vec![worker("a", "x")], t0);
        table.due(t0, |_| Ok(PID));
        table.want(vec![worker("a", "y")], t0);
        table.due(t0, |_| panic!("the old one still runs"));
        // Changed back and unwanted meanwhile: the last word counts.
        table.want(vec![], t0);
        table.want(vec![worker("a", "z")], t0);
        table.ended(PID, Ending::Signal(15), t0);
        table.due(t0, |w| {
            assert_eq!(w.argv, ["z"]);
            Ok(PID)
        });
        table.close(t0);
        assert_eq!(table.deadline(), Some(t0 + CHILD_GRACE));
        table.ended(PID, Ending::Signal(15), t0 + Duration::from_millis(1));
        assert!(table.is_empty());
        table.want(vec![worker("b", "x")], t0);
        assert!(table.is_empty());
    }
}
