//! Things to do at a later moment: time limits of runs, patience of waiting requests.
//!
//! One small thread while anything is planned, none while nothing is; what is planned runs on it
//! and must not block.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Action = Box<dyn FnOnce() + Send>;
/// The moment, and a number that tells equal moments apart.
type Key = (Instant, u64);

/// How long the thread stays when nothing is left: turns come in bunches.
const LINGER: Duration = Duration::from_secs(5);
/// Actions set a flag, shut a socket or send a frame.
const STACK: usize = 128 * 1024;

#[derive(Clone, Default)]
pub struct Clock(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    planned: BTreeMap<Key, Action>,
    next: u64,
    running: bool,
}

/// Keeps an action planned; dropping it forgets the action.
#[must_use = "the action is forgotten when the alarm is dropped"]
pub struct Alarm {
    /// `None`: nobody can forget it any more.
    clock: Option<Clock>,
    key: Key,
}

impl Clock {
    pub fn at(&self, when: Instant, action: impl FnOnce() + Send + 'static) -> Alarm {
        let mut state = self.0.lock();
        state.next += 1;
        let key = (when, state.next);
        state.planned.insert(key, Box::new(action));
        if state.running {
            self.0.wake.notify_one();
        } else {
            let shared = self.0.clone();
            let thread = std::thread::Builder::new()
                .name("clock".into())
                .stack_size(STACK)
                .spawn(move || shared.run());
            match thread {
                Ok(_) => state.running = true,
                // The next plan tries again; until then nothing is late but what is planned.
                Err(err) => log::error!("no thread for the clock: {err}"),
            }
        }
        Alarm {
            clock: Some(self.clone()),
            key,
        }
    }
}

impl Alarm {
    /// Lets the action happen whatever becomes of the one who planned it.
    pub fn keep(mut self) {
        self.clock = None;
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let wait = match state.planned.first_key_value() {
                Some(((when, _), _)) => when.saturating_duration_since(now),
                None => LINGER,
            };
            if wait.is_zero() {
                let due = state.planned.pop_first();
                drop(state);
                if let Some((_, action)) = due {
                    action();
                }
                state = self.lock();
                continue;
            }
            let (guard, waited) = self
                .wake
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() && state.planned.is_empty() {
                state.running = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(clock) = &self.clock else {
            return;
        };
        let forgotten = clock.0.lock().planned.remove(&self.key);
        // Outside the lock: what the action holds may plan or forget in turn.
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn actions_run_in_order_and_forgotten_ones_do_not() {
        let clock = Clock::default();
        let (say, heard) = mpsc::channel();
        let now = Instant::now();
        let later = |ms: u64, word: &'static str| {
            let say = say.clone();
            clock.at(now + Duration::from_millis(ms), move || {
                say.send(word).unwrap();
            })
        };
        let _b = later(30, "b");
        let _a = later(10, "a");
        drop(later(20, "never"));
        let patience = Duration::from_secs(5);
        assert_eq!(heard.recv_timeout(patience), Ok("a"));
        assert_eq!(heard.recv_timeout(patience), Ok("b"));
        assert!(clock.0.lock().planned.is_empty());
    }
}
