//! Who may run when: one turn at a time per session, and so many at once per lane.
//!
//! A job takes its session's slot first, then a slot of its lane; both queues are first in, first
//! out. A job that may run gets a thread; a thread that has finished one takes the next, and ends
//! when there is none, so an idle gateway has no thread here. Every queue is bounded: a full one
//! refuses with an error that names it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Holds both slots while it runs. What it returns runs on the same thread right after they are
/// free: whoever hears of the end there finds the session ready for more.
pub type Job = Box<dyn FnOnce() -> Option<After> + Send>;
pub type After = Box<dyn FnOnce() + Send>;

/// The lanes there are; any other name is the main one.
pub const MAIN: &str = "main";
pub const SUBAGENT: &str = "subagent";
pub const CRON: &str = "cron";
pub const NESTED: &str = "nested";

/// Jobs that may wait in one session: more than a person queues, and each holds its message.
const MAX_WAITING_PER_SESSION: usize = 32;
/// Jobs that may wait in all: a runaway client must not fill the memory.
const MAX_WAITING: usize = 512;
/// A turn serialises JSON, speaks TLS and walks the prompt; none of it recurses deeply. Only the
/// pages it touches cost memory.
const STACK: usize = 512 * 1024;
/// A wait worth a line in the log.
const LONG_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Lanes(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    /// Present while the session has a job that runs or waits for its lane.
    sessions: HashMap<String, VecDeque<Waiting>>,
    lanes: HashMap<&'static str, Lane>,
    waiting: usize,
    /// Jobs that have freed their slots and are still telling their end.
    telling: usize,
    closed: bool,
}

struct Lane {
    limit: usize,
    active: usize,
    waiting: VecDeque<(String, Waiting)>,
}

struct Waiting {
    lane: &'static str,
    job: Job,
    since: Instant,
}

/// A job that holds both slots.
struct Ready {
    key: String,
    lane: &'static str,
    job: Job,
}

/// Where `submit` left a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Running,
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    SessionFull { key: String },
    Full,
    Closed,
    NoThread { why: String },
}

/// Slots per lane, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub main: usize,
    pub subagent: usize,
    pub cron: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            main: 4,
            subagent: 8,
            cron: 1,
        }
    }
}

impl Lanes {
    pub fn new(limits: Limits) -> Lanes {
        let lane = |limit: usize| Lane {
            limit: limit.max(1),
            active: 0,
            waiting: VecDeque::new(),
        };
        let lanes = HashMap::from([
            (MAIN, lane(limits.main)),
            (SUBAGENT, lane(limits.subagent)),
            (CRON, lane(limits.cron)),
            (NESTED, lane(1)),
        ]);
        Lanes(Arc::new(Shared {
            state: Mutex::new(State {
                sessions: HashMap::new(),
                lanes,
                waiting: 0,
                telling: 0,
                closed: false,
            }),
            idle: Condvar::new(),
        }))
    }

    /// Runs `job` when `key` and `lane` are free. A refused job is dropped unrun.
    pub fn submit(&self, key: &str, lane: &str, job: Job) -> Result<Placed, Refused> {
        let waiting = Waiting {
            lane: known(lane),
            job,
            since: Instant::now(),
        };
        let mut state = self.0.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting >= MAX_WAITING {
            return Err(Refused::Full);
        }
        if let Some(queue) = state.sessions.get_mut(key) {
            if queue.len() >= MAX_WAITING_PER_SESSION {
                return Err(Refused::SessionFull { key: key.into() });
            }
            queue.push_back(waiting);
            state.waiting += 1;
            return Ok(Placed::Waiting);
        }
        state.sessions.insert(key.into(), VecDeque::new());
        match state.admit(key.into(), waiting) {
            None => Ok(Placed::Waiting),
            Some(ready) => {
                // Spawned under the lock: should it fail, nobody has seen the slots taken.
                let (key, lane) = (ready.key.clone(), ready.lane);
                self.spawn(ready).map_err(|why| {
                    state.release(&key, lane);
                    Refused::NoThread { why }
                })?;
                Ok(Placed::Running)
            }
        }
    }

    /// Applies changed limits; running jobs go on.
    pub fn set_limits(&self, limits: Limits) {
        let mut state = self.0.lock();
        for (name, limit) in [
            (MAIN, limits.main),
            (SUBAGENT, limits.subagent),
            (CRON, limits.cron),
        ] {
            if let Some(lane) = state.lanes.get_mut(name) {
                lane.limit = limit.max(1);
            }
        }
        self.start_ready(&mut state, None);
    }

    /// Jobs that run or wait in `lane`.
    pub fn load(&self, lane: &str) -> usize {
        let state = self.0.lock();
        let lane = known(lane);
        let behind = state
            .sessions
            .values()
            .flatten()
            .filter(|waiting| waiting.lane == lane)
            .count();
        state
            .lanes
            .get(lane)
            .map_or(0, |l| l.active + l.waiting.len())
            + behind
    }

    /// Takes no more jobs, drops the waiting ones, and waits up to `grace` for the running ones.
    /// False when some still run.
    pub fn close(&self, grace: Duration) -> bool {
        let mut state = self.0.lock();
        state.closed = true;
        let mut dropped: Vec<Job> = Vec::new();
        for queue in state.sessions.values_mut() {
            dropped.extend(queue.drain(..).map(|w| w.job));
        }
        let mut gone = Vec::new();
        for lane in state.lanes.values_mut() {
            for (key, waiting) in lane.waiting.drain(..) {
                gone.push(key);
                dropped.push(waiting.job);
            }
        }
        for key in gone {
            state.sessions.remove(&key);
        }
        state.waiting = 0;
        drop(state);
        // Outside the lock: dropping a job may tell its client, and that may come back here.
        drop(dropped);
        let state = self.0.lock();
        let (state, _) = self
            .0
            .idle
            .wait_timeout_while(state, grace, |s| !s.is_idle())
            .unwrap_or_else(PoisonError::into_inner);
        state.is_idle()
    }

    fn spawn(&self, ready: Ready) -> Result<(), String> {
        let lanes = self.clone();
        std::thread::Builder::new()
            .name(format!("agent-{}", ready.lane))
            .stack_size(STACK)
            .spawn(move || lanes.work(ready))
            .map(drop)
            .map_err(|err| err.to_string())
    }

    fn work(&self, mut ready: Ready) {
        loop {
            let Ready { key, lane, job } = ready;
            // A bug in one turn must not cost its session the slot for ever (debug builds; a
            // release build aborts and the supervisor starts a new core).
            let after = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
                log::error!("a run of session {key} ended in a panic");
                None
            });
            let next = {
                let mut state = self.0.lock();
                state.release(&key, lane);
                state.telling += 1;
                self.start_ready(&mut state, Some(lane))
            };
            if let Some(after) = after {
                if catch_unwind(AssertUnwindSafe(after)).is_err() {
                    log::error!("the end of a run of session {key} could not be told");
                }
            }
            self.0.lock().telling -= 1;
            self.0.idle.notify_all();
            match next {
                Some(next) => ready = next,
                None => return,
            }
        }
    }

    /// Starts what the lanes have room for: one job of `mine` is returned for this thread.
    fn start_ready(&self, state: &mut State, mine: Option<&'static str>) -> Option<Ready> {
        let mut own = None;
        for name in [MAIN, SUBAGENT, CRON, NESTED] {
            while let Some(ready) = state.take_ready(name) {
                if own.is_none() && mine == Some(name) {
                    own = Some(ready);
                    continue;
                }
                let (key, lane) = (ready.key.clone(), ready.lane);
                if let Err(why) = self.spawn(ready) {
                    log::error!("no thread for a run of session {key}: {why}");
                    state.release(&key, lane);
                }
            }
        }
        own
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.telling == 0 && self.lanes.values().all(|lane| lane.active == 0)
    }

    /// The session's slot is held: takes the lane's, or waits for it.
    fn admit(&mut self, key: String, waiting: Waiting) -> Option<Ready> {
        let lane = self.lanes.get_mut(waiting.lane)?;
        if lane.active < lane.limit && lane.waiting.is_empty() {
            lane.active += 1;
            return Some(Ready {
                key,
                lane: waiting.lane,
                job: waiting.job,
            });
        }
        lane.waiting.push_back((key, waiting));
        self.waiting += 1;
        None
    }

    /// Gives both slots back; the session's next job moves on to its lane's queue.
    fn release(&mut self, key: &str, lane: &'static str) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.active = lane.active.saturating_sub(1);
        }
        let Some(queue) = self.sessions.get_mut(key) else {
            return;
        };
        match queue.pop_front() {
            None => {
                self.sessions.remove(key);
            }
            Some(next) => {
                if let Some(lane) = self.lanes.get_mut(next.lane) {
                    lane.waiting.push_back((key.into(), next));
                }
            }
        }
    }

    fn take_ready(&mut self, name: &'static str) -> Option<Ready> {
        let lane = self.lanes.get_mut(name)?;
        if lane.active >= lane.limit {
            return None;
        }
        let (key, waiting) = lane.waiting.pop_front()?;
        lane.active += 1;
        self.waiting = self.waiting.saturating_sub(1);
        let waited = waiting.since.elapsed();
        if waited > LONG_WAIT {
            log::warn!(
                "lane wait exceeded: lane={name} session={key} waitedMs={}",
                waited.as_millis()
            );
        }
        Some(Ready {
            key,
            lane: name,
            job: waiting.job,
        })
    }
}

fn known(lane: &str) -> &'static str {
    [SUBAGENT, CRON, NESTED]
        .into_iter()
        .find(|name| *name == lane)
        .unwrap_or(MAIN)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::SessionFull { key } => write!(
                f,
                "session {key} already has {MAX_WAITING_PER_SESSION} waiting runs; try again when one has ended"
            ),
            Refused::Full => write!(
                f,
                "the gateway already has {MAX_WAITING} waiting runs; try again later"
            ),
            Refused::Closed => f.write_str("the gateway is stopping"),
            Refused::NoThread { why } => write!(f, "no thread for the run: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn gate() -> (mpsc::Sender<()>, Arc<Mutex<mpsc::Receiver<()>>>) {
        let (open, wait) = mpsc::channel();
        (open, Arc::new(Mutex::new(wait)))
    }

    #[test]
    fn one_session_runs_one_job_at_a_time_in_order() {
        let lanes = Lanes::new(Limits::default());
        let (say, heard) = mpsc::channel();
        let running = Arc::new(AtomicUsize::new(0));
        let (open, wait) = gate();
        for i in 0..5 {
            let (say, running, wait) = (say.clone(), running.clone(), wait.clone());
            let placed = lanes
                .submit(
                    "a",
                    MAIN,
                    Box::new(move || {
                        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                        wait.lock().unwrap().recv().unwrap();
                        running.fetch_sub(1, Ordering::SeqCst);
                        say.send(i).unwrap();
                        None
                    }),
                )
                .unwrap();
            assert_eq!(placed == Placed::Running, i == 0);
        }
        assert_eq!(lanes.load(MAIN), 5);
        for i in 0..5 {
            open.send(()).unwrap();
            assert_eq!(heard.recv().unwrap(), i);
        }
        assert!(lanes.close(Duration::from_secs(5)));
        assert!(lanes.0.lock().sessions.is_empty());
    }

    #[test]
    fn a_lane_runs_as_many_sessions_as_its_limit() {
        let lanes = Lanes::new(Limits {
            main: 2,
            ..Limits::default()
        });
        let (say, heard) = mpsc::channel();
        let (open, wait) = gate();
        for i in 0..3 {
            let (say, wait) = (say.clone(), wait.clone());
            let placed = lanes
                .submit(
                    &format!("s{i}"),
                    "unheard-of",
                    Box::new(move || {
                        say.send(()).unwrap();
                        wait.lock().unwrap().recv().unwrap();
                        None
                    }),
                )
                .unwrap();
            assert_eq!(placed == Placed::Waiting, i == 2);
        }
        heard.recv().unwrap();
        heard.recv().unwrap();
        assert!(heard.try_recv().is_err());
        lanes.set_limits(Limits {
            main: 3,
            ..Limits::default()
        });
        heard.recv().unwrap();
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        assert!(lanes.close(Duration::from_secs(5)));
    }

    #[test]
    fn a_full_session_refuses_and_a_closed_house_drops_what_waits() {
        struct Count(Arc<AtomicUsize>);
        impl Drop for Count {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let lanes = Lanes::new(Limits::default());
        let (open, wait) = gate();
        lanes
            .submit(
                "a",
                MAIN,
                Box::new(move || {
                    wait.lock().unwrap().recv().unwrap();
                    None
                }),
            )
            .unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..MAX_WAITING_PER_SESSION {
            let count = Count(dropped.clone());
            lanes
                .submit(
                    "a",
                    MAIN,
                    Box::new(move || {
                        drop(count);
                        None
                    }),
                )
                .unwrap();
        }
        let refused = lanes.submit("a", MAIN, Box::new(|| None)).unwrap_err();
        assert!(matches!(refused, Refused::SessionFull { .. }));
        assert!(!lanes.close(Duration::ZERO));
        assert_eq!(dropped.load(Ordering::SeqCst), MAX_WAITING_PER_SESSION);
        assert_eq!(
            lanes.submit("b", MAIN, Box::new(|| None)),
            Err(Refused::Closed)
        );
        open.send(()).unwrap();
        assert!(lanes.close(Duration::from_secs(5)));
    }

    #[test]
    fn a_job_that_panics_gives_its_slots_back() {
        let lanes = Lanes::new(Limits::default());
        lanes
            .submit("a", CRON, Box::new(|| panic!("a bug")))
            .unwrap();
        let (say, heard) = mpsc::channel();
        lanes
            .submit(
                "a",
                CRON,
                Box::new(move || {
                    say.send(()).unwrap();
                    None
                }),
            )
            .unwrap();
        heard.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(lanes.close(Duration::from_secs(5)));
    }

    #[test]
    fn the_end_is_told_when_the_session_is_free_again() {
        let lanes = Lanes::new(Limits::default());
        let (say, heard) = mpsc::channel();
        let again = lanes.clone();
        let job: Job = Box::new(move || {
            Some(Box::new(move || {
                let placed = again.submit("a", MAIN, Box::new(|| None)).unwrap();
                say.send(placed).unwrap();
            }))
        });
        lanes.submit("a", MAIN, job).unwrap();
        assert_eq!(
            heard.recv_timeout(Duration::from_secs(5)),
            Ok(Placed::Running)
        );
        assert!(lanes.close(Duration::from_secs(5)));
    }
}
