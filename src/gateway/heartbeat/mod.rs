//! Heartbeats: now and then the agent looks by itself whether something needs attention.
//!
//! Each agent that beats has a time when it is due next; one alarm stands at the earliest. Anybody
//! may ask for a beat sooner (`request`): askers within a quarter of a second share one. Beats of
//! one round follow one another, so that they do not crowd out people. Nothing here blocks: a beat
//! is a turn like any other, and its end calls the next. An idle gateway wakes for nothing else.

mod beat;

pub use beat::{IN_FLIGHT, Ran, run};

use super::broadcast::Rules;
use super::clock::Alarm;
use super::core::Core;
use crate::wire::gateway::heartbeat::Heartbeat as Told;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Askers within this time share one beat.
const COALESCE: Duration = Duration::from_millis(250);
/// A beat that came while people were served is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// What a beat that is simply due gives as its reason.
const INTERVAL: &str = "interval";

#[derive(Default)]
pub struct Heartbeat {
    core: OnceLock<Weak<Core>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Switched off by `set-heartbeats`.
    off: bool,
    last: Option<Told>,
    beats: BTreeMap<String, Beat>,
    timer: Option<Alarm>,
    wake: Option<Wake>,
    /// A round is under way.
    busy: bool,
}

struct Beat {
    every: Duration,
    due: Instant,
}

struct Wake {
    reason: String,
    _alarm: Alarm,
}

/// Asks for a beat now, for this reason (`wake`, `hook:wake`, `cron:<id>`, `exec:<id>:exit`).
pub fn request(core: &Core, reason: &str) {
    core.heartbeat.request(reason);
}

impl Heartbeat {
    /// From here on beats happen.
    pub fn start(&self, core: &Arc<Core>) {
        if self.core.set(Arc::downgrade(core)).is_ok() {
            self.reconfigure(core);
        }
    }

    /// Takes changed intervals. A beat whose interval is the same keeps its time.
    pub fn reconfigure(&self, core: &Arc<Core>) {
        let config = core.config.current();
        let now = Instant::now();
        let mut state = self.lock();
        let mut old = std::mem::take(&mut state.beats);
        for agent in config.config.agent_ids() {
            let Some(every) = config.config.heartbeat(&agent).every_ms else {
                continue;
            };
            let every = Duration::from_millis(every);
            let beat = match old.remove(&agent).filter(|beat| beat.every == every) {
                Some(beat) => beat,
                None => Beat {
                    every,
                    due: now.checked_add(every).unwrap_or(now + NEVER),
                },
            };
            state.beats.insert(agent, beat);
        }
        self.schedule(core, &mut state);
    }

    pub fn request(&self, reason: &str) {
        if let Some(core) = self.core.get().and_then(Weak::upgrade) {
            self.request_in(&core, reason, COALESCE);
        }
    }

    pub fn switch(&self, on: bool) {
        self.lock().off = !on;
    }

    pub fn is_on(&self) -> bool {
        !self.lock().off
    }

    /// The last beat that clients were told of.
    pub fn last(&self) -> Option<Told> {
        self.lock().last.clone()
    }

    fn tell(&self, core: &Core, told: Told) {
        // Who hears of it may ask for it at once.
        self.lock().last = Some(told.clone());
        core.clients.broadcast("heartbeat", &told, Rules::DROP);
    }

    fn request_in(&self, core: &Arc<Core>, reason: &str, wait: Duration) {
        let mut state = self.lock();
        if let Some(wake) = &mut state.wake {
            wake.reason = reason.into();
            return;
        }
        let alarm = alarm(core, Instant::now() + wait, |core| {
            let wake = core.heartbeat.lock().wake.take();
            if let Some(wake) = wake {
                round(core, &wake.reason);
            }
        });
        state.wake = Some(Wake {
            reason: reason.into(),
            _alarm: alarm,
        });
    }

    /// Sets the alarm at the beat that is due first.
    fn schedule(&self, core: &Arc<Core>, state: &mut State) {
        let first = state.beats.values().map(|beat| beat.due).min();
        state.timer = first.map(|due| alarm(core, due, |core| round(core, INTERVAL)));
    }

    /// The agents of a round: all that beat, or those that are due.
    fn begin(&self, core: &Arc<Core>, reason: &str) -> Option<VecDeque<String>> {
        let mut state = self.lock();
        if state.busy {
            drop(state);
            self.request_in(core, reason, RETRY);
            return None;
        }
        let now = Instant::now();
        let due = |beat: &Beat| reason != INTERVAL || beat.due <= now;
        let agents = state.beats.iter().filter(|(_, beat)| due(beat));
        let agents: VecDeque<String> = agents.map(|(agent, _)| agent.clone()).collect();
        state.busy = !agents.is_empty();
        if agents.is_empty() {
            self.schedule(core, &mut state);
        }
        Some(agents)
    }

    fn beaten(&self, agent: &str) {
        if let Some(beat) = self.lock().beats.get_mut(agent) {
            let now = Instant::now();
            beat.due = now.checked_add(beat.every).unwrap_or(now + NEVER);
        }
    }

    fn end(&self, core: &Arc<Core>) {
        let mut state = self.lock();
        state.busy = false;
        self.schedule(core, &mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an interval is beyond what the clock can count.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Has `action` done on a pool thread at `when`.
fn alarm(core: &Arc<Core>, when: Instant, action: fn(&Arc<Core>)) -> Alarm {
    let weak = Arc::downgrade(core);
    core.agents.clock().at(when, move || {
        let Some(core) = weak.upgrade() else { return };
        let shared = core.clone();
        if core.pool.run(move || action(&shared)).is_err() {
            // So many requests wait that the agent has enough to do.
            log::warn!("a heartbeat is put off: too many requests wait");
            core.heartbeat.request_in(&core, INTERVAL, RETRY);
        }
    })
}

fn round(core: &Arc<Core>, reason: &str) {
    if let Some(agents) = core.heartbeat.begin(core, reason) {
        next(core, agents, reason.to_string());
    }
}

/// The next agent of the round; its end calls the one after.
fn next(core: &Arc<Core>, mut agents: VecDeque<String>, reason: String) {
    let Some(agent) = agents.pop_front() else {
        return core.heartbeat.end(core);
    };
    let shared = core.clone();
    let (id, why) = (agent.clone(), reason.clone());
    let done = Box::new(move |ran: Ran| {
        if ran == Ran::Skipped(IN_FLIGHT) {
            shared.heartbeat.end(&shared);
            return shared.heartbeat.request_in(&shared, &reason, RETRY);
        }
        shared.heartbeat.beaten(&agent);
        next(&shared, agents, reason);
    });
    beat::run(core, &id, &why, done);
}
